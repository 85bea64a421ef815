//! The contract a device fulfils.

//! The reference interpreter: the plain f64 meaning of every op.

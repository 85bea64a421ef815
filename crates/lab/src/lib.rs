//! Op cases, tolerances, drift measures and timing.

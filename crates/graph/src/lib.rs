//! The one IR: ops with a shape rule and a plain f64 meaning.

//! Element types, shapes and block formats: what a tensor's bytes mean.

//! Load a model and transcribe: the library a Rust program uses.

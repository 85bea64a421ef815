//! Read GGUF v2/v3 by mmap and write v3, with checks against hostile files.

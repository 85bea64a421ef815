//! Token ids to text from the vocabulary a GGUF file carries.

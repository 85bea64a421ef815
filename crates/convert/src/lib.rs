//! NeMo archives and Hugging Face folders to GGUF, and quantisation.

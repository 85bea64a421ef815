//! Model families: config from GGUF, graph that reads like the paper, host loop.

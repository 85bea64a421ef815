"""Tiny random Parakeet models and what NeMo makes of them; see ../README.md."""

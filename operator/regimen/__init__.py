"""Regimen keeps a business's own language models in training."""

__version__ = "0.1.0"

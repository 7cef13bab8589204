"""From 16-bit base weights and an adapter to GGUF files, in one pass over the base and in bounded memory.

weights.py   rows of safetensors files, by offset
adapter.py   LoRA adapters as peft writes them; what cannot be merged exactly is refused
layout.py    names, order of rows, metadata and vocabulary, by llama.cpp's own converter classes
mixture.py   which tensor gets which type, as llama-quantize says
ggml.py      the types' bytes, by libggml
files.py     GGUF files that are filled in any order
write.py     the pass itself
"""

from regimen_trainer.conversion.layout import About
from regimen_trainer.conversion.write import write_ggufs

__all__ = ["About", "write_ggufs"]

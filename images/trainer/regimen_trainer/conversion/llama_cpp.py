"""Where llama.cpp's converter lies, and how its packages come to be importable: its own gguf package, not the one of PyPI."""

import os
import sys
from pathlib import Path

from regimen_trainer.errors import ToolError

FOLDER = Path(os.environ.get("LLAMA_CPP_DIR", "/opt/llama.cpp"))


def use() -> None:
    """Make `conversion` and `gguf` of the image's llama.cpp importable. Raises ToolError where they are missing."""
    if not (FOLDER / "conversion").is_dir():
        raise ToolError(f"{FOLDER} holds no llama.cpp converter; set LLAMA_CPP_DIR to a copy of llama.cpp, or use the trainer image")
    for folder in (str(FOLDER / "gguf-py"), str(FOLDER)):
        if folder not in sys.path:
            sys.path.insert(0, folder)

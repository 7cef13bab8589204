"""From Hugging Face weights to GGUF files: llama.cpp's own converter, then llama-quantize. Both come with the image."""

import os
import sys
from pathlib import Path

from regimen_trainer.tools import run_tool

LLAMA_CPP = Path(os.environ.get("LLAMA_CPP_DIR", "/opt/llama.cpp"))
QUANTIZE = os.environ.get("LLAMA_QUANTIZE", "llama-quantize")


def convert(model: Path, name: str, version: str, out: Path, log_file: Path) -> Path:
    """Write a 16-bit GGUF with the model's name, version and chat template in its metadata. Raises ToolError."""
    metadata = out.with_suffix(".metadata.json")
    metadata.write_text(f'{{"general.name": "{name}", "general.version": "{version}"}}')
    script = LLAMA_CPP / "convert_hf_to_gguf.py"
    run_tool([sys.executable, script, model, "--outfile", out, "--outtype", "f16", "--metadata", metadata], log_file)
    metadata.unlink()
    return out


def quantize(source: Path, quantization: str, out: Path, threads: int, log_file: Path) -> Path:
    """Write a GGUF of another quantization. F16 is the source itself under the new name. Raises ToolError."""
    if quantization == "F16":
        os.link(source, out)
        return out
    run_tool([QUANTIZE, source, out, quantization, str(threads)], log_file)
    return out

"""Which tensor gets which type in a quantisation, as llama-quantize itself says.

K-quant mixtures keep some layers in more bits, by rules that depend on the architecture and change between versions of llama.cpp. So they are
not written down here again: llama-quantize is asked in a dry run, with a file that has the real header and no weights.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from regimen_trainer.errors import ToolError
from regimen_trainer.tools import run_tool

QUANTIZE = os.environ.get("LLAMA_QUANTIZE", "llama-quantize")
_TENSOR = re.compile(r"^\[ *\d+/ *\d+\] (?P<name>\S+) +- \[[^\]]*\], type = *(?P<old>\w+), size = .*?(?:-> .*\((?P<new>\w+)\))?$", re.M)


def types_of(hollow: Path, quantization: str) -> dict[str, Any]:
    """gguf types by tensor name. `hollow`: a GGUF of 16-bit weights, which are not read. Raises ToolError."""
    import gguf

    output = hollow.with_suffix(".log")
    try:
        run_tool([QUANTIZE, "--dry-run", hollow, quantization], output)
        return {tensor: gguf.GGMLQuantizationType[kind.upper()] for tensor, kind in parse(output.read_text(errors="replace")).items()}
    finally:
        output.unlink(missing_ok=True)


def parse(output: str) -> dict[str, str]:
    """Type names by tensor from what llama-quantize prints.

    >>> parse("[   1/ 291] output.weight - [ 4096, 32000, 1, 1], type = f16, size = 250.00 MiB -> 102.54 MiB (q6_K)")
    {'output.weight': 'q6_K'}
    """
    return {match["name"]: match["new"] or match["old"] for match in _TENSOR.finditer(output)}


def check_complete(types: Mapping[str, Any], wanted: list[str], quantization: str) -> None:
    """Raise ToolError where llama-quantize did not speak of every tensor: its output then has another form than is read here."""
    if missing := [name for name in wanted if name not in types]:
        raise ToolError(f"{QUANTIZE} --dry-run said no type for {missing[0]} in {quantization}; this release cannot use its version")

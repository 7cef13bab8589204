"""libggml's quantisation, by ctypes: the very code with which llama-quantize makes its bytes.

Calls leave the interpreter's lock alone, so threads quantise side by side. Only libggml-base is loaded, which has no device in it and no
model; libllama of one build never meets the Python binding of another.
"""

import ctypes
import os
from functools import cache
from typing import TYPE_CHECKING, Any

from regimen_trainer.errors import ToolError

if TYPE_CHECKING:
    import torch

LIBRARY = os.environ.get("GGML_LIBRARY", "libggml-base.so.0")


@cache
def library() -> ctypes.CDLL:
    """Raises ToolError where the image lacks it."""
    try:
        loaded = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise ToolError(f"{LIBRARY} cannot be loaded; set GGML_LIBRARY to llama.cpp's libggml-base, or use the trainer image") from error
    loaded.ggml_quantize_chunk.restype = ctypes.c_size_t
    loaded.ggml_quantize_chunk.argtypes = [
        ctypes.c_int,  # type
        ctypes.c_void_p,  # source, 32 bit
        ctypes.c_void_p,  # destination
        ctypes.c_int64,  # first weight
        ctypes.c_int64,  # rows
        ctypes.c_int64,  # weights in a row
        ctypes.c_void_p,  # importance matrix: none
    ]
    loaded.ggml_validate_row_data.restype = ctypes.c_bool
    loaded.ggml_validate_row_data.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    return loaded


def row_bytes(kind: Any, columns: int) -> int:
    """Bytes of a row of a gguf type (GGMLQuantizationType)."""
    import gguf

    weights, size = gguf.GGML_QUANT_SIZES[kind]
    return int(columns // weights * size)


def quantize(values: "torch.Tensor", kind: Any) -> bytearray:
    """Rows of 32-bit weights, shape (rows, columns), in a quantised type. Raises ToolError where a block came out unusable."""
    rows, columns = values.shape
    out = bytearray(rows * row_bytes(kind, columns))
    target = (ctypes.c_char * len(out)).from_buffer(out)
    values = values.contiguous()
    written = library().ggml_quantize_chunk(int(kind), values.data_ptr(), target, 0, rows, columns, None)
    if written != len(out) or not library().ggml_validate_row_data(int(kind), target, written):
        raise ToolError(f"quantising to {kind.name} gave blocks that are not finite; the weights are too large for it")
    return out


def encode(values: "torch.Tensor", kind: Any) -> bytes | bytearray | memoryview:
    """Rows in any type of a GGUF. Raises ToolError for weights that the type cannot hold."""
    import torch

    plain = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}.get(kind.name)
    if plain is None:
        return quantize(values.to(torch.float32), kind)
    made = values.to(plain).contiguous()
    if not bool(torch.isfinite(made).all()):
        raise ToolError(f"weights above {torch.finfo(plain).max:g} do not fit {kind.name}; choose another quantization")
    return memoryview(made.view(torch.uint8).numpy()).cast("B")

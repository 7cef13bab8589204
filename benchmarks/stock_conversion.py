"""The usual way from an adapter to GGUF files: peft merges into a copy, llama.cpp's script converts it, llama-quantize runs once for each file.

    python benchmarks/stock_conversion.py --base DIR --adapter DIR --out DIR --quantizations Q6_K,Q5_K_M [--merge bfloat16] [--via f16]

The peer of `benchmarks/merge_and_convert.py` and of the tests. Every step is a program of its own, as people run them. `--merge float32` adds in 32 bit and
rounds once; `--merge bfloat16` is what most scripts do: the model is loaded in 16 bit, and the update is rounded before it is added.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

LLAMA_CPP = Path(os.environ.get("LLAMA_CPP_DIR", "/opt/llama.cpp"))


def main() -> None:
    """Merge, convert, quantise; says on standard error when a step begins."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("base", "adapter", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--quantizations", required=True)
    parser.add_argument("--merge", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--via", choices=("bf16", "f16"), default="bf16", help="Type of the file that is quantised.")
    parser.add_argument("--only-merge", action="store_true", help="End after merging: a step in a process of its own.")
    arguments = parser.parse_args()
    if arguments.only_merge:
        merge(arguments.base, arguments.adapter, arguments.out / "merged", arguments.merge)
        return
    subprocess.run([sys.executable, __file__, *sys.argv[1:], "--only-merge"], check=True)
    convert(arguments.out / "merged", arguments.out, arguments.quantizations.split(","), arguments.via)


def merge(base: Path, adapter: Path, out: Path, dtype: str) -> None:
    """Write base + adapter as bfloat16 safetensors with the tokenizer beside them."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    print("merging", file=sys.stderr, flush=True)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, dtype))
    merged = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    merged.to(torch.bfloat16).save_pretrained(out)
    for path in base.iterdir():
        if path.suffix != ".safetensors" and not path.name.endswith(".index.json") and not (out / path.name).exists():
            shutil.copyfile(path, out / path.name)


def convert(merged: Path, out: Path, quantizations: list[str], via: str) -> None:
    """Convert to a 16-bit GGUF, then quantise it once for each type. F16 is converted directly."""
    script = LLAMA_CPP / "convert_hf_to_gguf.py"
    for kind in dict.fromkeys(["f16"] * ("F16" in quantizations) + [via]):
        print("converting", file=sys.stderr, flush=True)
        quiet([sys.executable, script, merged, "--outfile", out / f"{kind}.gguf", "--outtype", kind])
    for quantization in quantizations:
        if quantization == "F16":
            shutil.copyfile(out / "f16.gguf", out / "F16.gguf")
            continue
        print("quantizing", file=sys.stderr, flush=True)
        quiet(["llama-quantize", out / f"{via}.gguf", out / f"{quantization}.gguf", quantization])


def quiet(command: list[Any]) -> None:
    """Run a program; what it prints is shown only where it fails."""
    done = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} ended with status {done.returncode}:\n{done.stdout[-2000:]}")


def differences(ours: Path, theirs: Path) -> dict[str, str]:
    """Tensors of two GGUF files that differ, and in what: missing, type, shape, or the share of bytes."""
    from regimen_trainer.conversion import llama_cpp

    llama_cpp.use()
    import gguf
    import numpy as np

    left, right = ({tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors} for path in (ours, theirs))
    found = dict.fromkeys(left.keys() ^ right.keys(), "missing")
    for name in left.keys() & right.keys():
        one, other = left[name], right[name]
        if one.tensor_type != other.tensor_type:
            found[name] = f"{one.tensor_type.name} and {other.tensor_type.name}"
        elif list(one.shape) != list(other.shape):
            found[name] = f"{list(one.shape)} and {list(other.shape)}"
        elif not np.array_equal(one.data.view(np.uint8), other.data.view(np.uint8)):
            found[name] = f"{np.mean(one.data.view(np.uint8) != other.data.view(np.uint8)):.2e} of its bytes"
    return found


if __name__ == "__main__":
    main()

"""Count the rows of a training file of which training and llama-server make the same tokens.

    python benchmarks/chat_template_parity.py --model FOLDER --rows train.jsonl [--limit 200] [--gguf FILE]

The model is the folder in Hugging Face layout that training reads; its GGUF is made here where none is named. Runs where the trainer's tools are
(the trainer image). Exit status 1 where any row differs.
"""

import argparse
import json
import sys
import tempfile
from itertools import islice
from pathlib import Path

from regimen_trainer.conversion import About, write_ggufs
from regimen_trainer.engine import serving
from regimen_trainer.parity import compare
from regimen_trainer.train import cpu_limit

CONTEXT = 4096


def main() -> int:
    """Serve the GGUF, compare, print the count and the first differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--gguf", type=Path)
    arguments = parser.parse_args()
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(arguments.model, trust_remote_code=False)
    with arguments.rows.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in islice(file, arguments.limit)]
    with tempfile.TemporaryDirectory() as scratch:
        gguf = arguments.gguf or Path(scratch) / "model.gguf"
        if arguments.gguf is None:
            write_ggufs(arguments.model, None, {"Q8_0": gguf}, About(arguments.model.name), cpu_limit())
        with serving(gguf, 1, CONTEXT, cpu_limit(), Path(scratch) / "server.log") as engine:
            parity = compare(engine, tokenizer, rows)
    print(f"{parity.same} of {parity.rows} rows have the same tokens in training and serving")
    for text in parity.differences[:5]:
        print(text)
    return int(parity.same != parity.rows)


if __name__ == "__main__":
    sys.exit(main())

"""Whether packed rows see each other: the loss of each row packed, against its loss alone, for three ways of packing.

    python benchmarks/packing_losses.py --base FOLDER --dataset FILE.jsonl [--rows 64] [--length 2048] [--use_4bit]

"one sequence" is packing where nothing keeps the rows apart; "TRL" is TRL's collator for packed rows with the attention that transformers
chooses where no varlen kernel is installed. Losses are in 32 bit: in bfloat16 the order of additions alone changes them by more. Run inside the
trainer image.
"""

import argparse
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

TOLERANCE = 1e-4


def main() -> None:
    """Print the largest difference of each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True, help="16-bit weights in Hugging Face layout.")
    parser.add_argument("--dataset", type=Path, required=True, help="JSON lines with prompt and completion.")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--length", type=int, default=2048, help="Tokens of a packed sequence.")
    parser.add_argument("--use_4bit", action="store_true")
    asked = parser.parse_args()
    from regimen.spec.finetune import Method
    from regimen_trainer.training import model as models
    from regimen_trainer.training.batches import packed_batch, padded_batch
    from regimen_trainer.training.rows import encode, read
    from regimen_trainer.training.steps import packed

    models.multiplies_bfloat16 = lambda: False
    short = asked.dataset.parent / f".{asked.dataset.name}.{asked.rows}"
    with asked.dataset.open() as file:
        short.write_text("".join(islice(file, asked.rows)))
    try:
        rows, _ = encode(models.load_tokenizer(asked.base), read(short, "--dataset"), asked.length, print)
    finally:
        short.unlink()
    kind = "QLoRA" if asked.use_4bit else "LoRA"
    plain, ours = (models.load_base(Method(type=kind, packing=packing), asked.base).eval() for packing in (False, True))
    groups = [[rows[at] for at in group] for group in packed([len(row) for row in rows], asked.length)]
    alone = {id(row): losses(plain, padded_batch([row], 0), [row])[0] for row in rows}
    ways: dict[str, tuple[Any, Callable[[list[Any]], Any]]] = {
        "regimen": (ours, packed_batch),
        "TRL": (plain, trl_batch),
        "one sequence": (plain, lambda group: {name: packed_batch(group)[name] for name in ("input_ids", "labels")}),
    }
    print(f"{len(rows)} rows, {sum(map(len, rows))} tokens, in {len(groups)} sequences of at most {asked.length}; {kind}\n")
    print("| way | largest difference of a row's loss from its loss alone |\n|---|---|")
    worst = {}
    for name, (model, batch) in ways.items():
        found = ((row, loss) for group in groups for row, loss in zip(group, losses(model, batch(group), group), strict=True))
        worst[name] = max(abs(loss - alone[id(row)]) for row, loss in found)
        print(f"| {name} | {worst[name]:.2e} |")
    if worst["regimen"] > TOLERANCE:
        raise SystemExit(f"rows see each other: {worst['regimen']:.2e} is more than {TOLERANCE}")


def trl_batch(group: list[Any]) -> Any:
    """The rows as TRL packs them."""
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    from regimen_trainer.training.batches import packed_batch

    whole = packed_batch(group)
    collate = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)
    example = {
        "input_ids": whole["input_ids"][0].tolist(),
        "labels": whole["labels"][0].tolist(),
        "seq_lengths": list(whole["row_lengths"]),
    }
    return collate([example])


def losses(model: Any, batch: Any, rows: list[Any]) -> list[float]:
    """Mean loss of the answer of each row that lies in a batch of one sequence."""
    import torch

    with torch.no_grad():
        inputs = {name: value.to(model.device) if torch.is_tensor(value) else value for name, value in batch.items() if name != "labels"}
        logits = model(**inputs, use_cache=False).logits[0, :-1].float().cpu()
    each = torch.nn.functional.cross_entropy(logits, batch["labels"][0, 1:], ignore_index=-100, reduction="none")
    found, start = [], 0
    for row in rows:
        found.append(float(each[start : start + len(row) - 1].sum() / (len(row) - row.answer)))
        start += len(row)
    return found


if __name__ == "__main__":
    main()

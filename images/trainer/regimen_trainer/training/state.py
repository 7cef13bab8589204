"""What a checkpoint holds: adapter, optimiser, the course so far. Not the base weights, and nothing that runs code when it is read.

    adapter_model.safetensors   the adapter's weights
    optimizer.safetensors       the optimiser's tensors, named by parameter and path
    state.json                  the optimiser's other values, and every step's loss, tokens and seconds

The rest follows from the number of the next step: its rows, its learning rate and its random numbers.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from regimen_trainer.training.course import Point

ADAPTER, OPTIMIZER, STATE = "adapter_model.safetensors", "optimizer.safetensors", "state.json"
Leaf = tuple[tuple[str, ...], Any]


def save(folder: Path, model: Any, optimizer: torch.optim.Optimizer, points: Sequence[Point]) -> None:
    """Write the state between two steps into `folder`."""
    save_file(_own(get_peft_model_state_dict(model)), folder / ADAPTER)
    leaves = [leaf for index, values in optimizer.state_dict()["state"].items() for leaf in _leaves(values, (str(index),))]
    tensors = {"/".join(path): value for path, value in leaves if torch.is_tensor(value)}
    save_file(_own(tensors), folder / OPTIMIZER)
    rest = {"/".join(path): value for path, value in leaves if not torch.is_tensor(value)}
    (folder / STATE).write_text(json.dumps({"optimizer": rest, "points": [astuple(point) for point in points]}))


def load(folder: Path, model: Any, optimizer: torch.optim.Optimizer) -> list[Point]:
    """Put a saved state into model and optimiser; returns the steps so far."""
    set_peft_model_state_dict(model, load_file(folder / ADAPTER))
    document = json.loads((folder / STATE).read_text())
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**load_file(folder / OPTIMIZER), **document["optimizer"]}.items():
        index, *path, last = name.split("/")
        place = state.setdefault(int(index), {})
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return [Point(*values) for values in document["points"]]


def _leaves(values: dict[str, Any], path: tuple[str, ...]) -> Iterator[Leaf]:
    """Values below a dictionary with their paths; bitsandbytes puts some a level deeper."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value


def _own(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copies in main memory: safetensors refuses tensors that share theirs."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}

"""How much memory a node's card has, as its labels say: those of NVIDIA's GPU feature discovery, else our own `gpu` label."""

from collections.abc import Mapping

from regimen.sizing.memory import MIB

MEMORY_LABEL = "nvidia.com/gpu.memory"
"""Memory of one card in MiB."""
KNOWN_MIB: Mapping[str, int] = {"rtx3060": 12288, "rtx3090": 24576, "rtx4090": 24564}
"""By the value of the label `gpu`, as `nvidia-smi` reports them."""


def card_bytes(labels: Mapping[str, str]) -> int | None:
    """Bytes of the node's card; None where no label says it.

    >>> card_bytes({"gpu": "rtx3060"}) == card_bytes({"nvidia.com/gpu.memory": "12288", "gpu": "own"}) == 12 * 2**30
    True
    >>> card_bytes({"gpu": "own"})
    """
    told = labels.get(MEMORY_LABEL, "")
    mib = int(told) if told.isdigit() else KNOWN_MIB.get(labels.get("gpu", "").lower())
    return mib * MIB if mib else None

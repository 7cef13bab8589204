"""What fits a card beside whom: rows, the seed's two cards, and what is said when it does not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_builders import DIGEST, SETTINGS, owner, service_spec, version_spec

from regimen.plan.admission import CardLoad, ModelSize, Unplaced, estimate, places, refusal, serving_bytes
from regimen.plan.serving import Known, arm_deployment, gguf_for
from regimen.sizing.cards import KNOWN_MIB
from regimen.sizing.memory import MIB, RUNTIME
from regimen.spec.artifacts import ModelShape

GB = 10**9
WIDE = {"layers": 32, "hidden_size": 4096, "intermediate_size": 14336, "heads": 32, "kv_heads": 8, "head_dim": 128}
LLAMA_8B = ModelShape(architecture="LlamaForCausalLM", parameters=8_030_261_248, vocabulary=128256, **WIDE)
MISTRAL_7B = ModelShape(architecture="MistralForCausalLM", parameters=7_241_732_096, vocabulary=32000, **WIDE)
BIG, SMALL = KNOWN_MIB["rtx3090"] * MIB, KNOWN_MIB["rtx3060"] * MIB
OPENINS = ModelSize(5_732_987_392, LLAMA_8B)


def card(node: str = "a", memory: int | None = 24 * GB, free: int = 4, own: int = 0, others: Any = (), cordoned: bool = False) -> CardLoad:
    return CardLoad(node, memory, free, own, tuple(others), cordoned)


ROWS: dict[str, tuple[int, list[CardLoad], list[Unplaced], int]] = {
    "memory bounds": (10 * GB, [card()], [], 2),
    "slices bound": (1 * GB, [card(free=2)], [], 2),
    "who is there takes its share": (7 * GB, [card(others=[("x", 8 * GB)])], [], 2),
    "who waits for a card is counted, too": (7 * GB, [card(others=[("x", 8 * GB)])], [Unplaced(8 * GB, frozenset({"a"}))], 1),
    "but not one that waits for another card": (7 * GB, [card(others=[("x", 8 * GB)])], [Unplaced(8 * GB, frozenset({"b"}))], 2),
    "two cards": (10 * GB, [card(), card("b", 12 * GB, 2)], [], 3),
    "memory that no label says is bounded by slices alone": (10 * GB, [card(memory=None, free=3)], [], 3),
    "a card that takes no new pods has place for those that are there": (1 * GB, [card(own=1, cordoned=True)], [], 1),
    "overfull already": (1 * GB, [card(others=[("x", 30 * GB)])], [], 0),
    "no card": (1 * GB, [], [], 0),
}


@pytest.mark.parametrize("row", ROWS)
def test_places(row: str) -> None:
    each, cards, unplaced, wanted = ROWS[row]
    assert places(service_spec(), each, cards, unplaced) == wanted


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6), st.lists(st.integers(0, 20), max_size=3)), max_size=3))
def test_what_is_admitted_fits(each: int, shapes: list[tuple[int, int, list[int]]]) -> None:
    cards = [card(str(i), memory, free, 0, [("x", size) for size in others]) for i, (memory, free, others) in enumerate(shapes)]
    found = places(service_spec(), each, cards)
    assert found <= sum(item.free for item in cards)
    assert found * each <= sum(max(0, (item.memory or 0) - sum(size for _, size in item.others)) for item in cards)


def test_the_seed_s_cards() -> None:
    """RTX 3090: BiMediX and two of OpenInsurance in 25.8 GB. RTX 3060: BioMistral and TinyLlama in 12.9 GB."""
    openins = service_spec(replicas=2, minAvailable=1, engine={"contextSize": 4096, "parallel": 4})
    found = estimate(openins, OPENINS, [card(memory=BIG, others=[("bimedix", 8_200_000_000)])], [])
    assert found is not None
    assert (found.fits, found.co_resident, found.card_bytes) == (True, ["bimedix"], BIG)
    biomistral = service_spec(replicas=1, minAvailable=0, engine={"contextSize": 4096, "parallel": 2})
    beside = [card(memory=SMALL, free=1, others=[("tinyllama", 3_100_000_000)])]
    found = estimate(biomistral, ModelSize(7_695_000_000, MISTRAL_7B), beside, [])
    assert found is not None
    assert found.fits is True


def test_one_too_many_is_refused_and_says_what_would_help() -> None:
    spec = service_spec(replicas=3, minAvailable=1, engine={"contextSize": 4096, "parallel": 4})
    cards = [card("rtx3090", BIG, others=[("bimedix", 8_200_000_000)])]
    found = estimate(spec, OPENINS, cards, [])
    assert refusal(spec, found, cards, running=0) == (
        "replicas: 3 of 7.3 GB each do not fit beside bimedix (rtx3090 25.8 GB in 4 free slices); lower replicas or engine.contextSize, "
        "or let placement.nodeSelector name other nodes"
    )
    assert refusal(spec, found, cards, running=3) is None, "what runs is never taken away"


def test_what_is_not_known_is_said_and_refuses_nothing() -> None:
    spec = service_spec()
    unlabelled = estimate(spec, OPENINS, [card(memory=None)], [])
    assert unlabelled is not None
    assert unlabelled.note == "the cards' memory is not known: label the nodes nvidia.com/gpu.memory (MiB)"
    shapeless = estimate(spec, ModelSize(2 * GB, None), [card()], [])
    assert shapeless is not None
    assert shapeless.vram_bytes == 2 * GB + RUNTIME
    assert shapeless.note is not None
    nowhere = estimate(spec, OPENINS, [], [])
    assert nowhere is not None
    assert refusal(spec, nowhere, [], running=0) is None


def test_on_the_cpu_there_is_nothing_to_estimate() -> None:
    cpu = service_spec(placement={"gpus": 0})
    assert serving_bytes(cpu, OPENINS) is None
    assert estimate(cpu, OPENINS, [], []) is None


def test_a_version_s_deployment_says_what_its_pods_take() -> None:
    gguf = gguf_for(service_spec(), version_spec())
    assert gguf is not None
    assert gguf.sha256 == DIGEST
    made = arm_deployment(owner("ModelService"), service_spec(), "openins-v1.0", gguf, 4, SETTINGS, Known(OPENINS))
    assert made["metadata"]["annotations"]["regimen.dev/vram-bytes"] == str(serving_bytes(service_spec(), OPENINS))
    assert "annotations" not in made["spec"]["template"]["metadata"], "another estimate restarts nobody"

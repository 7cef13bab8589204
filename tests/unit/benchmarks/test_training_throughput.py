"""The table of the training benchmark: medians, and a way that does not fit is said and not left out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MIB = 1 << 20


@pytest.fixture(scope="module")
def throughput() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
        import training_throughput

        yield training_throughput


def run(tokens: int, seconds: float, **changes: Any) -> dict[str, Any]:
    return {
        "rows": 64, "tokens": tokens, "median": 2048, "seconds": seconds, "peak": 11_500 * MIB, "loss": 9.5, "device": "cuda",
        "way": "micro-batch 1, activations computed again, paged_adamw_8bit", "estimate": 11_540 * MIB,
    } | changes  # fmt: skip


def test_figures_of_a_capped_card(throughput: Any, capsys: pytest.CaptureFixture[str]) -> None:
    throughput.table(
        {"qlora": [run(1000, 2.0), run(1000, 4.0), run(1000, 5.0)], "lora": [{"error": "method.maxLength: a row does not fit"}]}, 12
    )
    said = capsys.readouterr().out
    assert "median of 3 turns; cuda, as a card of 12 GiB" in said
    assert "| regimen, QLoRA | 250 |  | 4.0 | 11500 | 11540 | 9.500 | micro-batch 1, activations computed again, paged_adamw_8bit |" in said
    assert "| regimen, LoRA | method.maxLength: a row does not fit |" in said


def test_speed_is_set_against_the_peer_where_it_ran(throughput: Any, capsys: pytest.CaptureFixture[str]) -> None:
    throughput.table({"trl": [run(1000, 4.0, estimate=0, way="as it comes")], "lora": [run(1000, 2.0)]}, None)
    said = capsys.readouterr().out
    assert "| TRL's defaults, LoRA | 250 | 1.00 | 4.0 | 11500 |  | 9.500 | as it comes |" in said
    assert "| regimen, LoRA | 500 | 2.00 |" in said
    assert "card of" not in said.splitlines()[0]


def test_nothing_fits(throughput: Any, capsys: pytest.CaptureFixture[str]) -> None:
    throughput.table({"lora": [run(1000, 2.0), {"error": "out of memory"}]}, 12)
    assert "| regimen, LoRA | out of memory |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--shape", "tiny", "--kinds", "lora,qlorra"], "--kinds: qlorra is none of"),
        ([], "give --shape, or --base and --dataset"),
        (["--base", "x"], "give --shape, or --base and --dataset"),
        (["--shape", "tiny", "--base", "x", "--dataset", "y"], "give --shape, or --base and --dataset"),
    ],
)
def test_wrong_words_are_refused(
    throughput: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    monkeypatch.setattr("sys.argv", ["training_throughput.py", *arguments])
    with pytest.raises(SystemExit):
        throughput.main()
    assert says in capsys.readouterr().err

"""Being told to stop, and what a desk refuses before anything heavy is loaded."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from regimen.spec.finetune import Method
from regimen_trainer.commands.finetune import finetune_lora
from regimen_trainer.errors import InputError, InterruptedByClusterError
from regimen_trainer.training.desk import RECORD, Request, StoppedAtDesk, check, is_done
from regimen_trainer.training.stop import Stop


def tell(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def test_before_training_a_signal_ends_it_at_once() -> None:
    stop = Stop()
    with pytest.raises(InterruptedByClusterError), stop.listening(signal.SIGTERM):
        tell(signal.SIGTERM)
    assert stop.by == signal.SIGTERM


def test_during_training_a_signal_is_noted() -> None:
    before, stop = signal.getsignal(signal.SIGTERM), Stop()
    with stop.listening(signal.SIGTERM, signal.SIGINT), stop.deferred():
        assert stop.by is None
        tell(signal.SIGINT)
        tell(signal.SIGTERM)
        assert stop.by == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_was_to_follow_a_stopped_command_does_not() -> None:
    assert StoppedAtDesk("checkpoint kept", signal.SIGINT).exit_code == 130


def test_an_adapter_is_not_written_over_by_another_training(tmp_path: Path) -> None:
    assert not is_done(tmp_path, "one")
    (tmp_path / RECORD).write_text(json.dumps({"recipe": "one"}))
    assert is_done(tmp_path, "one")
    with pytest.raises(InputError, match=r"--output_dir: .* another"):
        is_done(tmp_path, "other")


def test_a_base_of_pickles_is_refused_by_the_options_name(tmp_path: Path) -> None:
    for name in ("config.json", "pytorch_model.bin"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match=r"--base_model: .* only as pickles \(pytorch_model\.bin\)"):
        check(Request(tmp_path, tmp_path / "rows.jsonl", tmp_path / "out", Method(), 60))


@pytest.mark.parametrize("spelled", [str, lambda option: option.replace("_", "-")])
def test_options_are_known_in_both_spellings(spelled: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("")
    given = {"--base_model": tmp_path, "--dataset": tmp_path / "rows.jsonl", "--output_dir": tmp_path / "out", "--batch_size": 4}
    options = [str(word) for option, value in given.items() for word in (spelled(option), value)]
    said = CliRunner().invoke(finetune_lora, [*options, spelled("--use_4bit"), "--no-packing"])
    assert (said.exit_code, "--base_model: " in said.output) == (2, True)


def test_an_interval_that_is_none_is_refused() -> None:
    said = CliRunner().invoke(finetune_lora, ["--checkpoint_interval", "soon"])
    assert "give a duration such as 90s, 15m or 1h" in said.output

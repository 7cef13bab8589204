"""The entry of a trainer pod: REGIMEN_TASK in, exit code and one sentence out.

    0  done, the record is in the bucket
    1  failed, another try may help
    2  the input is at fault, another try is useless

The sentence goes to the termination log, where the operator and `kubectl describe` find it.
"""

import os
import signal
import traceback
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import FrameType

from pydantic import ValidationError

from regimen.spec.tasks import Task, TaskAdapter
from regimen.store import Store, StoreError
from regimen_trainer.errors import InputError, InterruptedByClusterError, TrainerError
from regimen_trainer.logs import log

STAGES = {
    "prepare": "regimen_trainer.data.publish",
    "import": "regimen_trainer.importing",
    "train": "regimen_trainer.train",
    "adopt": "regimen_trainer.adopting",
    "convert": "regimen_trainer.convert",
    "evaluate": "regimen_trainer.evaluation.run",
    "compare": "regimen_trainer.evaluation.pairs",
}
"""Module of each kind of task; imported only when it runs, so that no stage waits for another's libraries."""
SENTENCE = 1024


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Run the task; returns the exit code."""
    signal.signal(signal.SIGTERM, _stop)
    termination_log = Path(environ.get("TERMINATION_LOG", "/dev/termination-log"))
    try:
        run(parse(environ), environ)
    except TrainerError as error:
        return _ended(str(error), error.exit_code, termination_log)
    except StoreError as error:
        return _ended(f"the bucket failed: {error}", 1, termination_log)
    except Exception as error:  # noqa: BLE001 - the last resort: what is unknown may quote a record, so only its type and place are told
        return _ended(f"unexpected {type(error).__name__} at {_place(error)}", 1, termination_log)
    return 0


def parse(environ: Mapping[str, str]) -> Task:
    """The task. Raises InputError naming the field that is wrong."""
    if "REGIMEN_TASK" not in environ:
        raise InputError("REGIMEN_TASK is not set; the operator sets it for trainer pods")
    try:
        return TaskAdapter.validate_json(environ["REGIMEN_TASK"])
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise InputError(
            f"REGIMEN_TASK {'.'.join(map(str, first['loc']))}: {first['msg']}; operator and trainer image must be of one release"
        ) from error


def run(task: Task, environ: Mapping[str, str]) -> None:
    """Run the task's stage in the scratch space."""
    log("started", kind=task.kind, namespace=task.namespace)
    scratch = Path(environ.get("REGIMEN_SCRATCH", "/scratch"))
    confine(scratch)
    import_module(STAGES[task.kind]).run(task, Store.from_env(environ), scratch)


def confine(scratch: Path) -> None:
    """Keep libraries off the network and their caches in scratch space; the rest of the pod's disk may be read-only."""
    os.environ |= {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(scratch / "hf"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRITON_CACHE_DIR": str(scratch / "triton"),
        "TRANSFORMERS_VERBOSITY": "error",
        "TRL_EXPERIMENTAL_SILENCE": "1",
    }


def _stop(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM: unwind, so that child processes end and the sentence is written."""
    raise InterruptedByClusterError("the pod was told to stop before the stage was done")


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"


def _ended(sentence: str, code: int, termination_log: Path) -> int:
    log("ended", level="error", message=sentence, exit_code=code)
    try:
        termination_log.write_text(sentence[:SENTENCE])
    except OSError as error:
        log("termination log not written", level="warning", error=type(error).__name__)
    return code

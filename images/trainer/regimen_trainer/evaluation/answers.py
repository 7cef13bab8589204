"""Lets files answer the cases, with the same settings, and keeps what was answered: labels and scores, never texts.

A file is fetched and served only when something is asked that the bucket does not know yet.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from regimen.spec.artifacts import Artifact, Progress, answers_prefix
from regimen.spec.tasks import CompareTask, EvaluateTask
from regimen_trainer.engine import Engine, engine_version, serving
from regimen_trainer.evaluation.cases import Case, digest_of, longest
from regimen_trainer.evaluation.ledger import Ledger
from regimen_trainer.evaluation.metrics import text_scores
from regimen_trainer.logs import log
from regimen_trainer.stage import StageRun
from regimen_trainer.tasks import parse_label
from regimen_trainer.train import cpu_limit

LABEL_TOKENS, TEXT_TOKENS = 16, 512
CONTEXT_MARGIN = 64
SLOTS = 4
SCORES = 1
"""Raised when answers are scored otherwise: what older releases kept is then asked anew."""
Found = TypeVar("Found")


@dataclass(frozen=True)
class Answer:
    """What a file answered on a case, without its words. `label`: of label tasks, None where it names none; `scores`: of text tasks."""

    id: str
    tokens: int
    seconds: float
    cut: bool
    label: str | None = None
    scores: dict[str, float] = field(default_factory=dict)


@dataclass
class Asking:
    """Who asks what, for all files alike."""

    stage: StageRun
    task: EvaluateTask | CompareTask
    cases: Sequence[Case]
    scratch: Path
    slots: int = SLOTS

    @property
    def max_tokens(self) -> int:
        return LABEL_TOKENS if self.task.output == "Label" else TEXT_TOKENS

    @cached_property
    def engine(self) -> str:
        return engine_version()

    def ledger(self, file: Artifact, *what: object) -> Ledger:
        """What is known of a file's answers already. The prefix names the file and all that its entries depend on but the row, which the
        entry's own id names."""
        settings = [SCORES, self.engine, self.task.output, list(self.task.labels), self.max_tokens, *what]
        return Ledger(self.stage.store, answers_prefix(file.sha256, digest_of(*settings)))

    def each(self, cases: Sequence[Case], ask: Callable[[Case], Found], what: str) -> Iterator[tuple[Case, Found]]:
        """Ask of every case, as many at a time as the engine has slots, in the order in which answers come."""
        began, done = time.monotonic(), 0
        pool = ThreadPoolExecutor(self.slots)
        try:
            futures: dict[Future[Found], Case] = {pool.submit(ask, case): case for case in cases}
            for future in as_completed(futures):
                yield futures[future], future.result()
                done += 1
                eta = (time.monotonic() - began) / done * (len(cases) - done)
                self.stage.progress(Progress(step=done, total_steps=len(cases), eta_seconds=eta, message=what, at=datetime.now(UTC)))
        finally:
            # Told to stop: what is queued is dropped, what is asked ends with the engine.
            pool.shutdown(wait=False, cancel_futures=True)
        log("answered", what=what, rows=len(cases), seconds=round(time.monotonic() - began, 1))


class Served:
    """A file that answers."""

    def __init__(self, asking: Asking, name: str, file: Artifact, stack: ExitStack) -> None:
        self.asking, self.name, self.file = asking, name, file
        self._stack = stack

    @cached_property
    def engine(self) -> Engine:
        """The engine; the file is fetched and served from here on."""
        asking, hex_ = self.asking, self.file.sha256.removeprefix("sha256:")
        gguf = asking.scratch / "gguf" / f"{hex_}.gguf"
        asking.stage.say(f"starting {self.name}")
        asking.stage.store.download(self.file.uri, gguf, self.file.sha256)
        self._stack.callback(gguf.unlink)
        context = longest(asking.cases, asking.max_tokens + CONTEXT_MARGIN)
        return self._stack.enter_context(serving(gguf, asking.slots, context, cpu_limit(), asking.scratch / "tools.log"))

    def answers(self, cases: Sequence[Case]) -> list[Answer]:
        """What it answers on cases, in their order; what it has answered before is not asked again."""
        ledger = self.asking.ledger(self.file)
        missing = [case for case in cases if case.key not in ledger.entries]
        try:
            for _, answer in self.asked(missing, self._ask, "answers"):
                ledger.add(asdict(answer))
        finally:
            ledger.flush()
        return [Answer(**ledger.entries[case.key]) for case in cases]

    def asked(self, cases: Sequence[Case], ask: Callable[[Engine, Case], Found], what: str) -> Iterator[tuple[Case, Found]]:
        """Ask the engine of cases; none, and it is not started. In the order of their prompts: what two of them begin with is read once."""
        if cases:
            engine, ordered = self.engine, sorted(cases, key=lambda case: [turn["content"] for turn in case.prompt])
            yield from self.asking.each(ordered, lambda case: ask(engine, case), f"{self.name} {what}")

    def _ask(self, engine: Engine, case: Case) -> Answer:
        asking = self.asking
        reply = engine.answer(case.prompt, asking.max_tokens)
        answer = Answer(case.key, reply.tokens, round(reply.seconds, 3), reply.cut)
        if asking.task.output == "Label":
            return replace(answer, label=parse_label(reply.text, asking.task.labels))
        return replace(answer, scores=text_scores(case.expected, reply.text))


@contextmanager
def served(asking: Asking, name: str, file: Artifact) -> Iterator[Served]:
    """A file to be asked while the block runs."""
    with ExitStack() as stack:
        yield Served(asking, name, file, stack)

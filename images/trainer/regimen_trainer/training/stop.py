"""Being told to stop: SIGTERM from the cluster, Ctrl-C at a desk."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from regimen_trainer.errors import InterruptedByClusterError


class Stop:
    """Whether, and by which signal, this process was told to stop."""

    def __init__(self) -> None:
        self.by: signal.Signals | None = None
        self._deferred = False

    @contextmanager
    def listening(self, *signals: signal.Signals) -> Iterator[None]:
        """Take the signals here. Until training is under way, one raises InterruptedByClusterError at once: nothing is lost then."""
        before = {number: signal.signal(number, self._told) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """While this lasts a signal is only noted: the code inside asks for it, and keeps what would be lost."""
        before, self._deferred = self._deferred, True
        try:
            yield
        finally:
            self._deferred = before

    def _told(self, number: int, _frame: FrameType | None) -> None:
        self.by = signal.Signals(number)
        if not self._deferred:
            raise InterruptedByClusterError("told to stop before training began")

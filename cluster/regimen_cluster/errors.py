"""What can go wrong, as one tree.

ClusterError                 anything this package refuses or fails at; the message says what to do
├── CommandFailed            a program ended with a status other than 0
├── PreflightFailed          the machine lacks something
└── ComponentFailed          a part of the cluster did not come up; carries the tail of its log
"""

from __future__ import annotations


class ClusterError(Exception):
    """Base of every failure that this package raises on purpose."""


class CommandFailed(ClusterError):
    """A program ended with a status other than 0."""

    def __init__(self, argv: list[str], code: int, stderr: str) -> None:
        self.argv = argv
        self.code = code
        self.stderr = stderr
        super().__init__(f"{' '.join(argv)[:300]} ended with {code}: {stderr.strip()[-2000:]}")


class PreflightFailed(ClusterError):
    """The machine lacks something; each line names one thing and its remedy."""

    def __init__(self, missing: list[str]) -> None:
        self.missing = missing
        super().__init__("this machine is not ready:\n" + "\n".join(f"  - {line}" for line in missing))


class ComponentFailed(ClusterError):
    """A component of the cluster died or never became ready."""

    def __init__(self, component: str, why: str, log_tail: list[str]) -> None:
        self.component = component
        tail = "\n".join(f"    {line}" for line in log_tail)
        super().__init__(f"{component}: {why}; the end of its log:\n{tail}")

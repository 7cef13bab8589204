"""Every error of the trainer, and the exit code it ends the pod with.

    TrainerError                exit 1: failed, another try may help
    ├── InputError              exit 2: the input is at fault; the sentence names the field and the remedy
    ├── NonFiniteLossError      exit 2: the loss was not finite three times; the method is at fault
    ├── ToolError               exit 1: a program of the image (llama-server, llama-quantize) failed
    └── InterruptedByClusterError   exit 1: SIGTERM; the window ended or the pod was evicted

Messages never hold the content of a record: they reach pod status and logs.
"""


class TrainerError(Exception):
    """Anything that ends a stage; another try may help."""

    exit_code = 1


class InputError(TrainerError):
    """The input is at fault: trying again is useless."""

    exit_code = 2


class NonFiniteLossError(TrainerError):
    """The loss was not finite for several steps running."""

    exit_code = 2


class ToolError(TrainerError):
    """A program that the stage runs failed or did not answer."""


class InterruptedByClusterError(TrainerError):
    """The pod was told to stop."""

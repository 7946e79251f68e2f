"""What the embedded executor and its workers say to each other, over a ``shared_values.Line``."""

from __future__ import annotations

from typing import Any, NamedTuple


class CalledTask(NamedTuple):
    """One task of a call; ``inputs`` are indices into the values beside the call, which its tasks share."""

    ticket: int
    function: str
    argument: Any
    inputs: tuple[int, ...]
    label: str
    failures: int
    call_seconds: float


class Call(NamedTuple):
    """To a worker: tasks to run one after the other. Their inputs are the values beside it."""

    tasks: tuple[CalledTask, ...]


class CancelCall(NamedTuple):
    """To a worker: the call that begins with this ticket is not wanted any more."""

    ticket: int


class Hello(NamedTuple):
    """From a worker that is ready: the indices of the GPUs that it sees."""

    gpus: tuple[int, ...]


class AtWork(NamedTuple):
    """From a worker: a sign of life of the call that begins with this ticket."""

    ticket: int


class Progress(NamedTuple):
    """From a worker: how far a long task is."""

    ticket: int
    done: int
    total: int


class Ended(NamedTuple):
    """From a worker: its call has ended. ``facts`` of each task; the results of those without an error lie beside.

    Attributes:
        cancelled: the call was cancelled, there are no facts.
    """

    facts: tuple[dict[str, Any], ...]
    cancelled: bool = False

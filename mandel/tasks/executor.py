"""The interface of executors, which run tasks: ``ray_executor``, ``embedded_executor`` and the tests' own.

A task is a function of ``mandel.worker.functions`` by name, an argument, and the
results of earlier tasks as inputs. Results stay where they were made: the
scheduler passes handles on and fetches only the results that it needs itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

# Several frames in flight per GPU hide transfers and the host's share of a task.
TASKS_PER_GPU = 3


@dataclass(frozen=True)
class Task:
    """One piece of work for some worker; a call holds one or several.

    Attributes:
        function: key of ``functions.FUNCTIONS``.
        argument: its unit of work.
        inputs: handles whose results are passed on behind the argument.
        label: the name in Ray's dashboard, e.g. ``"3f2a frame 17"``.
        kind: ``"cpu"`` or ``"gpu"``: which slots it takes.
        avoid: ids of nodes that must not run it.
        failures: how many failed attempts the driver knew of when it submitted the task. A worker that has failed a
            task of the job since then hands it back (``RETURNED_UNTRIED``) instead of trying it.
        memory: bytes that the task takes, if not every slot of a node can have so many at once. The task then starts
            where and when a node has them left. 0: no more than usual.
        call_seconds: a call that has lasted so long begins no further one of its tasks; those left are handed back.
        node: id of the node on which the task starts at once, even if the slots there are full; ``""``: anywhere, once
            a slot is free.
    """

    function: str
    argument: Any
    inputs: tuple[Any, ...] = ()
    label: str = ""
    kind: str = "cpu"
    avoid: frozenset[str] = frozenset()
    failures: int = 0
    memory: int = 0
    call_seconds: float = math.inf
    node: str = ""


def shared_inputs(batch: Sequence[Task]) -> tuple[list[Any], list[tuple[int, ...]]]:
    """The inputs of a call, each once, and for each of its tasks which of them it takes.

    By identity, since arrays (results read from files) have no hash.
    """
    inputs = list({id(handle): handle for task in batch for handle in task.inputs}.values())
    places = {id(handle): place for place, handle in enumerate(inputs)}
    return inputs, [tuple(places[id(handle)] for handle in task.inputs) for task in batch]


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes:
        ticket: what ``submit`` returned.
        handle: the result's handle, None when the task failed.
        info: node, host, device, seconds (wall time of the function).
        error: None, or code and message: ``WORKER_LOST`` when its process died,
            ``WORKER_HUNG`` when it did nothing for too long and was ended for that,
            ``NODE_LOST`` when its node or one of its inputs is gone, ``CANCELLED``, ``RETURNED_UNTRIED`` when
            the worker did not try it, else the error's own code.
    """

    ticket: int
    handle: Any
    info: dict[str, Any]
    error: dict[str, Any] | None = None


class Executor(Protocol):
    """Runs tasks for the scheduler."""

    def slots(self) -> dict[str, int]:
        """How many tasks of each kind run at once, as of now."""

    def memory(self) -> int:
        """Bytes that results may take together."""

    def nodes(self) -> list[dict[str, Any]]:
        """id, host, address, resources (``CPU``, ``GPU``) and liveness of each node."""

    def submit(self, batch: Sequence[Task]) -> list[int]:
        """Starts tasks of one job and kind, one after the other on one worker; returns their tickets at once.

        Their outcomes come together. If their worker dies, all of them have failed, since nobody knows which one
        killed it. Only the first outcome names the node, so that the node's failure counts once.
        """

    def wait(self, timeout: float) -> list[Outcome]:
        """Outcomes of tasks ended since the last call; waits for one at most ``timeout`` s."""

    def progress(self, ticket: int) -> tuple[int, int] | None:
        """How far a long task says it is, (done, total); None while it has said nothing."""

    def heard(self, tickets: Iterable[int]) -> Mapping[int, float]:
        """For each ticket of which a sign of life has come: the seconds since the last one."""

    def fetch(self, handle: Any) -> Any:
        """The result behind a handle."""

    def publish(self, value: Any) -> Any:
        """A handle for a value that no task made."""

    def cancel(self, ticket: int) -> None:
        """Ends a task soon; its outcome may still come."""

    def close(self) -> None:
        """Ends everything that was started."""

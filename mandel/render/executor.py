"""Where tasks run: the interface, and its twin on this machine without Ray.

A task is a function of ``mandel.render.tasks`` by name, an argument, and the
results of earlier tasks as inputs. Results stay where they were made: the
scheduler passes handles on and fetches only what it must have.
"""

from __future__ import annotations

import itertools
import queue
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from mandel.render import tasks


@dataclass(frozen=True)
class Task:
    """One call on some worker.

    Attributes:
        function: key of ``tasks.FUNCTIONS``.
        argument: its unit of work.
        inputs: handles whose results are passed on behind the argument.
        label: what a person reads in the dashboard, e.g. ``"3f2a frame 17"``.
        kind: ``"cpu"`` or ``"gpu"``: which slots it takes.
        avoid: ids of nodes that must not run it.
        failures: failed attempts known of when it was submitted. A worker that has failed its job since
            then hands it back (``HANDED_BACK``) instead of trying it.
    """

    function: str
    argument: Any
    inputs: tuple = ()
    label: str = ""
    kind: str = "cpu"
    avoid: frozenset[str] = frozenset()
    failures: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes:
        ticket: what ``submit`` returned.
        handle: the result's handle, None when the task failed.
        info: node, host, device, seconds (wall time of the function).
        error: None, or code and message: ``WORKER_LOST`` when its process died,
            ``NODE_LOST`` when its node or one of its inputs is gone,
            ``CANCELLED``, ``HANDED_BACK`` when it was not tried, else the error's own code.
    """

    ticket: int
    handle: Any
    info: dict
    error: dict | None = None


class Executor(Protocol):
    """What the scheduler needs of a place to run tasks."""

    def slots(self) -> dict[str, int]:
        """How many tasks of each kind run at once, as of now."""

    def memory(self) -> int:
        """Bytes that results may take together."""

    def nodes(self) -> list[dict]:
        """id, host, address, resources and liveness of each node."""

    def submit(self, task: Task) -> int:
        """Starts a task; returns its ticket at once."""

    def wait(self, timeout: float) -> list[Outcome]:
        """Outcomes of tasks ended since the last call; waits for one at most ``timeout`` s."""

    def progress(self, ticket: int) -> tuple[int, int] | None:
        """How far a long task says it is, (done, total); None while it has said nothing."""

    def fetch(self, handle: Any) -> Any:
        """The result behind a handle."""

    def publish(self, value: Any) -> Any:
        """A handle for a value that was not made by a task."""

    def cancel(self, ticket: int) -> None:
        """Ends a task soon; its outcome may still come."""

    def close(self) -> None:
        """Ends everything that was started."""


class LocalExecutor:
    """Threads of this process in place of a cluster; for tests and small jobs.

    Args:
        workers: tasks that run at once.
        slot: the device all of them share.
    """

    def __init__(self, workers: int = 2, slot: tasks.Slot = tasks.Slot()):
        self._slot = slot
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="mandel-task")
        self._workers = workers
        self._ended: queue.SimpleQueue = queue.SimpleQueue()
        self._tickets = itertools.count(1)
        self._futures: dict = {}
        self._told: dict[int, tuple[int, int]] = {}

    def slots(self) -> dict[str, int]:
        return {"cpu": self._workers}

    def memory(self) -> int:
        return 1 << 30

    def nodes(self) -> list[dict]:
        return [{"id": "local", "host": "localhost", "alive": True, "resources": self.slots()}]

    def submit(self, task: Task) -> int:
        ticket = next(self._tickets)
        future = self._pool.submit(
            tasks.run, task.function, task.argument, self._slot, *task.inputs, label=task.label,
            failures=task.failures, tell=lambda *progress: self._told.__setitem__(ticket, progress),
        )
        self._futures[ticket] = future
        future.add_done_callback(lambda done: self._ended.put((ticket, done)))
        return ticket

    def wait(self, timeout: float) -> list[Outcome]:
        outcomes: list[Outcome] = []
        try:
            ended = self._ended.get(timeout=timeout)
            while True:
                outcomes.append(self._outcome(*ended))
                ended = self._ended.get_nowait()
        except queue.Empty:
            return outcomes

    def _outcome(self, ticket: int, future) -> Outcome:
        self._futures.pop(ticket, None)
        self._told.pop(ticket, None)
        if future.cancelled():
            return Outcome(ticket, None, {}, {"code": "CANCELLED", "message": "cancelled"})
        result, info = future.result()
        error = info.pop("error", None)
        return Outcome(ticket, None if error else result, {"node": "local", **info}, error)

    def progress(self, ticket: int) -> tuple[int, int] | None:
        return self._told.get(ticket)

    def fetch(self, handle: Any) -> Any:
        return handle

    def publish(self, value: Any) -> Any:
        return value

    def cancel(self, ticket: int) -> None:
        if (future := self._futures.get(ticket)) is not None:
            future.cancel()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

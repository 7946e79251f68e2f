"""The executor on threads of this process: the twin of the Ray one, for tests and small jobs."""

from __future__ import annotations

import itertools
import queue
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mandel.cluster import tasks
from mandel.cluster.executor import Outcome, Task


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

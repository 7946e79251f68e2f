"""The executor on threads of this process: the twin of the Ray one, for tests and small jobs."""

from __future__ import annotations

import itertools
import queue
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from mandel.tasks.executor import Outcome, Task
from mandel.worker import functions


class LocalExecutor:
    """Threads of this process in place of a cluster; for tests and small jobs.

    Args:
        workers: tasks that run at once.
        slot: the device all of them share.
    """

    def __init__(self, workers: int = 2, slot: functions.Slot = functions.Slot()):
        self._slot = slot
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="mandel-task")
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="mandel-beside")  # for tasks that name a node
        self._workers = workers
        self._ended: queue.SimpleQueue = queue.SimpleQueue()
        self._tickets = itertools.count(1)
        self._calls: dict[int, tuple[Future, list[int]]] = {}  # by ticket, with all tickets of the call
        self._unwanted: set[int] = set()
        self._told: dict[int, tuple[int, int]] = {}

    def slots(self) -> dict[str, int]:
        return {"cpu": self._workers}

    def memory(self) -> int:
        return 1 << 30

    def nodes(self) -> list[dict]:
        return [{"id": "local", "host": "localhost", "alive": True, "resources": {"CPU": self._workers}}]

    def submit(self, batch: Sequence[Task]) -> list[int]:
        tickets = list(itertools.islice(self._tickets, len(batch)))
        pool = self._beside if batch[0].node else self._pool
        future = pool.submit(self._run, tickets, batch)
        self._calls |= dict.fromkeys(tickets, (future, tickets))
        future.add_done_callback(lambda done: self._ended.put((tickets, done)))
        return tickets

    def _run(self, tickets: list[int], batch: Sequence[Task]) -> list[tuple[Any, dict]]:
        began = time.monotonic()
        return [
            functions.run(
                task.function,
                task.argument,
                self._slot,
                *task.inputs,
                label=task.label,
                failures=task.failures,
                in_time=task is batch[0] or time.monotonic() - began < task.call_seconds,
                tell=lambda *progress, ticket=ticket: self._told.__setitem__(ticket, progress),
            )
            for ticket, task in zip(tickets, batch, strict=True)
        ]

    def wait(self, timeout: float) -> list[Outcome]:
        outcomes: list[Outcome] = []
        try:
            ended = self._ended.get(timeout=timeout)
            while True:
                outcomes += self._outcomes(*ended)
                ended = self._ended.get_nowait()
        except queue.Empty:
            return outcomes

    def _outcomes(self, tickets: list[int], future: Future) -> list[Outcome]:
        for ticket in tickets:
            self._calls.pop(ticket, None)
            self._told.pop(ticket, None)
            self._unwanted.discard(ticket)
        if future.cancelled():
            return [
                Outcome(ticket, None, {}, {"code": "CANCELLED", "message": "cancelled"}) for ticket in tickets
            ]
        return [self._outcome(ticket, *ended) for ticket, ended in zip(tickets, future.result(), strict=True)]

    def _outcome(self, ticket: int, result: Any, info: dict) -> Outcome:
        error = info.pop("error", None)
        return Outcome(ticket, None if error else result, {"node": "local", **info}, error)

    def progress(self, ticket: int) -> tuple[int, int] | None:
        return self._told.get(ticket)

    def heard(self, tickets: Iterable[int]) -> dict[int, float]:
        """As the interface says: threads of this process are at work when they run."""
        return {t: 0.0 for t in tickets if t in self._calls and self._calls[t][0].running()}

    def fetch(self, handle: Any) -> Any:
        return handle

    def publish(self, value: Any) -> Any:
        return value

    def cancel(self, ticket: int) -> None:
        if ticket not in self._calls:
            return  # it has ended
        self._unwanted.add(ticket)
        future, tickets = self._calls[ticket]
        if self._unwanted.issuperset(tickets):
            future.cancel()

    def close(self) -> None:
        for pool in (self._pool, self._beside):
            pool.shutdown(wait=True, cancel_futures=True)

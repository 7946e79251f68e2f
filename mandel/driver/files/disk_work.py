"""Work on the disk, off the driver's loop: each job has a thread of its own.

The loop asks for a piece of work and says what to do with its answer. A disk that hangs holds up the job whose
files it has, and nobody else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple, TypeVar

_T = TypeVar("_T")
_Then = Callable[[Any], object]


class _Asked(NamedTuple):
    """A piece of work whose answer was not taken yet."""

    job: str
    answer: Future[Any]
    then: _Then
    slot: str
    asked: float


class DiskWork:
    """Pieces of work by job. Those of one job are done one after the other, in the order in which they were asked for.

    Args:
        wake: called, from any thread, when a piece is done.
        most: a job with so many pieces is full.
        soon: seconds within which answers come, as a rule. So long their tasks have slots.
        clock: what time it is.
        thread: makes what runs the pieces of one job.
    """

    def __init__(
        self,
        wake: Callable[[], None],
        most: int,
        soon: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        thread: Callable[[], Executor] = lambda: ThreadPoolExecutor(1, "mandel-disk"),
    ):
        self._wake, self._most, self._soon, self._clock, self._thread = wake, most, soon, clock, thread
        self._threads: dict[str, Executor] = {}
        self._asked: list[_Asked] = []

    def ask(self, job: str, act: Callable[[], _T], then: Callable[[_T], object], slot: str = "") -> None:
        """Has a job's thread do ``act``.

        Args:
            then: takes what ``act`` gave; its owner calls it, see ``answers``.
            slot: the kind of slot whose task waits for the answer, if one does.
        """
        thread = self._threads.get(job) or self._threads.setdefault(job, self._thread())
        answer = thread.submit(act)
        self._asked.append(_Asked(job, answer, then, slot, self._clock()))
        answer.add_done_callback(lambda _: self._wake())

    def answers(self) -> list[tuple[str, Callable[[], Any], _Then]]:
        """What is done: its job, what gives the answer or raises what the work raised, and what takes it. Told once."""
        done = [one for one in self._asked if one.answer.done()]
        if done:
            self._asked = [one for one in self._asked if one not in done]
        return [(one.job, one.answer.result, one.then) for one in done]

    def is_full(self, job: str) -> bool:
        """Whether nothing more should begin that would have to wait for this job's thread."""
        return sum(one.job == job for one in self._asked) >= self._most

    def is_busy(self, job: str) -> bool:
        """Whether a job has work on the disk."""
        return any(one.job == job for one in self._asked)

    def late(self, seconds: float) -> set[str]:
        """The jobs that have waited for an answer for so long."""
        return {one.job for one in self._asked if self._clock() - one.asked > seconds}

    def waiting(self, slot: str) -> int:
        """How many tasks for a kind of slot wait for an answer that is due. For one that is late no slot is kept."""
        return sum(one.slot == slot and self._may_come(one) for one in self._asked)

    @property
    def is_due(self) -> bool:
        """Whether an answer may come any moment. One that is late may never come."""
        return any(self._may_come(one) for one in self._asked)

    @property
    def busy(self) -> bool:
        """Whether any job has work on the disk."""
        return bool(self._asked)

    def wait(self, timeout: float) -> None:
        """Returns when a piece of work is done, after ``timeout`` seconds at the latest."""
        wait([one.answer for one in self._asked], timeout, FIRST_COMPLETED)

    def begin_no_tasks(self) -> None:
        """Drops that for which tasks wait: they are not wanted any more."""
        self._drop([one for one in self._asked if one.slot])

    def forget(self, job: str) -> None:
        """A job is over: what it has under way is not wanted any more."""
        self._drop([one for one in self._asked if one.job == job])
        if (thread := self._threads.pop(job, None)) is not None:
            thread.shutdown(wait=False)

    def _may_come(self, asked: _Asked) -> bool:
        return self._clock() - asked.asked < self._soon

    def _drop(self, dropped: list[_Asked]) -> None:
        self._asked = [one for one in self._asked if one not in dropped]
        for one in dropped:
            one.answer.cancel()

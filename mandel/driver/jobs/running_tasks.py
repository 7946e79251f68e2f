"""The tasks that were submitted and have not ended: whose they are, in which calls, and which take too long."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.policy import DEFAULT_POLICY, Clock, SchedulingPolicy
from mandel.driver.jobs.stragglers import Stragglers
from mandel.driver.recipes.recipe import REFERENCE, SEGMENT, WorkItem
from mandel.tasks.executor import Executor, Outcome, Task

# The kind of slot of what runs beside all slots.
_BESIDE = "beside"


class RunningTask(NamedTuple):
    """One task under way."""

    job: JobRun
    item: WorkItem
    task: Task
    call: int  # tasks of the same call run one after the other on one worker
    ticket: int

    @property
    def slot(self) -> str:
        """The kind of slot that it takes."""
        return _BESIDE if self.task.node else self.task.kind


class RunningTasks:
    """The executor's tasks by ticket.

    Args:
        executor: where they run.

    Attributes:
        calls: how many there are on each kind of slot.
    """

    def __init__(
        self, executor: Executor, policy: SchedulingPolicy = DEFAULT_POLICY, clock: Clock = time.monotonic
    ):
        self._policy = policy
        self._executor = executor
        self.calls: Counter[str] = Counter()
        self._by_ticket: dict[int, RunningTask] = {}
        self._abandoned: set[int] = set()  # tickets whose outcomes are not wanted, and still to come
        self._numbers = itertools.count()
        self._sizes: Counter[int] = Counter()  # tasks by call
        self._tasks: dict[
            tuple[JobRun, str], Counter[str]
        ] = {}  # by job and kind of slot: how many of each kind of item
        self._stragglers = Stragglers(policy, clock)
        self._copied: set[tuple[JobRun, WorkItem]] = set()
        self._heard: dict[int, tuple[int, int] | None] = {}  # what long tasks last said of their progress

    def __len__(self) -> int:
        return len(self._by_ticket) + len(self._abandoned)

    @property
    def wanted(self) -> bool:
        """Whether there are tasks that were not abandoned."""
        return bool(self._by_ticket)

    def of(self, job: JobRun, kind: str) -> Counter[str]:
        """A job's tasks on slots of a kind: how many of each kind of item."""
        return self._tasks.get((job, kind), Counter())

    @property
    def jobs(self) -> set[JobRun]:
        """Those that have tasks under way."""
        return {job for job, _ in self._tasks}

    def served(self, slots: Mapping[str, int]) -> set[JobRun]:
        """Jobs of which a slot does something: it takes calls in the order in which they were submitted."""
        calls: dict[str, set[int]] = {}  # by kind of slot
        jobs = set()
        for task_run in self._by_ticket.values():
            seen = calls.setdefault(task_run.slot, set())
            seen.add(task_run.call)
            if len(seen) <= slots.get(task_run.slot, 0):
                jobs.add(task_run.job)
        return jobs

    def held(self, slots: Mapping[str, int]) -> Counter[str]:
        """Slots by kind that a call has held for long: who comes next need not wait behind it."""
        calls: dict[str, set[int]] = {kind: set() for kind in slots}
        for ticket, task_run in self._by_ticket.items():
            if self._stragglers.age(ticket) < self._policy.held_seconds:
                break  # as are all that come after it
            seen = calls.get(task_run.slot, set())
            if len(seen) < slots.get(task_run.slot, 0):
                seen.add(task_run.call)
        return Counter({kind: len(seen) for kind, seen in calls.items()})

    def beside(self) -> list[RunningTask]:
        """The running tasks that hold no slot: those of clients that waited too long (express.py)."""
        return (
            [task_run for task_run in self._by_ticket.values() if task_run.slot == _BESIDE]
            if self.calls[_BESIDE]
            else []
        )

    def tasks(self, job: JobRun) -> list[tuple[WorkItem, Task]]:
        """The items of a job that are being made, in the order in which they were submitted, each with a task of it."""
        return list({f.item: f.task for f in self._by_ticket.values() if f.job is job}.items())

    def age(self, task_run: RunningTask) -> float:
        """Seconds since a task was submitted."""
        return self._stragglers.age(task_run.ticket)

    def submit(self, job: JobRun, batch: Sequence[tuple[WorkItem, Task]]) -> None:
        """Starts tasks of one job, one after the other on one worker."""
        call = next(self._numbers)
        for ticket, (item, task) in zip(
            self._executor.submit([task for _, task in batch]), batch, strict=True
        ):
            copies = len(self._copies(job, item)) if (job, item) in self._copied else 0
            self._by_ticket[ticket] = task_run = RunningTask(job, item, task, call, ticket)
            self._tasks.setdefault((job, task_run.slot), Counter())[item.kind] += 1
            self.calls[task_run.slot] += not self._sizes[call]
            self._sizes[call] += 1
            self._stragglers.submitted(ticket, call, job.name, item.kind, task_run.slot, copies)

    def end(self, outcome: Outcome) -> RunningTask | None:
        """Takes an ended task out, and copies of it as well; None if a copy of it was sooner."""
        if outcome.ticket not in self._by_ticket:
            self._abandoned.discard(outcome.ticket)
            self._stragglers.ended(outcome.ticket)
            return None
        task_run = self._take_out(outcome.ticket)
        self._stragglers.ended(outcome.ticket, None if outcome.error else outcome.info.get("seconds"))
        if (task_run.job, task_run.item) in self._copied:
            self.abandon(task_run.job, task_run.item)
        return task_run

    def abandon(self, job: JobRun, item: WorkItem) -> None:
        """Ends all tasks that make ``item``: their outcomes are not wanted any more."""
        self._copied.discard((job, item))
        for ticket in self._copies(job, item):
            self._take_out(ticket)
            self._stragglers.unwanted(ticket)
            self._abandoned.add(ticket)
            self._executor.cancel(ticket)

    def _take_out(self, ticket: int) -> RunningTask:
        task_run = self._by_ticket.pop(ticket)
        self._heard.pop(ticket, None)
        job, call, slot = task_run.job, task_run.call, task_run.slot
        tasks = self._tasks[job, slot]
        tasks[task_run.item.kind] -= 1
        if not tasks.total():
            del self._tasks[job, slot]
        self._sizes[call] -= 1
        if not self._sizes[call]:
            del self._sizes[call]
            self.calls[slot] -= 1
        return task_run

    def cancel(self, name: str) -> None:
        """A job is over: its tasks end soon."""
        self._stragglers.forget(name)
        for ticket, task_run in self._by_ticket.items():
            if task_run.job.name == name:
                self._executor.cancel(ticket)

    def late(self, slots: dict[str, int], jobs: Iterable[JobRun]) -> Iterator[tuple[RunningTask, int]]:
        """Tasks of ``jobs`` that take suspiciously long and give no sign of life.

        Yields:
            Each with the number of running tasks that make the same item, itself included.
        """
        wanted = {job.name: job for job in jobs}
        for ticket in self._stragglers.late(slots, self._executor.heard):
            if (task_run := self._by_ticket.get(ticket)) is None:
                continue  # abandoned with another copy of it
            job, item = task_run.job, task_run.item
            if wanted.get(job.name) is not job:
                continue
            said = self._executor.progress(ticket) if item.kind == REFERENCE else None
            if said != self._heard.get(ticket):
                self._heard[ticket] = said
                self._stragglers.goes_on(ticket)
            else:
                yield task_run, len(self._copies(job, item))

    def slower(self, kind: str) -> Iterator[RunningTask]:
        """What other kinds of slots have been at for longer than one of ``kind`` would need, waiting included."""
        for ticket, task_run in list(self._by_ticket.items()):
            job, item = task_run.job, task_run.item
            if task_run.slot in (kind, _BESIDE) or item.kind == SEGMENT or (job, item) in self._copied:
                continue
            own = job.timings.mean(job.cost_class(item), kind)
            if own is None:
                continue
            patience = max(self._policy.take_over_factor * own, self._policy.take_over_seconds)
            if self._stragglers.age(ticket) > patience:
                yield task_run

    def copy(self, job: JobRun, batch: Sequence[tuple[WorkItem, Task]]) -> None:
        """Starts tasks of which there may be some already; the first to end counts."""
        self._copied |= {(job, item) for item, _ in batch}
        self.submit(job, batch)

    def progress(self) -> Iterator[tuple[JobRun, WorkItem, int, int]]:
        """How far the long tasks are: job, item, done, total."""
        for ticket, (job, item, *_) in self._by_ticket.items():
            if item.kind == REFERENCE and (said := self._executor.progress(ticket)) is not None:
                yield job, item, *said

    def _copies(self, job: JobRun, item: WorkItem) -> list[int]:
        return [ticket for ticket, f in self._by_ticket.items() if f.job is job and f.item == item]

"""Tasks submitted and not ended: whose they are, how many calls they make, which of them take too long."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mandel.cluster.executor import Executor, Outcome, Task
from mandel.cluster.job import Job
from mandel.cluster.recipe import REFERENCE, Item
from mandel.cluster.stragglers import Stragglers


class Flight(NamedTuple):
    """One task under way."""

    job: Job
    item: Item
    task: Task
    call: int  # tasks of the same call run one after the other on one worker


class InFlight:
    """The executor's tasks by ticket.

    Args:
        executor: where they run.
    """

    def __init__(self, executor: Executor):
        self._executor = executor
        self._flights: dict[int, Flight] = {}
        self._calls = itertools.count()
        self._stragglers = Stragglers()
        self._copied: set[tuple[str, Item]] = set()
        self._heard: dict[int, tuple[int, int] | None] = {}  # what long tasks last said of their progress

    def __len__(self) -> int:
        return len(self._flights)

    def of(self, job: Job, kind: str) -> list[Task]:
        """A job's tasks on slots of a kind."""
        return [f.task for f in self._flights.values() if f.task.kind == kind and f.job is job]

    def calls(self) -> Counter:
        """How many calls there are on each kind of slot."""
        return Counter(kind for kind, _ in {(f.task.kind, f.call) for f in self._flights.values()})

    def submit(self, job: Job, together: Sequence[tuple[Item, Task]]) -> None:
        """Starts tasks of one job, one after the other on one worker."""
        call = next(self._calls)
        for ticket, (item, task) in zip(self._executor.submit([task for _, task in together]), together):
            copies = len(self._copies(job, item)) if (job.name, item) in self._copied else 0
            self._flights[ticket] = Flight(job, item, task, call)
            self._stragglers.begun(ticket, job.name, item.kind, task.kind, copies)

    def end(self, outcome: Outcome) -> Flight | None:
        """Takes an ended task out, and copies of it as well; None if a copy of it was sooner."""
        if (flight := self._flights.pop(outcome.ticket, None)) is None:
            return None
        self._heard.pop(outcome.ticket, None)
        self._stragglers.ended(outcome.ticket, None if outcome.error else outcome.info.get("seconds"))
        if (flight.job.name, flight.item) in self._copied:
            self.abandon(flight.job, flight.item)
        return flight

    def abandon(self, job: Job, item: Item) -> None:
        """Ends all tasks that make ``item``: their outcomes are not wanted any more."""
        self._copied.discard((job.name, item))
        for ticket in self._copies(job, item):
            del self._flights[ticket]
            self._heard.pop(ticket, None)
            self._stragglers.ended(ticket)
            self._executor.cancel(ticket)

    def cancel(self, name: str) -> None:
        """A job is over: its tasks end soon."""
        self._stragglers.forget(name)
        for ticket, flight in self._flights.items():
            if flight.job.name == name:
                self._executor.cancel(ticket)

    def late(self, slots: dict[str, int], jobs: Iterable[Job]) -> Iterator[tuple[Flight, int]]:
        """Tasks of ``jobs`` that take suspiciously long and say nothing, and how many make the same item."""
        wanted = {job.name: job for job in jobs}
        for ticket in self._stragglers.late(slots):
            if (flight := self._flights.get(ticket)) is None:
                continue  # abandoned with another copy of it
            self._stragglers.ended(ticket)
            job, item, task, _ = flight
            if wanted.get(job.name) is not job:
                continue
            said = self._executor.progress(ticket) if item.kind == REFERENCE else None
            if said != self._heard.get(ticket):
                self._heard[ticket] = said
                self._stragglers.begun(ticket, job.name, item.kind, task.kind)
            else:
                yield flight, len(self._copies(job, item))

    def copy(self, job: Job, item: Item, task: Task) -> None:
        """Starts a late task once more; the first to end counts."""
        self._copied.add((job.name, item))
        self.submit(job, [(item, task)])

    def progress(self) -> Iterator[tuple[Job, Item, int, int]]:
        """How far the long tasks are: job, item, done, total."""
        for ticket, (job, item, _, _) in self._flights.items():
            if item.kind == REFERENCE and (said := self._executor.progress(ticket)) is not None:
                yield job, item, *said

    def _copies(self, job: Job, item: Item) -> list[int]:
        return [ticket for ticket, f in self._flights.items() if f.job is job and f.item == item]

"""What starts now, and where: slots that are free are given tasks, jobs by turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mandel.cluster.accounts import Accounts
from mandel.cluster.copies import Copies
from mandel.cluster.executor import Executor, Task
from mandel.cluster.express import Express
from mandel.cluster.in_flight import InFlight
from mandel.cluster.job import Job
from mandel.cluster.memory import Taken, room, room_ahead, taken
from mandel.cluster.pace import frames_together, unwise
from mandel.cluster.recipe import REFERENCE, SEGMENT, Grade, Item
from mandel.plan.orbit_room import announcement

MAX_ATTEMPTS = 3
# A node that failed one of a job's tasks gets none of them for a while, one that fails so many in a row no more.
MAX_BLAME = 2
_SUSPECT_SECONDS = 15.0
# More calls per slot than can run: a worker never waits for this loop, least of all one that takes 2 ms.
_IN_FLIGHT = {"cpu": 2, "gpu": 4}


class Dispatcher:
    """Chooses what starts next and submits it.

    Args:
        executor: where tasks run.
        jobs: the jobs under way, by name, as their owner keeps them.
        accounts: whose turn it is.
        in_flight: the tasks under way.
        guard: called as ``guard(job, step, *args)``; what the step gives, None if it raised and the job failed.
        recall: called as ``recall(job, item, task)``; whether what the task would make is there already.
        say: called as ``say(job, message, level)`` with what a person may want to know.

    Attributes:
        failures: failed attempts of any job so far, which its owner counts.
    """

    def __init__(
        self,
        executor: Executor,
        jobs: Mapping[str, Job],
        accounts: Accounts,
        in_flight: InFlight,
        guard: Callable[..., Any],
        recall: Callable[[Job, Item, Task], bool],
        say: Callable[[Job, str, str], None],
    ):
        self._executor, self._jobs, self._accounts, self._in_flight = executor, jobs, accounts, in_flight
        self._guard, self._recall, self._say = guard, recall, say
        self._copies = Copies(in_flight, jobs, say, self._addressed)
        self._express = Express(executor, jobs, accounts, in_flight)
        self._taken: Taken | None = None  # as of now, if it was summed up since something changed
        self.failures = 0

    def fill(self) -> None:
        """Hands out what fits."""
        slots = self._executor.slots()
        calls = self._in_flight.calls
        ahead = room_ahead(len(self._jobs), self._executor.memory())
        for job in list(self._jobs.values()):
            self._guard(job, job.look_ahead, sum(slots.values()), ahead)
        self.changed()
        for kind, count in slots.items():
            while calls[kind] < _IN_FLIGHT[kind] * count and self._hand_out(kind, slots):
                pass
            if len(slots) > 1 and calls[kind] < count:
                self._copies.take_over(kind, count - calls[kind], slots)
        self._hand_out_beside(slots)

    def late(self) -> Iterator[tuple[Job, Item, dict]]:
        """Starts late tasks once more; yields those of which that is in vain, as failed by an error."""
        return self._copies.hurry(self._executor.slots())

    def changed(self) -> None:
        """Jobs have come or gone, or what they take has changed."""
        self._taken = None

    def submit(self, job: Job, together: Sequence[tuple[Item, Task]]) -> None:
        """Starts tasks of a job, one after the other on one worker, unless it was given up meanwhile."""
        if self._jobs.get(job.name) is job:
            kinds = self._executor.slots()
            tasks = [(item, job.last_resort(item, task, MAX_ATTEMPTS, kinds)) for item, task in together]
            self._announce(job, tasks)
            self._in_flight.submit(job, [(item, self._addressed(job, task)) for item, task in tasks])

    def _announce(self, job: Job, tasks: Sequence[tuple[Item, Task]]) -> None:
        for item, task in tasks:
            if item.kind == REFERENCE:
                self._say(job, announcement(task.argument.limit), "info")

    def _hand_out(self, kind: str, slots: dict[str, int]) -> bool:
        """Gives one slot of ``kind`` something to do; whether there was anything."""
        while (given := self._choose(kind, slots)) is not None:
            job, *first = given
            if self._recall(job, *first):
                continue
            batch = [first]
            most = 1 if job.is_alone(first[0]) else frames_together(job, kind, slots)
            while (
                len(batch) < most
                and (more := self._next(job, kind, self._unwise(job, kind, slots))) is not None
            ):
                if self._recall(job, *more):
                    continue
                if job.is_alone(more[0]):
                    self.submit(job, [more])
                    break
                batch.append(more)
            self.submit(job, batch)
            return True
        return False

    def _choose(self, kind: str, slots: dict[str, int]) -> tuple[Job, Item, Task] | None:
        for job in self._accounts.ranked(self._jobs.values()):
            left = self._unwise(job, kind, slots) if job.frames_left else None
            if left is not None and (given := self._next(job, kind, left)) is not None:
                return job, *given
        return None

    def _unwise(self, job: Job, kind: str, slots: dict[str, int]) -> frozenset[Grade]:
        return unwise(job, kind, slots, self._in_flight.of(job, kind))

    def _next(self, job: Job, kind: str, left: frozenset[Grade]) -> tuple[Item, Task] | None:
        given = self._guard(job, job.next, kind, left, partial(self._room, job))
        if given is not None:
            self.changed()
        return given

    def _room(self, job: Job) -> float:
        self._taken = self._taken or taken(self._jobs.values())
        return room(job, self._taken, self._executor.memory())

    def _hand_out_beside(self, slots: dict[str, int]) -> None:
        """Starts a task beside full slots for each client that has waited for a slot, as far as there are places."""
        waiting = self._express.waiting(slots)
        kind = "cpu" if "cpu" in slots else "gpu"
        for job in self._accounts.ranked(self._jobs.values()) if waiting else ():
            if job.client not in waiting:
                continue
            place = self._express.place(kind, job.shunned(MAX_BLAME, _SUSPECT_SECONDS))
            if place is None:
                return
            if (given := self._first(job, kind)) is not None:
                waiting.discard(job.client)
                item, task = given
                kind_of_it = task.kind if item.kind == SEGMENT else kind
                task = replace(self._addressed(job, task), kind=kind_of_it, node=self._express.take(place))
                self._announce(job, [(item, task)])
                self._in_flight.copy(job, item, task)

    def _first(self, job: Job, kind: str) -> tuple[Item, Task] | None:
        """What a job waits for: its next task, or one that waits for a slot already."""
        while (given := self._next(job, kind, frozenset())) is not None:
            if not self._recall(job, *given):
                return given
        return self._in_flight.first(job)

    def _addressed(self, job: Job, task: Task) -> Task:
        """The task, saying which nodes must not run it and how many failures are known."""
        avoid = job.shunned(MAX_BLAME, _SUSPECT_SECONDS)
        if avoid:  # but not all that have such slots: it would wait for ever
            able = {
                n["id"]
                for n in self._executor.nodes()
                if n["alive"] and n["resources"].get(task.kind.upper())
            }
            avoid = avoid & able if able - avoid else set()
        return replace(task, avoid=frozenset(avoid), failures=self.failures, node="")

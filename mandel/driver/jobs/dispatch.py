"""Chooses what starts next, and on which slot. Jobs take turns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mandel.driver.files.disk_work import DiskWork
from mandel.driver.jobs.copies import Copies
from mandel.driver.jobs.cpu_gpu_split import items_per_batch, left_to_others
from mandel.driver.jobs.express import Express
from mandel.driver.jobs.fair_share import FairShare
from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.memory import Taken, room, room_ahead, taken
from mandel.driver.jobs.policy import Clock, SchedulingPolicy
from mandel.driver.jobs.running_tasks import RunningTasks
from mandel.driver.recipes.recipe import COSTS, FRAME, REFERENCE, SEGMENT, CostClass, WorkItem
from mandel.plan.orbit_memory import announcement
from mandel.tasks.executor import Executor, Task


class Dispatcher:
    """Chooses what starts next and submits it.

    Args:
        executor: where tasks run.
        jobs: the jobs under way, by name, as their owner keeps them.
        fair_share: whose turn it is.
        running: the tasks under way.
        guard: called as ``guard(job, step, *args)``; what the step gives, None if it raised and the job failed.
        fetch: called as ``fetch(job, item, task)``; whether the disk is asked first for something of the task.
        disk: what jobs do on the disk.
        say: called as ``say(job, message, level)`` with what a person may want to know.
        policy: when and how often.
        clock: what time it is.

    Attributes:
        failures: failed attempts of any job so far, which its owner counts.
    """

    def __init__(  # noqa: PLR0913
        self,
        executor: Executor,
        jobs: Mapping[str, JobRun],
        fair_share: FairShare,
        running: RunningTasks,
        guard: Callable[..., Any],
        fetch: Callable[[JobRun, WorkItem, Task], bool],
        disk: DiskWork,
        say: Callable[[JobRun, str, str], None],
        policy: SchedulingPolicy,
        clock: Clock,
    ):
        self._policy, self._clock = policy, clock
        self._executor, self._jobs, self._fair_share, self._running = executor, jobs, fair_share, running
        self._guard, self._fetch, self._disk, self._say = guard, fetch, disk, say
        self._copies = Copies(running, jobs, say, self._addressed)
        self._express = Express(executor, jobs, fair_share, running, policy, clock)
        self._taken: Taken | None = None  # as of now, if it was summed up since something changed
        self._free: dict[str, int] = {}  # slots by kind that no long call holds, or all if all are held
        self.failures = 0

    def fill(self) -> None:
        """Hands out what fits."""
        slots = self._executor.slots()
        calls = self._running.calls
        ahead = room_ahead(len(self._jobs), self._executor.memory(), self._policy)
        for job in list(self._jobs.values()):
            self._guard(job, job.frontier.prefetch, sum(slots.values()), ahead)
        self.changed()
        held = self._running.held(slots)
        if held.total() == sum(slots.values()):
            held.clear()  # whoever waits gets a place beside them
        self._free = {kind: count - held[kind] for kind, count in slots.items()}
        for kind, count in slots.items():
            # If none, what is handed out would wait behind what holds them, while another kind has slots.
            free = self._free[kind]
            most = held[kind] + self._policy.queued_calls[kind] * free
            while calls[kind] + self._disk.waiting(kind) < most and self._hand_out(
                kind, slots, free, scarce=bool(held.total())
            ):
                pass
            if len(slots) > 1 and calls[kind] < count:
                self._copies.take_over(kind, count - calls[kind], slots)
        self._hand_out_beside(slots)

    def late(self) -> Iterator[tuple[JobRun, WorkItem, dict[str, Any]]]:
        """Starts late tasks once more; yields those of which that is in vain, as failed by an error."""
        return self._copies.hurry(self._executor.slots())

    def changed(self) -> None:
        """Jobs have come or gone, or what they take has changed."""
        self._taken = None

    def submit(self, job: JobRun, batch: Sequence[tuple[WorkItem, Task]]) -> None:
        """Starts tasks of a job, one after the other on one worker, unless it was given up meanwhile."""
        if self._jobs.get(job.name) is job:
            kinds = self._executor.slots()
            tasks = [(item, job.attempts.final_on_other_kind(item, task, kinds)) for item, task in batch]
            self._announce(job, tasks)
            self._running.submit(job, [(item, self._addressed(job, task)) for item, task in tasks])

    def _announce(self, job: JobRun, tasks: Sequence[tuple[WorkItem, Task]]) -> None:
        for item, task in tasks:
            if item.kind == REFERENCE:
                self._say(job, announcement(task.argument.limit), "info")

    def _hand_out(self, kind: str, slots: dict[str, int], free: int, scarce: bool) -> bool:
        """Gives slots of ``kind``, of which so many are free, something to do; whether there was anything.

        Usually that is one call. Where slots are ``scarce``, as long calls hold some, each call takes a while. Then all
        that a first frame needs is dealt out, in one call for each free slot.
        """
        is_idle = self._running.calls[kind] < slots[kind]
        if (given := self._choose(kind, slots, is_idle)) is None:
            return False
        job, item, task = given
        ahead = _ahead(job, is_idle)
        if self._fetch(job, item, task):
            return True
        batch, most, parts, seconds = [(item, task)], 1, 1, math.inf
        if scarce and not job.frontier.is_begun and not _is_alone(job, item):
            most, parts, seconds = self._policy.express_batch * free, free, self._policy.express_call_seconds
            ahead = 1
        elif not job.attempts.is_alone(item):
            most = items_per_batch(job, item, kind, free)
        while (
            len(batch) < most
            and (more := self._next(job, kind, self._left_to_others(job, kind, slots), ahead)) is not None
        ):
            if self._fetch(job, *more):
                continue
            if job.attempts.is_alone(more[0]) or job.cost_class(more[0]) != job.cost_class(item):
                self.submit(job, [more])
                break
            batch.append(more)
        batch = [(made, replace(task, call_seconds=seconds)) for made, task in batch]
        for part in range(min(parts, len(batch))):
            self.submit(job, batch[part::parts])
        return True

    def _choose(
        self, kind: str, slots: dict[str, int], is_idle: bool
    ) -> tuple[JobRun, WorkItem, Task] | None:
        for job in self._fair_share.ranked(self._jobs.values()):
            left = self._left_to_others(job, kind, slots) if job.frontier.has_more else None
            if left is not None and (given := self._next(job, kind, left, _ahead(job, is_idle))) is not None:
                return job, *given
        return None

    def _left_to_others(self, job: JobRun, kind: str, slots: dict[str, int]) -> frozenset[CostClass]:
        # Where GPUs render it is measured what they take, unless it would wait behind what holds them all.
        measured = {CostClass(COSTS)} if kind == "cpu" and self._free.get("gpu") else set()
        return left_to_others(job, kind, slots, self._running.of(job, kind)) | measured

    def _next(
        self, job: JobRun, kind: str, left: frozenset[CostClass], ahead: int | None = None
    ) -> tuple[WorkItem, Task] | None:
        if not job.is_known or self._disk.is_full(job.name):
            return None
        given: tuple[WorkItem, Task] | None = self._guard(
            job, job.next, kind, left, partial(self._room, job), ahead
        )
        if given is not None:
            self.changed()
        return given

    def _room(self, job: JobRun) -> float:
        self._taken = self._taken or taken(self._jobs.values())
        return room(job, self._taken, self._executor.memory())

    def _hand_out_beside(self, slots: dict[str, int]) -> None:
        """Starts a task beside full slots for each client whose job has waited, as far as there are places."""
        kind = "cpu" if "cpu" in slots else "gpu"
        given = set()
        for job in self._express.waiting(slots):
            if job.client in given:
                continue
            place = self._express.place(job, kind, job.attempts.blocklist(self._clock()))
            if place is not None and (batch := self._first(job, kind)):
                given.add(job.client)
                node, seconds = self._express.take(place), self._policy.express_call_seconds
                tasks = [
                    (
                        item,
                        replace(
                            self._addressed(job, task),
                            kind=task.kind if item.kind == SEGMENT else kind,
                            node=node,
                            call_seconds=seconds,
                        ),
                    )
                    for item, task in batch
                ]
                self._announce(job, tasks)
                self._running.copy(job, tasks)

    def _first(self, job: JobRun, kind: str) -> list[tuple[WorkItem, Task]]:
        """What a job waits for: its next task, or one that waits for a slot already.

        What a first frame needs may be twenty small tasks. One call makes several of them, since each call takes a
        while where slots are full.
        """
        waiting = self._running.tasks(job)
        alone = [(item, task) for item, task in waiting if _is_alone(job, item)]
        batch = [] if alone else waiting[: self._policy.express_batch]
        while len(batch) < self._policy.express_batch:
            if (given := self._next(job, kind, frozenset(), ahead=1)) is None:
                break
            item, task = given
            if self._fetch(job, item, task):
                continue
            if _is_alone(job, item) and not batch:
                return [given]
            if _is_alone(job, item) or alone:
                job.frontier.put_back(item)
                break
            batch.append(given)
        return batch or alone[:1]

    def _addressed(self, job: JobRun, task: Task) -> Task:
        """The task, saying which nodes must not run it and how many failures are known."""
        avoid = job.attempts.blocklist(self._clock())
        if avoid:  # but not all that have such slots: it would wait for ever
            able = {
                n["id"]
                for n in self._executor.nodes()
                if n["alive"] and n["resources"].get(task.kind.upper())
            }
            avoid = avoid & able if able - avoid else set()
        return replace(task, avoid=frozenset(avoid), failures=self.failures, node="")


def _ahead(job: JobRun, is_idle: bool) -> int | None:
    """Of how many frames tasks are submitted; None: of as many as there is room for.

    Before a job's first frame, what later ones need only fills idle slots: the first one's own would wait behind it.
    """
    return None if is_idle or job.frontier.is_begun else 1


def _is_alone(job: JobRun, item: WorkItem) -> bool:
    """Whether a call beside the slots makes ``item`` only: a person waits for it, it takes long, or it failed."""
    return item.kind in (FRAME, SEGMENT, REFERENCE) or job.attempts.is_alone(item)

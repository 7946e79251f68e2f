"""Tasks started once more: what takes suspiciously long, and what an idle slot of another kind makes sooner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from mandel.cluster.executor import Task
from mandel.cluster.in_flight import InFlight
from mandel.cluster.job import Job
from mandel.cluster.pace import unwise
from mandel.cluster.recipe import SEGMENT, Item


class Copies:
    """Starts copies; the first to end counts, and the others are taken back.

    Args:
        in_flight: the tasks under way.
        jobs: the jobs under way, by name, as their owner keeps them.
        say: called as ``say(job, message, level)`` with what a person may want to know.
        addressed: gives a task its nodes.
    """

    def __init__(
        self,
        in_flight: InFlight,
        jobs: Mapping[str, Job],
        say: Callable[[Job, str, str], None],
        addressed: Callable[[Job, Task], Task],
    ):
        self._in_flight, self._jobs, self._say, self._addressed = in_flight, jobs, say, addressed

    def take_over(self, kind: str, free: int, slots: dict[str, int]) -> None:
        """Has ``free`` idle slots make what frames wait for while slower ones are at it."""
        for job, item, task, *_ in self._in_flight.slower(kind):
            if not free:
                return
            left = unwise(job, kind, slots, self._in_flight.of(job, kind))
            if self._jobs.get(job.name) is job and job.grade(item) not in left:
                free -= 1
                self._say(job, f"{item} is started once more, on a {kind} that is idle", "info")
                self._in_flight.copy(job, item, self._addressed(job, replace(task, kind=kind)))

    def hurry(self, slots: dict[str, int]) -> Iterator[tuple[Job, Item, dict]]:
        """Starts late tasks once more; yields those of which that is in vain, as failed by an error."""
        for (job, item, task, *_), copies in list(self._in_flight.late(slots, self._jobs.values())):
            if item.kind == SEGMENT and copies > 1:
                # Encoding takes its time, but not that long: the pictures cannot be had.
                self._in_flight.abandon(job, item)
                yield job, item, {"code": "NODE_LOST", "message": "it was started twice and never ended"}
                continue
            self._say(job, f"{item} takes suspiciously long and is started once more", "warning")
            others = [kind for kind in slots if kind != task.kind]
            if item.kind != SEGMENT and others and (copies > 1 or task.kind not in slots):
                task = replace(task, kind=others[0])  # slots of its kind may all be gone, or hang  # noqa: PLW2901
            self._in_flight.copy(job, item, self._addressed(job, task))

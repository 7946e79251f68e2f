"""Starts tasks a second time: those that take suspiciously long, and those that an idle slot would end sooner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from mandel.driver.jobs.cpu_gpu_split import left_to_others
from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.running_tasks import RunningTasks
from mandel.driver.recipes.recipe import SEGMENT, WorkItem
from mandel.tasks.executor import Task


class Copies:
    """Starts copies; the first to end counts, and the others are taken back.

    Args:
        running: the tasks under way.
        jobs: the jobs under way, by name, as their owner keeps them.
        say: called as ``say(job, message, level)`` with what a person may want to know.
        addressed: gives a task its nodes.
    """

    def __init__(
        self,
        running: RunningTasks,
        jobs: Mapping[str, JobRun],
        say: Callable[[JobRun, str, str], None],
        addressed: Callable[[JobRun, Task], Task],
    ):
        self._running, self._jobs, self._say, self._addressed = running, jobs, say, addressed

    def take_over(self, kind: str, free: int, slots: dict[str, int]) -> None:
        """Has ``free`` idle slots make what frames wait for while slower ones are at it."""
        for job, item, task, *_ in self._running.slower(kind):
            if not free:
                return
            left = left_to_others(job, kind, slots, self._running.of(job, kind))
            if self._jobs.get(job.name) is job and job.cost_class(item) not in left:
                free -= 1
                self._say(job, f"{item} is started once more, on a {kind} that is idle", "info")
                self._running.copy(job, [(item, self._addressed(job, replace(task, kind=kind)))])

    def hurry(self, slots: dict[str, int]) -> Iterator[tuple[JobRun, WorkItem, dict[str, Any]]]:
        """Starts late tasks once more; yields those of which that is in vain, as failed by an error."""
        for (job, item, task, *_), copies in list(self._running.late(slots, self._jobs.values())):
            if item.kind == SEGMENT and copies > 1:
                # Encoding takes its time, but not that long: the pictures cannot be had.
                self._running.abandon(job, item)
                yield job, item, {"code": "NODE_LOST", "message": "it was started twice and never ended"}
                continue
            self._say(job, f"{item} takes suspiciously long and is started once more", "warning")
            others = [kind for kind in slots if kind != task.kind]
            if item.kind != SEGMENT and others and (copies > 1 or task.kind not in slots):
                task = replace(task, kind=others[0])  # slots of its kind may all be gone, or hang  # noqa: PLW2901
            self._running.copy(job, [(item, self._addressed(job, task))])

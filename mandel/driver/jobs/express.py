"""One place beside each node's slots, for clients that wait while others' tasks fill every slot.

A task may last for minutes, but a newcomer's small job is to show something within seconds. No task in a slot is
interrupted for that: each node runs one call more than it has slots. A call that stays there for long makes way for
the next client that waits. It makes a frame, or several of the small things that a first frame needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from mandel.driver.jobs.fair_share import FairShare
from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.policy import Clock, SchedulingPolicy
from mandel.driver.jobs.running_tasks import RunningTask, RunningTasks
from mandel.tasks.executor import Executor


class ExpressSlot(NamedTuple):
    """Where a task can start beside a node's slots, and what makes way for it, if anything."""

    node: str
    leaving: RunningTask | None = None


class Express:
    """Knows who waits, and the places.

    Args:
        executor: where tasks run.
        jobs: the jobs under way, by name, as their owner keeps them.
        fair_share: what clients have used; what makes way has used its turn.
        running: the tasks under way.
    """

    def __init__(
        self,
        executor: Executor,
        jobs: Mapping[str, JobRun],
        fair_share: FairShare,
        running: RunningTasks,
        policy: SchedulingPolicy,
        clock: Clock,
    ):
        self._policy, self._clock = policy, clock
        self._executor, self._jobs, self._fair_share, self._running = executor, jobs, fair_share, running
        self._waited: dict[
            str, float
        ] = {}  # seconds by client, less those in which a slot was at work for it since
        self._looked, self._busy = 0.0, 0  # when it was looked last who waits, and how many places were taken

    def waiting(self, slots: Mapping[str, int]) -> set[str]:
        """Clients that have waited, and have no task beside the slots either."""
        now, busy = self._clock(), len(self._running.beside())
        if now - self._looked < self._policy.express_look_seconds and busy == self._busy:
            return set()
        passed = now - self._looked
        self._looked, self._busy = now, busy
        under_way = self._running.jobs
        wanting = {job.client for job in self._jobs.values() if job.frontier.has_more or job in under_way}
        served = self._running.served(slots)
        waited = {
            client: self._waited.get(client, 0.0) + (-passed if client in served else passed)
            for client in wanting & self._waited.keys()
        }
        self._waited = {
            client: min(max(waited.get(client, 0.0), 0.0), self._policy.express_wait_limit)
            for client in wanting
        }
        ready = {
            client for client, waited in self._waited.items() if waited >= self._policy.express_wait_seconds
        }
        return ready - served - {task_run.job.client for task_run in self._running.beside()}

    def place(self, kind: str, blocklist: set[str]) -> ExpressSlot | None:
        """Where a task can start now beside slots of ``kind``, best on a node that is not ``blocklist``."""
        beside = self._running.beside()
        nodes = [n["id"] for n in self._executor.nodes() if n["alive"] and n["resources"].get(kind.upper())]
        if free := set(nodes) - {task_run.task.node for task_run in beside}:
            return ExpressSlot(min(free, key=lambda node: (node in blocklist, node)))
        longest = max(beside, key=self._running.age, default=None)
        if (
            longest is None
            or longest.task.node not in nodes
            or self._running.age(longest) < self._policy.express_turn_seconds
        ):
            return None
        return ExpressSlot(longest.task.node, longest)

    def take(self, place: ExpressSlot) -> str:
        """The place's node, now that what is to leave it has made way."""
        if (task_run := place.leaving) is not None:
            self._fair_share.charge(task_run.job, self._running.age(task_run))
            for other in self._running.beside():
                if other.call == task_run.call:
                    self._running.abandon(other.job, other.item)
                    other.job.frontier.put_back(other.item)
        return place.node

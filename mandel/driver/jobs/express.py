"""One place beside each node's slots, for jobs that wait while other tasks fill every slot.

A task may last for minutes, but a newcomer's small job is to show something within seconds. No task in a slot is
interrupted for that: each node runs one call more than it has slots. A call that stays there for long makes way for
the next job that waits. It makes a frame, or several of the small things that a first frame needs.

A client for whom something is done comes after all others. A job whose call had to make way is long: it comes after
others at its address, and has no further call while something is done for its client. So the small job of somebody
who cannot be told from the owner of many large ones is made as well, and each of these costs one turn.

On a busy machine a call may need longer than a turn only to begin. So among jobs that had to make way each next turn is
twice as long: whatever its tasks take, one is done some day. One that comes new waits for the first, short turn only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

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
        # Seconds by job, less those in which a slot was at work for it since.
        self._waited: dict[JobRun, float] = {}
        self._long: dict[JobRun, int] = {}  # whose calls had to make way, and how often
        self._clients: set[str] = set()  # for whom something is done, in a slot or beside
        self._looked, self._busy = 0.0, 0  # when it was looked last who waits, and how many places were taken

    def waiting(self, slots: Mapping[str, int]) -> list[JobRun]:
        """Jobs that have waited, in the order in which they are to be served."""
        now, busy = self._clock(), len(self._running.beside())
        if now - self._looked < self._policy.express_look_seconds and busy == self._busy:
            return []
        passed = now - self._looked
        self._looked, self._busy = now, busy
        under_way = self._running.jobs
        wanting = [job for job in self._jobs.values() if job.frontier.has_more or job in under_way]
        self._long = {job: self._long[job] for job in wanting if job in self._long}
        served = self._running.served(slots)
        beside = {task_run.job for task_run in self._running.beside()}
        self._clients = clients = {job.client for job in served | beside}
        self._waited = {
            job: min(
                max(self._waited[job] + (-passed if job in served else passed), 0.0),
                self._policy.express_wait_limit,
            )
            if job in self._waited
            else 0.0
            for job in wanting
        }

        def rank(job: JobRun) -> tuple[Any, ...]:
            turns = [
                spent // self._policy.express_turn_seconds for spent in self._fair_share.spent(job.client)
            ]
            return job.client in clients, turns[0], job in self._long, turns[1], -job.since

        ready = [
            job
            for job, waited in self._waited.items()
            if waited >= self._policy.express_wait_seconds
            and job not in served | beside
            and not (job in self._long and job.client in clients)
        ]
        return sorted(ready, key=rank)

    def place(self, job: JobRun, kind: str, blocklist: set[str]) -> ExpressSlot | None:
        """Where a task of a job can start now beside slots of ``kind``, best on a node that is not ``blocklist``.

        For a job of whose client something is done already, only that client's own work makes way.
        """
        beside = self._running.beside()
        own = [task_run for task_run in beside if task_run.job.client == job.client]
        nodes = [n["id"] for n in self._executor.nodes() if n["alive"] and n["resources"].get(kind.upper())]
        if not own and (free := set(nodes) - {task_run.task.node for task_run in beside}):
            return ExpressSlot(min(free, key=lambda node: (node in blocklist, node)))
        longest = max(own if job.client in self._clients else beside, key=self._running.age, default=None)
        if (
            longest is None
            or longest.task.node not in nodes
            or self._running.age(longest) < self._turn(longest.job, job)
        ):
            return None
        return ExpressSlot(longest.task.node, longest)

    def _turn(self, job: JobRun, after: JobRun) -> float:
        """Seconds that a call of ``job`` keeps its place before it makes way for ``after``."""
        again = min(self._long.get(job, 0), self._policy.express_doublings) if after in self._long else 0
        return float(self._policy.express_turn_seconds * 2**again)

    def take(self, place: ExpressSlot) -> str:
        """The place's node, now that what is to leave it has made way."""
        if (task_run := place.leaving) is not None:
            self._fair_share.charge(task_run.job, self._running.age(task_run))
            self._long[task_run.job] = self._long.get(task_run.job, 0) + 1
            for other in self._running.beside():
                if other.call == task_run.call:
                    self._running.abandon(other.job, other.item)
                    other.job.frontier.put_back(other.item)
        return place.node

"""Counts a job's failed attempts: how often an item may still be tried, and on which nodes not for now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from mandel.driver.jobs.policy import SchedulingPolicy
from mandel.driver.recipes.recipe import SEGMENT, WorkItem
from mandel.tasks.executor import Task


class Attempts:
    """Counts failures by item and by node."""

    def __init__(self, policy: SchedulingPolicy):
        self._policy = policy
        self._failed: Counter[WorkItem] = Counter()
        self._lost: Counter[WorkItem] = Counter()  # attempts that the item is not to blame for
        self._failed_kind: dict[WorkItem, str] = {}  # the kind of slot of an item's last failed attempt
        self._node_failures: Counter[str] = Counter()  # in a row
        self._node_failed_at: dict[str, float] = {}

    def failed(self, item: WorkItem, node: str | None, now: float) -> None:
        """An attempt failed, on ``node`` if that is known."""
        self._failed[item] += 1
        if node:
            self._node_failures[node] += 1
            self._node_failed_at[node] = now

    def lost(self, item: WorkItem) -> None:
        """An attempt died with its node, its worker hung, or its inputs were gone: the item is not to blame."""
        self._lost[item] += 1

    def failed_on_kind(self, item: WorkItem, kind: str) -> None:
        """The last failed attempt ran on a slot of ``kind``."""
        self._failed_kind[item] = kind

    def went_well(self, node: str) -> None:
        """An attempt ended well on ``node``. A node that is on the blocklist for good stays there."""
        if self._node_failures[node] < self._policy.blocklist_failures:
            del self._node_failures[node]

    def failures(self, item: WorkItem) -> int:
        """Attempts at ``item`` that failed, for whatever reason."""
        return self._failed[item] + self._lost[item]

    def used_up(self, item: WorkItem) -> bool:
        """Whether ``item`` must not be tried again."""
        policy = self._policy
        return self._failed[item] >= policy.max_attempts or self._lost[item] >= policy.max_losses

    def is_alone(self, item: WorkItem) -> bool:
        """Whether its task must not share a call: it may be what a worker dies of."""
        return bool(self.failures(item))

    def final_on_other_kind(self, item: WorkItem, task: Task, kinds: Collection[str]) -> Task:
        """The last attempt is made on another kind of slot than the one that failed before it."""
        others = [kind for kind in kinds if kind != task.kind]
        is_last = self._failed[item] >= self._policy.max_attempts - 1
        if not is_last or self._failed_kind.get(item) != task.kind or not others or item.kind == SEGMENT:
            return task
        return replace(task, kind=others[0])

    def blocklist(self, now: float) -> set[str]:
        """Nodes that failed several attempts in a row, or one a short while ago."""
        recent = now - self._policy.blocklist_seconds
        return {
            node
            for node, count in self._node_failures.items()
            if count >= self._policy.blocklist_failures or (count and self._node_failed_at[node] > recent)
        }

"""Measures how long a job's items take, by cost class and kind of slot."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from mandel.driver.jobs.policy import SchedulingPolicy
from mandel.driver.recipes.recipe import CostClass


class Timings:
    """Seconds per item; of segments, per frame."""

    def __init__(self, policy: SchedulingPolicy):
        self._policy = policy
        self._means: dict[tuple[CostClass, str], float] = {}
        self._last: dict[tuple[CostClass, str], deque[float]] = {}

    def record(self, cost_class: CostClass, kind: str, seconds: float) -> None:
        """An item took ``seconds`` on a slot of ``kind``."""
        key, weight = (cost_class, kind), self._policy.timing_weight
        self._means[key] = (1 - weight) * self._means.get(key, seconds) + weight * seconds
        self._last.setdefault(key, deque(maxlen=self._policy.timing_count)).append(seconds)

    def mean(self, cost_class: CostClass, kind: str) -> float | None:
        """Mean seconds of an item, in which the latest weigh most; None before the first on such a slot."""
        return self._means.get((cost_class, kind))

    def least(self, cost_class: CostClass, kind: str) -> float | None:
        """The least of the last few: how fast the slot is, whatever kept some of them waiting."""
        return min(self._last.get((cost_class, kind), ()), default=None)

    def by_kind(self, cost_class: CostClass, kinds: Iterable[str]) -> dict[str, float]:
        """The mean on each kind of slot that has made one."""
        means = ((kind, self.mean(cost_class, kind)) for kind in kinds)
        return {kind: mean for kind, mean in means if mean is not None}

    def longest_mean(self, item_kind: str) -> float:
        """The longest mean of items of a kind; 0 if none was made."""
        means = (mean for (cost_class, _), mean in self._means.items() if cost_class.kind == item_kind)
        return max(means, default=0.0)

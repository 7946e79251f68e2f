"""The iteration limit at each depth of a job: given by the payload, or learned from key views."""

from __future__ import annotations

from mandel.cluster.recipe import LIMIT, Item
from mandel.payload import AUTO, Payload
from mandel.plan.arithmetic import PERTURBED, arithmetic
from mandel.plan.autoiter import CEILING, Limit, Schedule, key_deltas, small
from mandel.plan.view import View
from mandel.render.unit import LimitUnit


class Limits:
    """maxiter by delta.

    Attributes:
        most: the largest limit that any frame can have; the reference orbit is followed so far.
    """

    def __init__(self, payload: Payload):
        self._payload = payload
        self._given = None if payload.maxiter == AUTO else payload.maxiter
        self.most = CEILING if self._given is None else self._given
        # From the shallowest to the deepest.
        self._deltas = [] if self._given else key_deltas(payload.start_delta, payload.end_delta)
        self._learned: dict[int, Limit] = {}

    def needs(self, delta: str) -> tuple[Item, ...]:
        """The key views whose limits decide that of ``delta``."""
        if self._given is not None:
            return ()
        keys = Schedule.of(self._deltas, list(range(len(self._deltas)))).limit(delta)
        return tuple(Item(LIMIT, key) for key in range(keys + 1))

    def is_deep(self, key: int) -> bool:
        """Whether a key view needs the reference orbit."""
        return arithmetic(small(self._view(key)).grid()).engine == PERTURBED

    def unit(self, key: int) -> LimitUnit:
        """The unit of work that finds the limit of a key view."""
        return LimitUnit(self._view(key))

    def learn(self, key: int, limit: Limit) -> None:
        """Notes a key view's limit."""
        self._learned[key] = limit

    def given_up(self) -> list[tuple[str, Limit]]:
        """The key views learned so far that were given up: their deltas and limits, the shallowest first."""
        return [(self._deltas[key], limit) for key, limit in sorted(self._learned.items()) if not limit.resolved]

    def of(self, delta: str) -> int:
        """maxiter at ``delta``; all that ``needs`` names must have been learned."""
        if self._given is not None:
            return self._given
        keys = [item.index for item in self.needs(delta)]
        limits = [self._learned[key].maxiter for key in keys]
        return Schedule.of([self._deltas[key] for key in keys], limits).limit(delta)

    def _view(self, key: int) -> View:
        p = self._payload
        return View(p.re, p.im, self._deltas[key], p.frame_width, p.frame_height)

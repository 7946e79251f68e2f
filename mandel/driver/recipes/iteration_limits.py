"""What a job's key views tell: the iteration limit at each depth, unless the payload gives it, and how counts are
distributed, from which the mapping "even" makes its curve."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from mandel.colour.curve import even_curve
from mandel.colour.mappings import EVEN, Curve
from mandel.driver.recipes.recipe import LIMIT, WorkItem
from mandel.payload.payload import AUTO, EXACT, Payload
from mandel.plan.arithmetic import PERTURBED, arithmetic
from mandel.plan.iteration_limit import REFERENCE_STEPS, IterationLimit, Schedule, key_deltas, small
from mandel.plan.precision import precision
from mandel.plan.view import View
from mandel.plan.zoom import Zoom
from mandel.tasks.units import LimitUnit, ReferenceUnit


class IterationLimits:
    """maxiter by delta, and the curve of the mapping "even"."""

    def __init__(self, payload: Payload):
        self._payload = payload
        self._given = None if payload.maxiter == AUTO else int(payload.maxiter)
        # From the shallowest to the deepest.
        self._is_even = payload.mapping == EVEN
        self._deltas = _keys(payload) if self._given is None or self._is_even else []
        self._items = tuple(WorkItem(LIMIT, key) for key in range(len(self._deltas)))
        self._order = (
            Schedule.of(self._deltas, list(range(1, len(self._deltas) + 1))) if self._deltas else None
        )
        self._curve: Curve = ()
        self._learned: dict[int, IterationLimit] = {}

    def needs(self, delta: str) -> tuple[WorkItem, ...]:
        """The key views that decide the limit and the colours of ``delta``."""
        if self._is_even or self._order is None:  # there are none without an order
            return self._items
        return self._items[: self._order.limit(delta)]

    def curve_needs(self) -> tuple[WorkItem, ...]:
        """The key views from which the curve is learned; none where the mapping has none."""
        return self._items if self._is_even else ()

    def curve(self) -> Curve:
        """The curve of the mapping "even", else (); all that ``curve_needs`` names must have been learned."""
        if self._is_even and not self._curve:
            self._curve = even_curve([self._learned[item.index].counts for item in self._items])
        return self._curve

    def is_deep(self, key: int) -> bool:
        """Whether a key view needs the reference orbit."""
        return arithmetic(small(self._view(key)).grid()).engine == PERTURBED

    def unit(self, key: int) -> LimitUnit:
        """The unit of work that finds the limit of a key view."""
        return LimitUnit(self._view(key), self._given)

    def reference(self, bits: int) -> ReferenceUnit:
        """The unit of work that makes the orbit for all that is deep; it ends where it has no more to tell of the
        deepest view.

        Args:
            bits: bits after the binary point that frames or strips need.
        """
        p = self._payload
        if self._deltas:  # also for key views, which are smaller
            bits = max(bits, precision(small(self._view(len(self._deltas) - 1)).grid()).bits)
        if self._given is not None:
            deepest = min(p.start_delta, p.end_delta, key=Decimal)
            return ReferenceUnit(p.re, p.im, bits, self._given, deepest)
        # However many iterations will be asked for.
        return ReferenceUnit(p.re, p.im, bits, REFERENCE_STEPS, self._deltas[-1], gives_up=True)

    def learn(self, key: int, limit: IterationLimit) -> None:
        """Notes a key view's limit."""
        self._learned[key] = limit

    def given_up(self) -> list[tuple[str, IterationLimit]]:
        """The key views learned so far that were given up: their deltas and limits, the shallowest first."""
        return [
            (self._deltas[key], limit) for key, limit in sorted(self._learned.items()) if not limit.resolved
        ]

    def of(self, delta: str) -> int:
        """maxiter at ``delta``; all that ``needs`` names must have been learned."""
        if self._given is not None:
            return self._given
        if self._order is None:
            raise ValueError("a limit that is not given is learned from key views")
        keys = range(self._order.limit(delta))
        limits = [self._learned[key].maxiter for key in keys]
        return Schedule.of([self._deltas[key] for key in keys], limits).limit(delta)

    def _view(self, key: int) -> View:
        p = self._payload
        return View(p.re, p.im, self._deltas[key], p.frame_width, p.frame_height)


def _keys(payload: Payload) -> list[str]:
    """Deltas of the key views: evenly spaced, or those of the frames where these are fewer.

    The mapping "even" has evenly spaced ones in any case: few frames have the colours of many.
    """
    shallow, deep = sorted((payload.start_delta, payload.end_delta), key=Decimal, reverse=True)
    deltas = key_deltas(shallow, deep)
    if payload.sampling == EXACT and payload.mapping != EVEN and payload.num_frames < len(deltas):
        inwards = replace(Zoom.of(payload), start_delta=shallow, end_delta=deep)
        deltas = [inwards.delta(frame) for frame in range(payload.num_frames)]
    return deltas

"""What a job learns from its key views: the iteration limit at each depth, and the curve of the mapping "even".

A payload that gives ``maxiter`` needs no limits, and only the mapping "even" needs the curve. A path has key views, and
so limits, about each of its reference points (plan/camera_path.py).
"""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

from mandel.colour.curve import chosen_views, even_curve, with_guesses
from mandel.colour.mappings import EVEN, Curve
from mandel.driver.recipes.recipe import LIMIT, WorkItem
from mandel.payload.payload import AUTO, EXACT, Payload
from mandel.plan.arithmetic import PERTURBED, arithmetic
from mandel.plan.iteration_limit import (
    KEY_OCTAVES,
    REFERENCE_STEPS,
    IterationLimit,
    Schedule,
    key_deltas,
    small,
)
from mandel.plan.precision import precision
from mandel.plan.view import View
from mandel.plan.zoom import Zoom
from mandel.tasks.units import LimitUnit, ReferenceUnit


class IterationLimits:
    """maxiter by delta, about each reference point, and the curve of the mapping "even"."""

    def __init__(self, payload: Payload):
        self._payload = payload
        self._given = None if payload.maxiter == AUTO else int(payload.maxiter)
        self._is_even = payload.mapping == EVEN
        # By reference point, from the shallowest to the deepest.
        views = _keys(payload) if self._given is None or self._is_even else {}
        self._views = [view for own in views.values() for view in own]
        self._reference_point_of = [reference_point for reference_point, own in views.items() for _ in own]
        self._items = tuple(WorkItem(LIMIT, key) for key in range(len(self._views)))
        self._keys = {
            reference_point: [
                key for key, other in enumerate(self._reference_point_of) if other == reference_point
            ]
            for reference_point in views
        }
        self._orders = {
            reference_point: Schedule.of([view.delta for view in own], list(range(1, len(own) + 1)))
            for reference_point, own in views.items()
        }
        chosen = chosen_views(len(self._items)) if self._is_even else []
        self._for_curve = tuple(self._items[key] for key in chosen)
        self._curve: Curve = ()
        self._learned: dict[int, IterationLimit] = {}

    def needs(self, delta: str, reference_point: int = 0) -> tuple[WorkItem, ...]:
        """The key views that decide the limit and the colours of ``delta``."""
        if self._given is not None:
            return self._for_curve
        deciding = tuple(self._items[key] for key in self._deciding(delta, reference_point))
        return tuple(dict.fromkeys(self._for_curve + deciding))

    def _deciding(self, delta: str, reference_point: int) -> list[int]:
        """The keys about a reference point down to the next one below ``delta``."""
        return self._keys[reference_point][: self._orders[reference_point].limit(delta)]

    def curve_needs(self) -> tuple[WorkItem, ...]:
        """The key views from which the curve is learned; none where the mapping has none."""
        return self._for_curve

    def curve(self) -> Curve:
        """The curve of the mapping "even", else (); all that ``curve_needs`` names must have been learned."""
        if self._is_even and not self._curve:
            views = [self._learned[item.index].counts for item in self._for_curve]
            self._curve = even_curve(with_guesses(views, self._reference_point_of))
        return self._curve

    def reference_point(self, key: int) -> int:
        """The reference point about which a key view lies."""
        return self._reference_point_of[key]

    def is_deep(self, key: int) -> bool:
        """Whether a key view needs the reference orbit."""
        return arithmetic(small(self._views[key]).grid()).engine == PERTURBED

    def unit(self, key: int) -> LimitUnit:
        """The unit of work that finds the limit of a key view."""
        return LimitUnit(self._views[key], self._given)

    def reference(self, bits: int, deepest: View, reference_point: int = 0) -> ReferenceUnit:
        """The unit of work that makes the orbit of a reference point, for all deep views about it.

        The orbit ends where a longer one would change nothing in the deepest view.

        Args:
            bits: bits after the binary point that frames or strips need.
            deepest: the deepest view about this reference point.
        """
        if keys := self._keys.get(reference_point):  # also for key views, which are smaller
            bits = max(bits, precision(small(self._views[keys[-1]]).grid()).bits)
        if self._given is not None:
            return ReferenceUnit(deepest.re, deepest.im, bits, self._given, deepest.delta)
        # However many iterations will be asked for.
        return ReferenceUnit(deepest.re, deepest.im, bits, REFERENCE_STEPS, deepest.delta, gives_up=True)

    def learn(self, key: int, limit: IterationLimit) -> None:
        """Notes a key view's limit."""
        self._learned[key] = limit

    def given_up(self) -> list[tuple[str, IterationLimit]]:
        """The key views learned so far that were given up: their deltas and limits, the shallowest first."""
        found = [
            (self._views[key].delta, limit) for key, limit in self._learned.items() if not limit.resolved
        ]
        return sorted(found, key=lambda view: Decimal(view[0]), reverse=True)

    def of(self, delta: str, reference_point: int = 0) -> int:
        """maxiter at ``delta``; all that ``needs`` names must have been learned."""
        if self._given is not None:
            return self._given
        keys = self._deciding(delta, reference_point)
        limits = [self._learned[key].maxiter for key in keys]
        return Schedule.of([self._views[key].delta for key in keys], limits).limit(delta)


def _keys(payload: Payload) -> dict[int, list[View]]:
    """The key views about each reference point: evenly spaced along the way, or the frames where these are fewer.

    The mapping "even" has evenly spaced ones in any case: few frames have the colours of many.
    """
    camera, few = payload.camera, payload.sampling == EXACT and payload.mapping != EVEN
    if isinstance(camera, Zoom):
        shallow, deep = sorted((payload.start_delta, payload.end_delta), key=Decimal, reverse=True)
        deltas = key_deltas(shallow, deep)
        if few and payload.num_frames < len(deltas):
            inwards = replace(camera, start_delta=shallow, end_delta=deep)
            deltas = [inwards.delta(frame) for frame in range(payload.num_frames)]
        return {0: [View(camera.re, camera.im, delta, camera.width, camera.height) for delta in deltas]}
    times = camera.key_times(KEY_OCTAVES * math.log(2))
    if few and payload.num_frames < len(times):
        times = [float(frame) for frame in range(payload.num_frames)]
    found: dict[int, list[View]] = {}
    for time in times:
        found.setdefault(camera.reference_point(time), []).append(replace(camera.view(time), turn=1 + 0j))
    for views in found.values():
        views.sort(key=lambda view: Decimal(view.delta), reverse=True)
    return found

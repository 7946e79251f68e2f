"""What a job learns from small views: the iteration limit at each depth, and the curve of the mapping "even".

A payload that gives ``maxiter`` needs no limits. Only the mapping "even" needs the curve, which has views of its own:
it must not depend on where a zoom starts. A path has key views, and so limits, about each of its reference points
(plan/camera_path.py).
"""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

from mandel.colour.mappings import EVEN, Curve
from mandel.driver.recipes.recipe import LIMIT, WorkItem
from mandel.payload.payload import AUTO, EXACT, Payload
from mandel.plan.arithmetic import PERTURBED, arithmetic
from mandel.plan.colour_views import colour_views, curve_of
from mandel.plan.grid import Grid
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
        # By reference point, from the shallowest to the deepest.
        views = _keys(payload) if self._given is None else {}
        self._views = [view for own in views.values() for view in own]
        self._reference_point_of = [reference_point for reference_point, own in views.items() for _ in own]
        self._items = tuple(WorkItem(LIMIT, key) for key in range(len(self._views)))
        # Views of the curve have the numbers that follow.
        colours = _curve_views(payload) if payload.mapping == EVEN else []
        self._colours = range(len(self._views), len(self._views) + len(colours))
        self._views += [view for view, _ in colours]
        self._reference_point_of += [reference_point for _, reference_point in colours]
        self._for_curve = tuple(WorkItem(LIMIT, key) for key in self._colours)
        self._keys = {
            reference_point: [
                key
                for key, other in enumerate(self._reference_point_of[: self._colours.start])
                if other == reference_point
            ]
            for reference_point in views
        }
        self._orders = {
            reference_point: Schedule.of([view.delta for view in own], list(range(1, len(own) + 1)))
            for reference_point, own in views.items()
        }
        self._curve: Curve = ()
        self._learned: dict[int, IterationLimit] = {}

    def needs(self, delta: str, reference_point: int = 0) -> tuple[WorkItem, ...]:
        """The views that decide the limit and the colours of ``delta``."""
        if self._given is not None:
            return self._for_curve
        deciding = tuple(self._items[key] for key in self._deciding(delta, reference_point))
        return tuple(dict.fromkeys(self._for_curve + deciding))

    def _deciding(self, delta: str, reference_point: int) -> list[int]:
        """The keys about a reference point down to the next one below ``delta``."""
        return self._keys[reference_point][: self._orders[reference_point].limit(delta)]

    def curve_needs(self) -> tuple[WorkItem, ...]:
        """The views from which the curve is learned; none where the mapping has none."""
        return self._for_curve

    def curve(self) -> Curve:
        """The curve of the mapping "even", else (); all that ``curve_needs`` names must have been learned."""
        if self._for_curve and not self._curve:
            counts = [self._learned[item.index].counts for item in self._for_curve]
            views = [(self._views[key], self._reference_point_of[key]) for key in self._colours]
            self._curve = curve_of(views, counts)
        return self._curve

    def reference_point(self, key: int) -> int:
        """The reference point about which a view lies."""
        return self._reference_point_of[key]

    def is_deep(self, key: int) -> bool:
        """Whether a view needs the reference orbit."""
        return arithmetic(self._grid(key)).engine == PERTURBED

    def _grid(self, key: int) -> Grid:
        view = self._views[key]
        return (small(view) if key not in self._colours else view).grid()

    def unit(self, key: int) -> LimitUnit:
        """The unit of work that finds the limit of a key view, or how the counts of a view of the curve are spread."""
        if key not in self._colours:
            return LimitUnit(self._views[key])
        return LimitUnit(self._views[key], self._given, counts_alone=True)

    def reference(self, bits: int, deepest: View, reference_point: int = 0) -> ReferenceUnit:
        """The unit of work that makes the orbit of a reference point, for all deep views about it.

        The orbit ends where a longer one would change nothing in the deepest view.

        Args:
            bits: bits after the binary point that frames or strips need.
            deepest: the deepest view about this reference point.
        """
        colours = [key for key in self._colours if self._reference_point_of[key] == reference_point]
        for keys in (self._keys.get(reference_point, []), colours):  # also for these, which are smaller
            bits = max([bits, *(precision(self._grid(key)).bits for key in keys[-1:])])
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
            (self._views[key].delta, limit)
            for key, limit in self._learned.items()
            if key not in self._colours and not limit.resolved
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


def _curve_views(payload: Payload) -> list[tuple[View, int]]:
    """The views from which the curve is learned, and the reference point of each.

    They follow from the places to which the camera goes and how deep, and from nothing else.
    """
    camera = payload.camera
    if isinstance(camera, Zoom):
        deepest = min(payload.start_delta, payload.end_delta, key=Decimal)
        return colour_views([(camera.re, camera.im, deepest)])
    points = camera.reference_points
    deep = [camera.deepest(point) for point in points]
    found = colour_views([(view.re, view.im, view.delta) for view in deep])
    return [(view, points[number]) for view, number in found]

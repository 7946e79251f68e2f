"""The recipe of exact sampling: each frame is iterated on its own."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mandel.colour.style import ColourStyle
from mandel.driver.recipes.costs import CostViews, frame_places
from mandel.driver.recipes.iteration_limits import IterationLimits
from mandel.driver.recipes.recipe import (
    COSTS,
    FRAME,
    LIMIT,
    REFERENCE,
    VIDEO_BAILOUT,
    CostClass,
    Iterated,
    SharedInput,
    WorkItem,
)
from mandel.payload.payload import ADAPTIVE, Payload
from mandel.plan.arithmetic import PERTURBED, arithmetic
from mandel.plan.grid import Grid
from mandel.plan.iteration_limit import IterationLimit
from mandel.plan.precision import precision
from mandel.tasks.units import CostsUnit, FrameUnit, LimitUnit, ReferenceUnit

# The share of pixels that adaptive supersampling iterates again, usually.
_REFINED = 0.5


class ExactRecipe:
    """Deep frames need the orbit of their reference point, at the precision of the deepest frame there.

    A zoom has one reference point, the payload's point. A path has one for each point of its stops.
    """

    held_bytes = 0  # orbits are next to nothing
    shared_input = SharedInput(1, 0)

    def __init__(self, payload: Payload):
        self._payload = payload
        self._camera = payload.camera
        self.limits = IterationLimits(payload)
        self._costs = CostViews(payload, self.limits)
        self._needs = lru_cache(512)(self._find_needs)
        self._is_deep = lru_cache(512)(self._find_deep)

    def needs(self, item: WorkItem) -> tuple[WorkItem, ...]:
        return self._needs(item)

    def unit(self, item: WorkItem) -> FrameUnit | ReferenceUnit | LimitUnit | CostsUnit:
        p = self._payload
        if item.kind == LIMIT:
            return self.limits.unit(item.index)
        if item.kind == REFERENCE:
            deepest = self._camera.deepest(item.index)
            return self.limits.reference(precision(deepest.grid(p.samples_along)).bits, deepest, item.index)
        if item.kind == COSTS:
            return self._costs.unit(item.index)
        view = self._camera.view(item.index)
        return FrameUnit(
            view,
            self.limits.of(view.delta, self._camera.reference_point(item.index)),
            VIDEO_BAILOUT,
            ColourStyle.of(p, self.limits.curve()),
            p.samples_along,
            p.supersampling_mode == ADAPTIVE,
            p.coding.layout,
        )

    def cost_class(self, item: WorkItem) -> CostClass:
        return CostClass(item.kind, item.kind == FRAME and self._is_deep(item.index))

    def iterated(self) -> Iterated:
        p, depths = self._payload, frame_places(self._payload)
        each = float(p.samples_along**2)
        if p.supersampling_mode == ADAPTIVE and each > 1:
            each = 1 + _REFINED * each
        samples = np.full(len(depths), p.frame_width * p.frame_height * each)
        return Iterated([WorkItem(FRAME, frame) for frame in range(p.num_frames)], depths, samples)

    def learn(self, item: WorkItem, value: IterationLimit) -> None:
        self.limits.learn(item.index, value)

    def given_up(self) -> list[tuple[str, IterationLimit]]:
        return self.limits.given_up()

    def iterated_for(self, frames: np.ndarray) -> np.ndarray:
        return frames

    def strip_bytes(self, strip: int) -> int:
        return 0  # it has none

    def strips_shown(self, frame: int) -> dict[int, float]:
        return {}

    def last_frame(self, item: WorkItem) -> int:
        return self._camera.last_frame(item.index) if item.kind == REFERENCE else self._payload.num_frames - 1

    def _grid(self, frame: int) -> Grid:
        return self._camera.view(frame).grid(self._payload.samples_along)

    def _find_needs(self, item: WorkItem) -> tuple[WorkItem, ...]:
        no_limits: tuple[WorkItem, ...] = ()
        if item.kind == FRAME:
            reference_point = self._camera.reference_point(item.index)
            limits = self.limits.needs(self._camera.delta(item.index), reference_point)
            deep = self._is_deep(item.index)
        elif item.kind == COSTS:
            return self._costs.needs(item.index)
        elif item.kind == LIMIT:
            reference_point, limits, deep = (
                self.limits.reference_point(item.index),
                no_limits,
                self.limits.is_deep(item.index),
            )
        else:
            return ()
        return (*limits, WorkItem(REFERENCE, reference_point)) if deep else limits

    def _find_deep(self, frame: int) -> bool:
        return arithmetic(self._grid(frame)).engine == PERTURBED

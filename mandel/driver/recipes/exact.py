"""Frames iterated each on its own."""

from __future__ import annotations

from functools import lru_cache

from mandel.colour.style import ColourStyle
from mandel.driver.recipes.iteration_limits import IterationLimits
from mandel.driver.recipes.recipe import (
    FRAME,
    LIMIT,
    REFERENCE,
    VIDEO_BAILOUT,
    CostClass,
    SharedInput,
    WorkItem,
)
from mandel.payload.payload import ADAPTIVE, Payload
from mandel.plan.arithmetic import PERTURBED, arithmetic
from mandel.plan.grid import Grid
from mandel.plan.iteration_limit import IterationLimit
from mandel.plan.precision import precision
from mandel.plan.zoom import Zoom
from mandel.tasks.units import FrameUnit, LimitUnit, ReferenceUnit


class ExactRecipe:
    """Deep frames need one reference orbit, at the deepest frame's precision, for all of them."""

    held_bytes = 0  # that orbit is next to nothing
    shared_input = SharedInput(1, 0)

    def __init__(self, payload: Payload):
        self._payload = payload
        self._zoom = Zoom.of(payload)
        self._limits = IterationLimits(payload)
        self._needs = lru_cache(512)(self._find_needs)
        self._is_deep = lru_cache(512)(self._find_deep)

    def needs(self, item: WorkItem) -> tuple[WorkItem, ...]:
        return self._needs(item)

    def unit(self, item: WorkItem) -> FrameUnit | ReferenceUnit | LimitUnit:
        p = self._payload
        if item.kind == LIMIT:
            return self._limits.unit(item.index)
        if item.kind == REFERENCE:
            deepest = max((0, p.num_frames - 1), key=lambda frame: precision(self._grid(frame)).bits)
            return self._limits.reference(precision(self._grid(deepest)).bits)
        view = self._zoom.view(item.index)
        return FrameUnit(
            view,
            self._limits.of(view.delta),
            VIDEO_BAILOUT,
            ColourStyle.of(p, self._limits.curve()),
            p.supersampling,
            p.supersampling_mode == ADAPTIVE,
            p.coding.layout,
        )

    def cost_class(self, item: WorkItem) -> CostClass:
        return CostClass(item.kind, item.kind == FRAME and self._is_deep(item.index))

    def learn(self, item: WorkItem, value: IterationLimit) -> None:
        self._limits.learn(item.index, value)

    def given_up(self) -> list[tuple[str, IterationLimit]]:
        return self._limits.given_up()

    def strip_bytes(self, strip: int) -> int:
        return 0  # it has none

    def strips_shown(self, frame: int) -> dict[int, float]:
        return {}

    def last_frame(self, item: WorkItem) -> int:
        return self._payload.num_frames - 1

    def _grid(self, frame: int) -> Grid:
        return self._zoom.view(frame).grid(self._payload.supersampling)

    def _find_needs(self, item: WorkItem) -> tuple[WorkItem, ...]:
        no_limits: tuple[WorkItem, ...] = ()
        if item.kind == FRAME:
            limits, deep = self._limits.needs(self._zoom.delta(item.index)), self._is_deep(item.index)
        elif item.kind == LIMIT:
            limits, deep = no_limits, self._limits.is_deep(item.index)
        else:
            return ()
        return (*limits, WorkItem(REFERENCE, 0)) if deep else limits

    def _find_deep(self, frame: int) -> bool:
        return arithmetic(self._grid(frame)).engine == PERTURBED

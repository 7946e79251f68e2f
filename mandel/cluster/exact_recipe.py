"""Frames iterated each on its own."""

from __future__ import annotations

from functools import lru_cache

from mandel.cluster.limits import Limits
from mandel.cluster.recipe import FRAME, LIMIT, REFERENCE, VIDEO_BAILOUT, Grade, Item, Pitch
from mandel.colour.look import Look
from mandel.payload import ADAPTIVE, Payload
from mandel.plan.arithmetic import PERTURBED, arithmetic
from mandel.plan.autoiter import Limit
from mandel.plan.precision import precision
from mandel.plan.zoom import Zoom
from mandel.render.unit import FrameUnit, LimitUnit, ReferenceUnit


class ExactRecipe:
    """Deep frames need one reference orbit, at the deepest frame's precision, for all of them."""

    held_bytes = 0  # that orbit is next to nothing
    pitch = Pitch(1, 0)

    def __init__(self, payload: Payload):
        self._payload = payload
        self._zoom = Zoom.of(payload)
        self._look = Look(palette=payload.palette)
        self._limits = Limits(payload)
        self._needs = lru_cache(512)(self._find_needs)
        self._is_deep = lru_cache(512)(self._is_deep)

    def needs(self, item: Item) -> tuple[Item, ...]:
        return self._needs(item)

    def unit(self, item: Item) -> FrameUnit | ReferenceUnit | LimitUnit:
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
            self._look,
            p.supersampling,
            p.supersampling_mode == ADAPTIVE,
        )

    def grade(self, item: Item) -> Grade:
        return Grade(item.kind, item.kind == FRAME and self._is_deep(item.index))

    def learn(self, item: Item, value: Limit) -> None:
        self._limits.learn(item.index, value)

    def given_up(self) -> list[tuple[str, Limit]]:
        return self._limits.given_up()

    def strips_shown(self, frame: int) -> dict[int, float]:
        return {}

    def last_frame(self, item: Item) -> int:
        return self._payload.num_frames - 1

    def _grid(self, frame: int):
        return self._zoom.view(frame).grid(self._payload.supersampling)

    def _find_needs(self, item: Item) -> tuple[Item, ...]:
        if item.kind == FRAME:
            limits, deep = self._limits.needs(self._zoom.delta(item.index)), self._is_deep(item.index)
        elif item.kind == LIMIT:
            limits, deep = (), self._limits.is_deep(item.index)
        else:
            return ()
        return (*limits, Item(REFERENCE, 0)) if deep else limits

    def _is_deep(self, frame: int) -> bool:
        return arithmetic(self._grid(frame)).engine == PERTURBED

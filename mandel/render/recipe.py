"""What a job's frames are made from: items, what each needs, and the unit that makes it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from mandel.colour.look import Look
from mandel.payload import Payload
from mandel.plan.arithmetic import PERTURBED, arithmetic
from mandel.plan.precision import precision
from mandel.plan.zoom import Zoom
from mandel.render.unit import FrameUnit, ReferenceUnit

# Smooth colouring wants a large radius; 2**10 keeps |z|^2 of the next steps finite.
VIDEO_BAILOUT = 1024.0

FRAME = "frame"
SEGMENT = "segment"
REFERENCE = "reference"


class Item(NamedTuple):
    """One thing that a task makes; ``kind`` is also the task function's name."""

    kind: str
    index: int

    def __str__(self) -> str:
        return f"{self.kind} {self.index}"


class Recipe(Protocol):
    """How the frames of one job are made."""

    def needs(self, item: Item) -> tuple[Item, ...]:
        """What must have been made before ``item``; its task's inputs, in order."""

    def unit(self, item: Item):
        """The unit of work that makes ``item`` (a frame, or something frames need)."""

    def last_frame(self, item: Item) -> int:
        """The last frame that needs ``item``, which is dropped once no frame up to it is left."""


class ExactRecipe:
    """Each frame iterated on its own; one reference orbit, at the deepest frame's precision, for all."""

    def __init__(self, payload: Payload):
        self._payload = payload
        self._zoom = Zoom.of(payload)
        self._look = Look(palette=payload.palette)

    def needs(self, item: Item) -> tuple[Item, ...]:
        if item.kind != FRAME or not self._is_deep(item.index):
            return ()
        return (Item(REFERENCE, 0),)

    def unit(self, item: Item) -> FrameUnit | ReferenceUnit:
        p = self._payload
        if item.kind == REFERENCE:
            deepest = max((0, p.num_frames - 1), key=lambda frame: precision(self._grid(frame)).bits)
            return ReferenceUnit(p.re, p.im, precision(self._grid(deepest)).bits, p.maxiter)
        return FrameUnit(self._zoom.view(item.index), p.maxiter, VIDEO_BAILOUT, self._look, p.supersampling)

    def last_frame(self, item: Item) -> int:
        return self._payload.num_frames - 1

    def _grid(self, frame: int):
        return self._zoom.view(frame).grid(self._payload.supersampling)

    def _is_deep(self, frame: int) -> bool:
        return arithmetic(self._grid(frame)).engine == PERTURBED

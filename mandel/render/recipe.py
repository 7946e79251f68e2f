"""What a job's frames are made from: items, what each needs, and the unit that makes it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from mandel.colour.look import Look
from mandel.payload import Payload
from mandel.plan.zoom import Zoom
from mandel.render.unit import FrameUnit

# Smooth colouring wants a large radius; 2**10 keeps |z|^2 of the next steps finite.
VIDEO_BAILOUT = 1024.0

FRAME = "frame"
SEGMENT = "segment"


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
    """Each frame iterated on its own."""

    def __init__(self, payload: Payload):
        self._payload = payload
        self._zoom = Zoom.of(payload)
        self._look = Look(palette=payload.palette)

    def needs(self, item: Item) -> tuple[Item, ...]:
        return ()

    def unit(self, item: Item) -> FrameUnit:
        p = self._payload
        return FrameUnit(self._zoom.view(item.index), p.maxiter, VIDEO_BAILOUT, self._look, p.supersampling)

    def last_frame(self, item: Item) -> int:
        return self._payload.num_frames - 1


def recipe_of(payload: Payload) -> Recipe:
    """The recipe that a payload asks for."""
    return ExactRecipe(payload)

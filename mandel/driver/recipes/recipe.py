"""What a recipe is: a job's items, what each of them needs, and the unit of work that makes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from mandel.plan.iteration_limit import IterationLimit
from mandel.tasks.units import Unit

# Smooth colouring wants a large radius; 2**10 keeps |z|^2 of the next steps finite.
VIDEO_BAILOUT = 1024.0

FRAME = "frame"
SEGMENT = "segment"
REFERENCE = "reference"
STRIP = "strip"
RAW = "raw"  # a strip's samples on disk; no task makes them alone
LIMIT = "limit"
COSTS = "costs"  # what samples take between the frame of this index and the last one
# What the recipe itself wants to know: its value is told to ``learn`` and goes into no task.
LEARNED = frozenset({LIMIT, COSTS})


class WorkItem(NamedTuple):
    """One thing that a task makes; ``kind`` is also the task function's name."""

    kind: str
    index: int  # type: ignore[assignment] # in place of the tuple's method, which nobody calls

    def __str__(self) -> str:
        return f"{self.kind} {self.index}"


class CostClass(NamedTuple):
    """Items that cost alike: of one ``kind``; ``deep`` ones, iterated by perturbation, may take 100 times more."""

    kind: str
    deep: bool = False


class SharedInput(NamedTuple):
    """Every so many ``frames`` they need something more, of so many ``bytes``; 0 if that is next to nothing."""

    frames: int
    bytes: int


class Iterated(NamedTuple):
    """The frames or strips that are iterated for a job.

    Attributes:
        items: one for each.
        depths: ``KeyCost.depth`` of views whose samples take as much as theirs; float64.
        samples: how many each has; float64.
    """

    items: Sequence[WorkItem]
    depths: np.ndarray
    samples: np.ndarray


class Recipe(Protocol):
    """How the frames of one job are made.

    Attributes:
        held_bytes: the most that all but frames takes at any time, whatever the job's length, while needs are
            made when they are wanted.
        shared_input: of what frames share.
    """

    @property
    def held_bytes(self) -> int: ...

    @property
    def shared_input(self) -> SharedInput: ...

    def strip_bytes(self, strip: int) -> int:
        """Bytes of an item of kind STRIP."""

    def needs(self, item: WorkItem) -> tuple[WorkItem, ...]:
        """What must have been made before ``item``: its task's inputs, in order, and what is learned."""

    def unit(self, item: WorkItem) -> Unit:
        """The unit of work that makes ``item`` (a frame, or something frames need)."""

    def cost_class(self, item: WorkItem) -> CostClass:
        """With which other items what ``item`` takes is to be compared."""

    def learn(self, item: WorkItem, value: IterationLimit) -> None:
        """Takes the value of an item of a LEARNED kind."""

    def given_up(self) -> list[tuple[str, IterationLimit]]:
        """Key views of maxiter "auto", learned so far, whose limit was given up: deltas and limits."""

    def strips_shown(self, frame: int) -> dict[int, float]:
        """The strips that a frame is made from, and which part of its area shows each."""

    def iterated(self) -> Iterated:
        """All that is iterated: each strip once, or each frame."""

    def iterated_for(self, frames: np.ndarray) -> np.ndarray:
        """The places in ``iterated().items`` of those that some frames (int, ascending) are made from; int."""

    def last_frame(self, item: WorkItem) -> int:
        """The last frame that needs ``item``, which is dropped once no frame up to it is left."""

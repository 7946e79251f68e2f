"""Where the texels of frames lie in a buffer that stays from frame to frame.

A frame shows nearly the same rows of each level as the one before it. So each level has a window of rows, a little
larger than what a frame shows, and only rows that are not there yet are copied: some 24 of 1,600 at 1920 x 1080. A
window is moved, and filled anew, when a frame shows rows beyond it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from mandel.plan.strip_plan import Layout, Rows
from mandel.tasks.units import Part, ResampleUnit

# The share of its rows by which a window is larger than what a frame shows, and the least such number of rows.
_SPARE, _LEAST_SPARE = 4, 4
# Kernels number texels by int32.
_MOST_TEXELS = 2**31 - 1


class Copy(NamedTuple):
    """Whole rows to copy: ``rows`` x ``cols`` elements of part number ``part``, from ``start`` on, to ``at`` of the
    buffer."""

    at: int
    part: int
    start: int
    rows: int
    cols: int


@dataclass
class _Window:
    """The rows of a level from ``first`` on, ``rows`` of them, at the buffer's element ``at``.

    Attributes:
        held: by strip, its layout and the rows of it that are there, first and last + 1.
    """

    at: int
    first: int
    rows: int
    held: dict[int, tuple[Layout, int, int]] = field(default_factory=dict)

    def show(self, seen: Rows) -> None:
        """Moves to where it holds ``seen``, if it does not; spare rows lie where it moves to."""
        if self.first <= seen.first and seen.last < self.first + self.rows:
            return
        goes_on = seen.first > self.first
        self.first = seen.first if goes_on else seen.last + 1 - self.rows
        self.held.clear()

    def missing(self, part: Part, first: int, stop: int) -> Iterator[tuple[int, int]]:
        """The rows of a part, from ``first`` to before ``stop``, that are not there; they count as there now."""
        layout, low, high = self.held.get(part.strip, (None, first, first))
        if layout != part.layout or stop < low or high < first:
            low = high = first
        if first < low:
            yield first, low
        if high < stop:
            yield high, stop
        self.held[part.strip] = part.layout, min(low, first), max(high, stop)


class TexelWindows:
    """The windows of all levels. One object for each buffer.

    Args:
        beyond: how many columns of a row's beginning follow it once more.

    Attributes:
        size: elements that the buffer must have.
    """

    def __init__(self, beyond: int):
        self._beyond = beyond
        self._name = ""
        self._around = 0
        self._windows: dict[int, _Window] = {}
        self.size = 0

    def forget(self) -> None:
        """What the buffer holds is unknown."""
        self._windows.clear()

    def arrange(self, unit: ResampleUnit) -> tuple[np.ndarray, list[Copy]]:
        """Where each level's rows lie: the kernel's table ``places``, and what is to be copied before.

        Row numbers count from the first strip that the frame sees, to keep them small.
        """
        if (self._name, self._around) != (unit.strips, unit.around) or any(
            seen.level not in self._windows or self._windows[seen.level].rows <= seen.last - seen.first
            for seen in unit.seen
        ):
            self._begin(unit)
        places = np.zeros((unit.rows.bit_length(), 4), np.int32)
        copies = []
        for seen in unit.seen:
            window, height, cols = (
                self._windows[seen.level],
                unit.rows >> seen.level,
                unit.around >> seen.level,
            )
            window.show(seen)
            origin, stride = unit.first * height, cols + self._beyond
            at = window.at + (seen.first - window.first) * stride
            places[seen.level, :3] = at, seen.first - origin, seen.last - origin
            for number, part in enumerate(unit.parts):
                begin = part.strip * height
                first, stop = max(seen.first, begin), min(seen.last + 1, begin + height)
                if first >= stop or seen.level not in part.levels:
                    continue
                before = part.offset(seen.level)
                for low, high in window.missing(part, first, stop):
                    to = window.at + (low - window.first) * stride
                    copies.append(Copy(to, number, before + (low - begin) * cols, high - low, cols))
        return places, copies

    def _begin(self, unit: ResampleUnit) -> None:
        """New windows, empty, around what a frame shows."""
        self._name, self._around = unit.strips, unit.around
        shown = [
            (seen, seen.last + 1 - seen.first, (unit.around >> seen.level) + self._beyond)
            for seen in unit.seen
        ]
        spares = [max(rows // _SPARE, _LEAST_SPARE) for _, rows, _ in shown]
        if (
            sum((rows + spare) * stride for (_, rows, stride), spare in zip(shown, spares, strict=True))
            > _MOST_TEXELS
        ):
            spares = [0] * len(shown)
        self._windows, at = {}, 0
        for (seen, rows, stride), spare in zip(shown, spares, strict=True):
            self._windows[seen.level] = _Window(at, seen.first - spare // 2, rows + spare)
            at += (rows + spare) * stride
        self.size = at

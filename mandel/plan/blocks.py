"""Chooses which samples of a strip are iterated: those that frames can see."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mandel.plan.grid import LOCKSTEP_COLS, LOCKSTEP_ROWS, Grid
from mandel.plan.strip_plan import StripPlan

# A strip is cropped in this many bands, each to the columns that frames can see.
_BANDS = 8


@dataclass(frozen=True)
class Block:
    """Samples of a strip to iterate: ``grid`` begins at (row, col) of the strip's finest level.

    Samples do not depend on how a strip was cut: strips that are kept are not cut at all. So a block begins and ends
    between groups of samples that are iterated together, and is iterated as a part of ``whole``, the strip's grid.
    """

    row: int
    col: int
    grid: Grid
    whole: Grid


def blocks(strips: StripPlan, strip: int) -> list[Block]:
    """The samples of a strip that frames can see, cut into grids that do not overlap."""
    grid = strips.whole(strip)
    if not strips.cropped:
        return [Block(0, 0, grid, grid)]
    rows = grid.rows
    height = min(max(rows // _BANDS, LOCKSTEP_ROWS), rows)
    bands = [(row, _visible(strips, strip, row + height)) for row in range(0, rows, height)]
    if all(visible.all() for _, visible in bands):
        return [Block(0, 0, grid, grid)]
    return [
        Block(row, col, replace(grid, cols=cols, rows=height, x0=0.5 + col, y0=0.5 + row), grid)
        for row, visible in bands
        for col, cols in _runs(visible)
    ]


def _visible(strips: StripPlan, strip: int, row: int) -> np.ndarray:
    """Whether any frame can see a column above ``row``, or one of its group: bool, one for each column of the strip's
    finest level."""
    around, zoom = strips.around >> strips.base(strip), strips.zoom
    shown = strips.radius_shown(strip, row)
    if shown is None or sum(shown) < min(zoom.width, zoom.height) / 2:
        return np.ones(around, bool)
    radius, reach = shown
    angle = (np.arange(around) + 0.5) * (2 * np.pi / around)
    inside = np.abs(radius * np.cos(angle)) <= zoom.width / 2 + reach
    inside &= np.abs(radius * np.sin(angle)) <= zoom.height / 2 + reach
    groups = np.logical_or.reduceat(inside, range(0, around, LOCKSTEP_COLS))
    return np.repeat(groups, LOCKSTEP_COLS)[:around]


def _runs(visible: np.ndarray) -> list[tuple[int, int]]:
    """(first column, length) of each run of visible columns."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], visible, [False])).astype(np.int8)))
    return [(int(a), int(b - a)) for a, b in edges.reshape(-1, 2)]

"""Times how long some samples of a view take, iterated as its frames iterate them."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np

from mandel.colour.style import ColourStyle
from mandel.plan.arithmetic import PERTURBED, arithmetic
from mandel.plan.grid import Grid
from mandel.plan.view import View
from mandel.render.frame import FrameRenderer
from mandel.render.painter import outputs

# A row of the frame is cut into this many pieces, at different heights.
_PIECES = 8
_FIRST_ROWS, _GROWTH = 4, 4  # rows at first: CPUs iterate up to four in lockstep
# Beside so many seconds of the first pieces what their launches take does not matter.
_DEAR_SECONDS = 0.02
# Of a crop that is encoded: its longest and shortest side in pixels, and the seconds that it may take. An x265 was seen
# to crash over frames that are smaller than one of its blocks of 64.
_CROP, _LEAST_CROP, _CROP_SECONDS = 192, 64, 0.3


def sample_seconds(
    renderer: FrameRenderer,
    view: View,
    n: int,
    maxiter: int,
    bailout: float,
    style: ColourStyle,
    enough: float,
) -> tuple[float, float]:
    """Seconds that one sample of a view takes, and those that a frame takes beside its samples.

    CPU seconds of this process, on a GPU seconds of wall time. More and more rows are iterated, until they take
    ``enough`` seconds more than the first few, or are the whole frame.

    Args:
        n: n x n samples for each pixel.
    """
    grid, wanted = view.grid(n), outputs(style)
    clock = time.perf_counter if renderer.context.device.is_gpu else time.process_time

    def timed(pieces: list[Grid]) -> float:
        began = clock()
        for piece in pieces:
            renderer.samples(piece, maxiter, bailout, wanted, whole=grid)
        renderer.context.queue.finish()
        return clock() - began

    few = _pieces(grid, _FIRST_ROWS)
    timed(few[:1])  # builds the programs and the table of skipped steps
    # A table that was kept from before counts too: others have none.
    fixed = renderer.table_seconds if arithmetic(grid).engine == PERTURBED else 0.0
    alone, least = timed(few), _samples(few)
    if few == [grid] or alone >= _DEAR_SECONDS:
        return alone / least, fixed
    rows = _FIRST_ROWS
    while True:
        rows *= _GROWTH
        pieces = _pieces(grid, rows)
        spent, share = timed(pieces), len(pieces) / len(few)
        more = spent - share * alone  # without what launches take
        if more >= enough or pieces == [grid]:
            return max(more, 0.1 * spent) / (_samples(pieces) - share * least), fixed


def _samples(pieces: list[Grid]) -> int:
    return sum(piece.rows * piece.cols for piece in pieces)


def _pieces(grid: Grid, rows: int) -> list[Grid]:
    """Pieces of a grid, of so many rows each, that lie in all of its columns and at different heights; or the whole."""
    if rows * _PIECES > grid.rows:
        return [grid]
    count = min(_PIECES, grid.cols)
    edges = np.linspace(0, grid.cols, count + 1).astype(int)
    found = []
    for place, (left, right) in enumerate(pairwise(edges.tolist())):
        height = 3 * place % count if count == _PIECES else place  # neighbours lie far apart
        first = min(int((height + 0.5) * grid.rows / count), grid.rows - rows)
        found.append(replace(grid.band(first, rows), x0=grid.x0 + left, cols=right - left))
    return found


def crop(
    renderer: FrameRenderer,
    view: View,
    n: int,
    maxiter: int,
    bailout: float,
    style: ColourStyle,
    layout: str,
    side: int,
) -> np.ndarray:
    """The picture of ``side`` x ``side`` pixels half-way between a view's centre and its upper right corner."""
    grid = view.grid(n)
    left = min(max(3 * view.width // 4 - side // 2, 0), view.width - side)
    top = min(max(view.height // 4 - side // 2, 0), view.height - side)
    part = replace(grid.band(top * n, side * n), x0=grid.x0 + left * n, cols=side * n)
    return renderer.part(grid, part, maxiter, bailout, style, n, layout)


def crop_side(view: View, n: int, seconds: float, count: int) -> int:
    """The side of crops of which ``count`` take little time; 0 if they would be too small to tell anything.

    Args:
        seconds: of a sample.
    """
    affordable = (_CROP_SECONDS / max(seconds * n * n * count, 1e-12)) ** 0.5
    side = int(min(_CROP, view.width, view.height, affordable)) // 16 * 16
    return side if side >= _LEAST_CROP else 0

"""Times how long some samples of a view take, iterated as its frames iterate them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from mandel.colour.style import ColourStyle
from mandel.plan.arithmetic import PERTURBED, arithmetic
from mandel.plan.grid import Grid
from mandel.plan.picture import YUV420
from mandel.plan.view import View
from mandel.render.frame import FrameRenderer
from mandel.render.painter import outputs

# A row of the frame is cut into this many pieces, at different heights.
_PIECES = 8
_FIRST_ROWS, _GROWTH = 4, 4  # rows at first: CPUs iterate up to four in lockstep
# Beside so many seconds of the first pieces what their launches take does not matter.
_DEAR_SECONDS = 0.02
# On a GPU the kernels of other processes come in between: the least of so many times tells more, and all that is
# timed must take so many times as long before it tells anything.
_GPU_TRIES, _GPU_FACTOR = 3, 10
# What is encoded of a frame are square tiles from all over it, put together: the most of them along a side, their sides
# in pixels, the better first, and the seconds that they may take.
_TILES, _TILE_SIDES, _TILES_SECONDS = 8, (48, 32), 0.2


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
    clock, tries, dear = time.process_time, 1, _DEAR_SECONDS
    if renderer.context.device.is_gpu:
        clock, tries, dear = time.perf_counter, _GPU_TRIES, _GPU_FACTOR * _DEAR_SECONDS
        enough *= _GPU_FACTOR

    def timed(pieces: list[Grid]) -> float:
        return min(once(pieces) for _ in range(tries))

    def once(pieces: list[Grid]) -> float:
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
    if few == [grid] or alone >= dear:
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


def tiling(view: View, n: int, seconds: float, frames: int) -> tuple[int, int]:
    """How many tiles along a side, and the side of each, take little time; (0, 0) if they would be too few.

    Args:
        seconds: of a sample.
        frames: of which there are tiles.
    """
    affordable = (_TILES_SECONDS / max(seconds * n * n * frames, 1e-12)) ** 0.5
    for side in _TILE_SIDES:
        across = int(min(_TILES, min(view.width, view.height, affordable) // side))
        if across == _TILES or (side == _TILE_SIDES[-1] and across >= 2):
            return across, side
    return 0, 0


def tiles(
    draw: Callable[[Grid, Grid], np.ndarray],
    view: View,
    n: int,
    layout: str,
    across: int,
    side: int,
    widened: float = 1.0,
) -> np.ndarray:
    """``across`` x ``across`` pieces of a view, evenly spread over it, put together to one picture.

    Args:
        draw: makes the picture, in ``layout``, of a part of a grid, from the whole and the part.
        n: n x n samples for each pixel.
        side: pixels along each piece.
        widened: by this factor another view was narrower, whose pieces these show: what moves stays within them.
    """
    grid = view.grid(n)
    spots = (np.arange(across) + 0.5) / across - 0.5
    lefts, tops = (
        np.clip((size * (0.5 + spots / widened) - side / 2) / 2, 0, (size - side) // 2).round().astype(int)
        * 2
        for size in (view.width, view.height)
    )
    rows = []
    for top in tops.tolist():
        band = grid.band(top * n, side * n)
        parts = (replace(band, x0=grid.x0 + left * n, cols=side * n) for left in lefts.tolist())
        rows.append([draw(grid, part) for part in parts])
    if layout != YUV420:
        return _joined(rows)
    luma = _joined([[piece[:side] for piece in row] for row in rows])
    chroma = [
        _joined([[piece[side:].reshape(2, side // 2, side // 2)[plane] for piece in row] for row in rows])
        for plane in range(2)
    ]
    return np.concatenate([luma, *(plane.reshape(-1, luma.shape[1]) for plane in chroma)])


def _joined(rows: list[list[np.ndarray]]) -> np.ndarray:
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])

"""The coordinates of a grid's columns and rows, as tables for the kernels.

A sample's coordinate is the sum of a part that its column gives and a part that
its row gives. These parts are computed here, once per grid, in twice the
precision of double. So coordinates are rounded only once, and to the same bits
on every device.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

import numpy as np

from mandel.kernels.contract import AXIS_ALIGNED, POLAR_GEOMETRY, ROTATED
from mandel.plan.grid import PLANE, POLAR, Grid


@dataclass(frozen=True)
class Axes:
    """Tables for ``geometry.h``.

    Attributes:
        geometry: the value of the header's define GEOMETRY.
        across, down: float64, 1-d; layout as in ``geometry.h``.
        spacing: distance between neighbouring samples of a row, in units of the plane (of ``grid.scale``
            for relative axes). A number if all rows have the same, else float64 (rows,).
    """

    geometry: int
    across: np.ndarray
    down: np.ndarray
    spacing: float | np.ndarray


# For differences of exact numbers, which are then rounded to a double: 60 digits are plenty.
_DIFFERENCE = Context(prec=60, Emax=10**9, Emin=-(10**9))


@lru_cache(maxsize=64)  # all frames of a zoom ask for the same centre
def split(text: str | Decimal) -> tuple[float, float]:
    """A decimal as an unevaluated sum of two doubles, good to 106 bits."""
    exact = Decimal(text)
    high = float(exact)
    return high, float(_DIFFERENCE.subtract(exact, Decimal(high)))


Real = Any  # a float64, or an array of them
Pair = tuple[Real, Real]  # high and low part


def _two_sum(a: Real, b: Real) -> Pair:
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def _halves(a: Real) -> Pair:
    big = 134217729.0 * a
    high = big - (big - a)
    return high, a - high


def _two_product(a: Real, b: Real) -> Pair:
    p = a * b
    ah, al = _halves(a)
    bh, bl = _halves(b)
    return p, ((ah * bh - p) + ah * bl + al * bh) + al * bl


def _scaled(factor: tuple[float, float], k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``factor * k`` as high and low parts."""
    high, low = _two_product(np.float64(factor[0]), k)
    return _two_sum(high, low + factor[1] * k)


def _shifted(by: tuple[float, float], high: Real, low: Real) -> Pair:
    """``by + high + low`` as high and low parts."""
    s, e = _two_sum(by[0], high)
    return _two_sum(s, e + (low + by[1]))


def axes(grid: Grid, relative: bool = False, width: int = 1) -> Axes:
    """Tables of the grid's sample coordinates.

    Args:
        relative: give offsets from the centre in units of ``grid.scale``, which perturbation needs,
            instead of coordinates of the plane.
        width: lanes of the kernel's vectors. The columns of an axis-aligned grid are continued to a
            multiple of it, because kernels load whole vectors.
    """
    zero = (0.0, 0.0)
    re, im = (zero, zero) if relative else (split(grid.re), split(grid.im))
    scale = (1.0, 0.0) if relative else split(grid.scale)
    spacing = scale[0] * abs(grid.turn)
    if grid.kind == PLANE and grid.turn == 1:
        cols = -(-grid.cols // width) * width
        both = _straight(_steps(cols, grid.rows, grid.x0, grid.y0), _along(re, im, cols, grid.rows), scale)
        return Axes(AXIS_ALIGNED, both[:cols], both[cols:], spacing)
    columns = grid.x0 + np.arange(grid.cols, dtype=np.float64)
    if grid.kind == POLAR:
        return _polar(grid, re, im, scale[0], columns)
    lines = grid.y0 - np.arange(grid.rows, dtype=np.float64)
    x, y = _scaled(scale, columns), _scaled(scale, lines)

    def times(part: Pair, factor: float) -> Pair:
        high, low = _two_product(part[0], np.float64(factor))
        return _two_sum(high, low + part[1] * factor)

    across = (*_shifted(re, *times(x, grid.turn.real)), *_shifted(im, *times(x, grid.turn.imag)))
    down = (*times(y, -grid.turn.imag), *times(y, grid.turn.real))
    return Axes(ROTATED, np.concatenate(across), np.concatenate(down), spacing)


@lru_cache(maxsize=8)
def _steps(cols: int, rows: int, x0: float, y0: float) -> np.ndarray:
    """Offsets of all columns, then of all rows, in units of the grid's scale; float64 (cols + rows,)."""
    return np.concatenate((x0 + np.arange(cols, dtype=np.float64), y0 - np.arange(rows, dtype=np.float64)))


@lru_cache(maxsize=8)
def _along(re: tuple[float, float], im: tuple[float, float], cols: int, rows: int) -> np.ndarray:
    """The coordinate of the centre that belongs to each of ``_steps``; float64 (2, cols + rows): high, low parts."""
    return np.repeat(np.array([re, im]), (cols, rows), axis=0).T


def _straight(steps: np.ndarray, centre: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """``centre + scale * steps``, rounded once.

    Every frame waits for this, so there are as few operations as possible. Steps are halves of
    integers below 2**26, so their products with the halves of ``scale`` are exact.
    """
    upper, lower = _halves(scale[0])
    product = scale[0] * steps
    rest = upper * steps
    rest -= product
    rest += lower * steps
    rest += scale[1] * steps
    total = centre[0] + product
    shift = total - centre[0]  # _two_sum(centre[0], product)
    product -= shift
    shift -= total
    shift += centre[0]
    rest += product
    rest += shift
    rest += centre[1]
    rest += total
    return rest


def _polar(grid: Grid, re: Pair, im: Pair, scale: float, columns: np.ndarray) -> Axes:
    step = 2 * np.pi / grid.around
    direction = np.exp(1j * step * columns) * grid.turn
    radius = scale * np.exp(-step * (grid.y0 + np.arange(grid.rows, dtype=np.float64)))
    across = np.concatenate((direction.real, direction.imag))
    return Axes(POLAR_GEOMETRY, across, np.concatenate((radius, re, im)), radius * step * abs(grid.turn))


def coordinates(table: Axes, cols: int, rows: int) -> np.ndarray:
    """Every sample's coordinate, complex128 (rows, cols), as ``geometry.h`` computes it."""
    a, d = table.across, table.down
    if table.geometry == AXIS_ALIGNED:
        return a[None, :] + 1j * d[:, None]
    if table.geometry == ROTATED:
        a, d = a.reshape(4, 1, cols), d.reshape(4, rows, 1)
        re = _shifted((0.0, 0.0), *_two_sum(a[0], d[0]))
        im = _shifted((0.0, 0.0), *_two_sum(a[2], d[2]))
        return (re[0] + (re[1] + (a[1] + d[1]))) + 1j * (im[0] + (im[1] + (a[3] + d[3])))
    radius, centre = d[:rows, None], d[rows:]
    parts = []
    for way, (high, low) in zip(a.reshape(2, 1, cols), centre.reshape(2, 2), strict=True):
        offset, rest = _two_product(radius, way)
        total, error = _two_sum(high, offset)
        parts.append(total + (error + (low + rest)))
    return parts[0] + 1j * parts[1]

"""Finds the precision, exponent range and table that perturbation needs for a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from mandel.errors import RenderError
from mandel.plan.arithmetic import DEEP_EXPONENT, log2_of
from mandel.plan.grid import POLAR, Grid

# Bits of the orbit below the sample spacing. 64 would give the same counts. With 128, orbits of all precisions round
# to the same doubles (all but one entry in 2**64), so a picture does not depend on which orbit it was made with.
GUARD_BITS = 128
# The exponent of a table's largest |c| is rounded up to a multiple of this: one table serves many octaves of a zoom.
# Above 2^SHALLOW blocks are short and every octave counts; below, orbits are long and tables dear.
OCTAVES, SHALLOW_OCTAVES, SHALLOW = 64, 8, -128
# The kernels' logarithms are int32 with 12 fraction bits.
MAX_DEPTH = 50_000


@dataclass(frozen=True)
class Precision:
    """What perturbation needs for a grid.

    Attributes:
        bits: bits after the binary point of the reference orbit.
        c_max: log2 of the largest |c|, the distance of a sample from the centre.
        table_exponent: the BLA table is made for |c| < 2**table_exponent.
        deep: whether samples need extended range, as doubles would underflow.
        scale, scale_exponent: grid.scale = scale * 2**scale_exponent; the
            exponent is 0 unless ``deep``, else scale is about 1 to 2.
    """

    bits: int
    c_max: float
    table_exponent: int
    deep: bool
    scale: float
    scale_exponent: int


def _extent(grid: Grid) -> tuple[float, float]:
    """log2 of the largest offset and of the smallest spacing, in units of grid.scale."""
    turn = math.log2(abs(grid.turn))
    if grid.kind == POLAR:
        octaves = 2 * math.pi / grid.around / math.log(2)
        first, final = -octaves * grid.y0, -octaves * (grid.y0 + grid.rows - 1)
        return turn + first, turn + final + math.log2(2 * math.pi / grid.around)
    x = max(abs(grid.x0), abs(grid.x0 + grid.cols - 1))
    y = max(abs(grid.y0), abs(grid.y0 - grid.rows + 1))
    return turn + math.log2(math.hypot(x, y) or 1.0), turn


def split_scale(scale: Decimal) -> tuple[float, int]:
    """``scale`` > 0 as mantissa of about 1 to 2 and binary exponent."""
    exponent = math.floor(log2_of(scale))
    with_guard = 80
    value, divisor = scale.as_integer_ratio()
    shift = with_guard - exponent
    scaled = (value << shift) // divisor if shift >= 0 else value // (divisor << -shift)
    return math.ldexp(scaled, -with_guard), exponent


def precision(grid: Grid, whole: Grid | None = None) -> Precision:
    """What the reference orbit, the BLA table and the kernel need for ``grid``.

    Args:
        whole: the grid that ``grid`` is a part of. All parts get the needs of the whole, so that samples do
            not depend on how it was cut.

    Raises:
        RenderError: TOO_DEEP_ZOOM beyond 1e-50000.
    """
    whole = whole or grid
    scale = log2_of(whole.scale)
    largest, least = (scale + part for part in _extent(whole))
    if least < -MAX_DEPTH * math.log2(10):
        raise RenderError(
            "TOO_DEEP_ZOOM",
            f"samples lie {least / math.log2(10):.0f} decimal orders below 1; "
            f"the deepest spacing is 1e-{MAX_DEPTH}.",
            limit=f"1e-{MAX_DEPTH}",
        )
    deep = least < DEEP_EXPONENT
    octaves = SHALLOW_OCTAVES if largest > SHALLOW else OCTAVES
    mantissa, exponent = split_scale(grid.scale) if deep else (float(grid.scale), 0)
    return Precision(
        bits=max(math.ceil(-least), 0) + GUARD_BITS,
        c_max=largest,
        table_exponent=octaves * math.ceil((largest + 0.01) / octaves),
        deep=deep,
        scale=mantissa,
        scale_exponent=exponent,
    )

"""Second-order BLA: many iterations of a small z in one step.

Over a block of l iterations from index m of a reference orbit,
z_{n+l} = A z + B c + D z**2 up to a relative error of EPSILON as long as
|z| < R. Bilinear approximation itself (https://mathr.co.uk/web/deep-zoom.html,
section 3) has no D: it neglects z**2, and R is about EPSILON |Z|. With D the
neglected term is z**3, and R is about sqrt(EPSILON) |Z|. So blocks can be taken
more often, and a sample needs several times fewer steps at the same error.

One iteration is A = 2 Z_m, B = D = 1, exactly. A block x followed by y is
A = A_y A_x, B = A_y B_x + B_y, D = A_y D_x + D_y A_x**2. Level k holds the
blocks of 2**k iterations that start at m = 1 + j 2**k. No block starts at index
0, because nothing can be linearised about Z_0 = 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mandel.plan.reference import Reference
from mandel.plan.scaled import Scaled, least

# The neglected terms are smaller than 2**-EPSILON_BITS of the kept ones.
EPSILON_BITS = 40
# Inside a block |z| stays below |Z| / 2**_MARGIN_BITS, so that no rebase is missed.
_MARGIN_BITS = 2

# Steps of the orbit whose lowest levels are made at a time; a multiple of 2**low for any low.
_PIECE = 1 << 18


@dataclass(frozen=True)
class Level:
    """The blocks of 2**k iterations: z <- a z + b c + d z**2 for |z| < radius."""

    a: Scaled
    b: Scaled
    d: Scaled
    radius: Scaled


def _zero_unless(keep: np.ndarray, number: Scaled) -> Scaled:
    return Scaled(np.where(keep, number.mantissa, 0.0), np.where(keep, number.exponent, 0))


def _joined(levels: list[Level]) -> Level:
    def join(name: str) -> Scaled:
        parts = [getattr(level, name) for level in levels]
        return Scaled(
            np.concatenate([p.mantissa for p in parts]), np.concatenate([p.exponent for p in parts])
        )

    return Level(join("a"), join("b"), join("d"), join("radius"))


def _singles(reference: Reference, first: int, last: int) -> Level:
    part = slice(first, last)
    z = Scaled.of(reference.re[part] + 1j * reference.im[part], reference.exponent[part])
    size = z.magnitude()
    one = Scaled.of(np.ones(len(z), complex))
    # No sample may leave the disc of radius 2 inside a block, or its count would be wrong.
    gap = np.maximum(4.0 - size.at(0) ** 2 - 2.0**-40, 0.0)
    exponent = np.zeros(len(gap), np.int32)
    edge = (reference.edge >= first) & (reference.edge < last)
    at = reference.edge[edge] - first
    gap[at], exponent[at] = np.maximum(-reference.edge_gap[edge], 0.0), reference.edge_exponent[edge]
    room = Scaled.of(gap, exponent - 2)
    return Level(z.shifted(1), one, one, least(size.shifted(-_MARGIN_BITS), room))


def _merge(level: Level, c_max: Scaled, bits: int) -> Level:
    n = len(level.a) // 2 * 2
    x, y = slice(0, n, 2), slice(1, n, 2)
    ax, ay, bx, dx, dy = level.a[x], level.a[y], level.b[x], level.d[x], level.d[y]
    a, ax2 = ay.times(ax), ax.times(ax)
    b = ay.times(bx).plus(level.b[y])
    d = ay.times(dx).plus(dy.times(ax2))
    sound = (ax.mantissa != 0) & (ay.mantissa != 0) & (dx.mantissa != 0) & (dy.mantissa != 0)
    one = Scaled.of(np.ones(len(ax)))
    ax_size, ay_size, dx_size, dy_size = (
        Scaled(np.where(sound, s.mantissa, 1.0), s.exponent)
        for s in (ax.magnitude(), ay.magnitude(), dx.magnitude(), dy.magnitude())
    )
    drift = bx.magnitude().times(c_max)
    # Neglected beside A_y A_x z: 2 A_x D_x D_y z**3 and D_y (D_x z**2)**2. Where the
    # terms in z c and c**2 are not small enough either, ``useful`` drops the block.
    cubic = ay_size.over(dx_size.times(dy_size)).shifted(-bits - 1).root()
    linear = ax_size.over(dx_size).shifted(-1)
    radius = least(level.radius[x], cubic, linear)
    reach = level.radius[y].plus(drift.negated())
    growth = ax_size.times(one.plus(dx_size.times(radius).over(ax_size)))
    useful = sound & (reach.mantissa > 0) & drift.times(dy_size).shifted(bits + 1).below(ay_size)
    return Level(a, b, d, _zero_unless(useful, least(radius, reach.over(growth))))


def levels(
    reference: Reference, last: int, c_max_exponent: int, bits: int = EPSILON_BITS, low: int = 0
) -> Iterator[Level]:
    """Makes the levels of the table for steps 1 ... last - 1 of the reference, from level ``low`` on.

    Level 0 has last - 1 blocks of one iteration. Each further level has half as many blocks; a remainder that
    does not fill a block is left out. To save memory, levels below ``low`` are made in pieces, and the others
    one by one as they are taken: all at once would take 200 bytes a step.

    Args:
        last: the index at which samples rebase at the latest (``Reference.end``).
        c_max_exponent: |c| < 2**c_max_exponent for every offset c from the centre.
        bits: -log2 of the relative error allowed.
    """
    c_max, parts = Scaled.of(np.ones(1), c_max_exponent), []
    for first in range(1, last, _PIECE):
        level = _singles(reference, first, min(first + _PIECE, last))
        for _ in range(low):
            level = _merge(level, c_max, bits)
        parts.append(level)
    if not parts or not sum(len(part.a) for part in parts):
        return
    level = _joined(parts)
    del parts
    yield level
    while len(level.a) >= 2:
        level = _merge(level, c_max, bits)
        yield level

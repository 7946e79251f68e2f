"""Counts by direct iteration in arbitrary precision, and random deep places."""

from __future__ import annotations

import math
import random
from decimal import Decimal, localcontext

import numpy as np
from gmpy2 import mpz

from mandel.errors import RenderError
from mandel.plan.arithmetic import log2_of
from mandel.plan.grid import Grid
from mandel.plan.nucleus import Nucleus, locate
from mandel.plan.reference import fixed_point


def count(x0: mpz, y0: mpz, bits: int, maxiter: int, bailout: int = 2) -> int:
    """The least n >= 1 with |z_n| > bailout, else maxiter + 1; c in fixed point."""
    x = y = mpz(0)
    limit = mpz(bailout * bailout) << bits
    for n in range(1, maxiter + 1):
        x, y = ((x + y) * (x - y) >> bits) + x0, (x * y >> (bits - 1)) + y0
        if x * x + y * y >> bits > limit:
            return n
    return maxiter + 1


def counts(grid: Grid, maxiter: int, bailout: int = 2) -> np.ndarray:
    """Exact counts of a small grid of kind PLANE without turn, 128 bits below its spacing."""
    bits = math.ceil(-log2_of(grid.scale)) + 128
    re, im, scale = (fixed_point(str(v), bits) for v in (grid.re, grid.im, grid.scale))
    half = mpz(2)
    return np.array(
        [
            [
                count(
                    re + scale * int(2 * (grid.x0 + i)) // half,
                    im + scale * int(2 * (grid.y0 - j)) // half,
                    bits,
                    maxiter,
                    bailout,
                )
                for i in range(grid.cols)
            ]
            for j in range(grid.rows)
        ],
        np.int32,
    )


def shifted(text: str, by: Decimal) -> str:
    """The decimal ``text`` + ``by``, exactly."""
    with localcontext() as context:
        context.prec = 100_000
        return f"{Decimal(text) + by:f}"


def random_nucleus(rng: random.Random, depth: int, max_period: int = 20_000) -> Nucleus | None:
    """A nucleus of size below 10**-depth, found by zooming at random; None when the walk gets stuck."""
    found = None
    for _ in range(20 + depth):
        if found is None:
            re, im, delta = f"{rng.uniform(-1.9, 0.4):.9f}", f"{rng.uniform(0, 1):.9f}", Decimal("0.1")
        else:
            # Somewhere in the decorations around it, a much smaller disc.
            reach = found.size ** Decimal(str(round(rng.uniform(0.6, 0.95), 3)))
            turn = rng.uniform(0, 2 * math.pi)
            re = shifted(found.re, reach * Decimal(math.cos(turn)))
            im = shifted(found.im, reach * Decimal(math.sin(turn)))
            delta = reach / 4
        try:
            nucleus = locate(re, im, f"{delta:e}", max_period)
        except RenderError:
            continue
        if found is None or nucleus.size < found.size:
            found = nucleus
        if found.size < Decimal(10) ** -depth:
            return found
    return None

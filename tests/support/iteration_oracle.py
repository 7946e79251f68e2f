"""Plain iteration in numpy and in gmpy2: what the kernels are tested against."""

from __future__ import annotations

from decimal import Decimal, localcontext

import gmpy2
import numpy as np

from mandel.plan.axes import axes, coordinates
from mandel.plan.grid import PLANE, Grid


def frac_of(norm: np.ndarray) -> np.ndarray:
    """``1 - log2(ln|z|)`` from |z|^2, float64: count + frac is the smooth count."""
    return 1.0 - np.log2(0.5 * np.log(norm))


def iterate(c: np.ndarray, maxiter: int, bailout: float) -> tuple[np.ndarray, np.ndarray]:
    """Counts and smooth fractions of points, by separate multiplications and additions.

    Args:
        c: complex, any shape; complex256 (longdouble) is iterated as such.

    Returns:
        count, int64: least n >= 1 with |z_n| > bailout, else maxiter + 1;
        frac, float64: smooth count is count + frac; 0 for interior.
    """
    flat = np.ravel(c)
    re, im = flat.real.copy(), flat.imag.copy()
    x, y = np.zeros_like(re), np.zeros_like(im)
    count = np.full(flat.size, maxiter + 1, dtype=np.int64)
    frac = np.zeros(flat.size)
    left = np.arange(flat.size)
    for n in range(1, maxiter + 1):
        x, y = x * x - y * y + re, 2 * x * y + im
        norm = x * x + y * y
        gone = norm > bailout * bailout
        if gone.any():
            count[left[gone]] = n
            frac[left[gone]] = frac_of(norm[gone])
            keep = ~gone
            left, x, y, re, im = left[keep], x[keep], y[keep], re[keep], im[keep]
        if not left.size:
            break
    return count.reshape(c.shape), frac.reshape(c.shape)


def iterate_grid(grid: Grid, maxiter: int, bailout: float) -> tuple[np.ndarray, np.ndarray]:
    """``iterate`` over a grid's samples, in double."""
    return iterate(coordinates(axes(grid), grid.cols, grid.rows), maxiter, bailout)


def exact_count(re: str, im: str, maxiter: int, bailout: float, bits: int = 256) -> int:
    """The count of one point in ``bits`` of precision."""
    with gmpy2.context(gmpy2.get_context(), precision=bits):
        c, limit = gmpy2.mpc(f"({re} {im})"), gmpy2.mpfr(bailout) ** 2
        z = gmpy2.mpc(0)
        for n in range(1, maxiter + 1):
            z = z * z + c
            if gmpy2.norm(z) > limit:
                return n
    return maxiter + 1


def exact_counts(grid: Grid, maxiter: int, bailout: float, bits: int = 256) -> np.ndarray:
    """Counts of a straight PLANE grid from exact coordinates, int64 (rows, cols); slow."""
    if grid.kind != PLANE or grid.turn != 1:
        raise ValueError("only straight PLANE grids")
    with localcontext() as context:
        context.prec = int(bits * 0.302) + 10
        re = [str(Decimal(grid.re) + grid.scale * Decimal(grid.x0 + i)) for i in range(grid.cols)]
        im = [str(Decimal(grid.im) + grid.scale * Decimal(grid.y0 - j)) for j in range(grid.rows)]
    return np.array([[exact_count(x, y, maxiter, bailout, bits) for x in re] for y in im], dtype=np.int64)

"""What a sample is, by plain iteration in arbitrary precision; and how well double precision can know it.

Nothing here is shared with the engines but the definition of a grid: coordinates are made of its fields.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import gmpy2
import numpy as np
from gmpy2 import mpc, mpfr, mpz

from mandel.plan.arithmetic import log2_of
from mandel.plan.axes import split
from mandel.plan.grid import POLAR, Grid
from mandel.plan.reference import fixed_point

# Bits below the sample spacing: a step's rounding then moves a sample by 2**-128 px.
GUARD_BITS = 128
# Bits of an offset in units of the spacing; enough for 2**100 px.
_OFFSET_BITS = 256
# |z| as a double keeps its precision down to 2**-_KEPT.
_KEPT = 900
# |z|^2 of a sum of two doubles is rounded: in which part of it bailout^2 must be nearer for nobody to tell them apart.
_ROUNDED_LOG2 = -50


@dataclass(frozen=True)
class Truth:
    """One sample.

    Attributes:
        count: least n >= 1 with |z_n| > bailout, else maxiter + 1.
        frac: 1 - log2(ln|z_n|), 0 for interior.
        distance: the estimate 2 |z| ln|z| / |dz/dc| in units of the sample spacing, 0 for interior.
        slope: unit vector of z / (dz/dc), 0 for interior.
        margin: by how many px, to first order, the sample must be moved to meet |z_n| = bailout; only
            steps that come within 2**-10 of that are looked at (inf without one). 0 where doubles round to the
            circle.
    """

    count: int
    frac: float
    distance: float
    slope: complex
    margin: float


def spacing_log2(grid: Grid, j: int) -> float:
    """log2 of the spacing of row ``j``, in units of the plane."""
    spacing = log2_of(grid.scale) + math.log2(abs(grid.turn))
    if grid.kind == POLAR:
        step = 2 * math.pi / grid.around
        spacing += math.log2(step) - step * (grid.y0 + j) / math.log(2)
    return spacing


def bits_of(grid: Grid, j: int) -> int:
    """Bits after the binary point to iterate a sample of row ``j`` with."""
    return max(math.ceil(-spacing_log2(grid, j)), 0) + GUARD_BITS


def position(grid: Grid, i: int, j: int, bits: int) -> tuple[mpz, mpz]:
    """Sample (column i, row j) in fixed point, ``bits`` after the binary point."""
    with gmpy2.context(precision=_OFFSET_BITS, emax=2**40, emin=-(2**40)):
        if grid.kind == POLAR:
            step = 2 * gmpy2.const_pi() / grid.around
            offset = gmpy2.exp(mpc(-step * (mpfr(grid.y0) + j), step * (mpfr(grid.x0) + i)))
        else:
            offset = mpc(mpfr(grid.x0) + i, mpfr(grid.y0) - j)
        offset = offset * mpc(grid.turn) * mpfr(str(grid.scale))
        parts = [mpz(gmpy2.floor(gmpy2.mul_2exp(part, bits))) for part in (offset.real, offset.imag)]
    return fixed_point(grid.re, bits) + parts[0], fixed_point(grid.im, bits) + parts[1]


def _apart(x: mpz, y: mpz, bits: int) -> tuple[complex, int]:
    """(x + iy) 2**-bits as a complex of about 1 and an exponent."""
    shift = max(x.bit_length(), y.bit_length(), 1) - 60
    move = (lambda v: float(v >> shift)) if shift > 0 else (lambda v: float(v << -shift))
    return complex(move(x), move(y)) * 2.0**-60, shift + 60 - bits


def truth(grid: Grid, i: int, j: int, maxiter: int, bailout: float, by: complex = 0j) -> Truth:
    """Sample (column i, row j) of a grid; takes 1 us an iteration, more where deep.

    Args:
        by: where to look instead, px from there.
    """
    bits = bits_of(grid, j)
    cx, cy = position(grid, i, j, bits)
    if by:
        pixel = fixed_point(f"{2 ** (spacing_log2(grid, j) % 1):.17f}", 60) << max(
            bits + math.floor(spacing_log2(grid, j)) - 60, 0
        )
        cx += mpz(int(by.real * 2**60)) * pixel >> 60
        cy += mpz(int(by.imag * 2**60)) * pixel >> 60
    unit_exponent = math.floor(spacing_log2(grid, j))
    unit = 2.0 ** (spacing_log2(grid, j) - unit_exponent)
    low, half = max(bits - _KEPT, 0), bits - 1
    scale, tiny = 2.0 ** (low - bits), 2.0 ** (60 - _KEPT)
    exact_limit = mpz(int(bailout * 2**40)) ** 2 << 2 * bits - 80
    limit = bailout * bailout
    near_low, near_high = limit * (1 - 2.0**-10), limit * (1 + 2.0**-10)
    rounded_log2 = math.log2(limit) + _ROUNDED_LOG2
    x = y = mpz(0)
    z, d, e, margin = 0j, 0j, unit_exponent, math.inf
    for n in range(1, maxiter + 1):
        # d = 2 z d + 1, in units of 2**e.
        if low and abs(z.real) + abs(z.imag) < tiny and (x or y):
            part, exponent = _apart(x, y, bits)
            d, e = 2 * part * d, e + exponent
        else:
            d = 2 * z * d
        if e < unit_exponent - 900:
            d, e = 0j, unit_exponent
        d += math.ldexp(unit, unit_exponent - e)
        size = abs(d.real) + abs(d.imag)
        if size > 1e60 or 0 < size < 1e-60:
            shift = math.frexp(size)[1]
            d, e = d * 2.0**-shift, e + shift
        x, y = ((x + y) * (x - y) >> bits) + cx, (x * y >> half) + cy
        z = complex(float(x >> low) * scale, float(y >> low) * scale)
        norm = z.real * z.real + z.imag * z.imag
        if norm < near_low:
            continue
        out = norm > limit
        if norm < near_high:
            over = x * x + y * y - exact_limit
            out = over > 0
            gap, exponent = _apart(over, mpz(0), 2 * bits)
            by_log2 = math.log2(abs(gap)) + exponent if gap else -math.inf
            if by_log2 > rounded_log2:
                moved = by_log2 - math.log2(2 * abs(z) * (abs(d) or 1e-300)) - e
                margin = min(margin, 2.0 ** min(max(moved, -1000), 1000))
            else:
                margin = 0.0
        if out:
            ln_norm = math.log(norm)
            log_distance = math.log2(abs(z) * ln_norm) - math.log2(abs(d)) - e if d else 1e9
            turn = z / d if d else 0j
            return Truth(
                n,
                1 - math.log2(ln_norm / 2),
                2.0**log_distance if abs(log_distance) < 1000 else (math.inf if log_distance > 0 else 0.0),
                turn / abs(turn) if turn else 0j,
                margin,
            )
    return Truth(maxiter + 1, 0.0, 0.0, 0j, margin)


@dataclass(frozen=True)
class Bounded:
    """Samples iterated in long double, with a bound on what direct iteration in double may differ by.

    Attributes:
        count: int64, any shape.
        frac: float64.
        certain: bool; no rounding can have changed the count.
        frac_error: float64; the bound for frac, single precision's part included.
        moved: float64; the bound on z as a distance in the plane of c, over the estimated distance
            from the set: 0.1 says that z is what a sample has that lies by a tenth of that elsewhere.
    """

    count: np.ndarray
    frac: np.ndarray
    certain: np.ndarray
    frac_error: np.ndarray
    moved: np.ndarray


def plane_coordinates(grid: Grid, at: np.ndarray) -> np.ndarray:
    """Samples as complex256; ``at`` are their indices, row-major."""
    real = np.longdouble
    rows, cols = np.divmod(at, grid.cols)
    scale = sum(map(real, split(grid.scale)))
    if grid.kind == POLAR:
        step = 2 * real(np.pi) / grid.around  # as good as the double that the tables are made of
        radius = np.exp(-step * (real(grid.y0) + rows.astype(real)))
        angle = step * (real(grid.x0) + cols.astype(real))
        offset = radius * np.cos(angle) + 1j * (radius * np.sin(angle))
    else:
        offset = (real(grid.x0) + cols.astype(real)) + 1j * (real(grid.y0) - rows.astype(real))
    offset = offset * np.clongdouble(grid.turn) * scale
    re, im = (sum(map(real, split(text))) for text in (grid.re, grid.im))
    return (re + offset.real) + 1j * (im + offset.imag)


def bounded(grid: Grid, at: np.ndarray, maxiter: int, bailout: float) -> Bounded:
    """Samples ``at`` (indices, row-major) in long double beside a running bound of double's error.

    The kernels compute x' = fl(x x + fl(a - y y)), y' = fl(2 x y + b), with a and b rounded once. With
    u = 2**-53 an error E of z becomes at most (2 |z| + E) E + u (|z|^2 + 2 |c| + 1.5 |z'|); 2 % more cover
    long double's own errors. A polar grid's offsets come of rounded angles and logarithms of radii.
    """
    c = plane_coordinates(grid, at).ravel()
    u, real = 2.0**-53, np.float64
    size_c = np.abs(c).astype(real)
    extra = 2.02 * u * size_c
    if grid.kind == POLAR:
        step, (rows, cols) = 2 * np.pi / grid.around, np.divmod(np.ravel(at), grid.cols)
        turns = step * (np.abs(grid.y0 + rows) + np.abs(grid.x0 + cols))
        offset = np.abs(c - complex(float(grid.re), float(grid.im))).astype(real)
        extra = extra + u * (4 + 3 * turns) * offset
    z, error = np.zeros_like(c), np.zeros(c.size)
    size, sure = np.zeros(c.size), np.ones(c.size, bool)
    left = np.arange(c.size)
    count, frac = np.full(c.size, maxiter + 1, np.int64), np.zeros(c.size)
    certain, frac_error, moved = np.zeros(c.size, bool), np.full(c.size, 2e-6), np.zeros(c.size)
    with np.errstate(over="ignore", invalid="ignore"):
        for n in range(1, maxiter + 1):
            z = z * z + c
            grown = (2 * size + error) * error + u * (size + error) ** 2
            size = np.abs(z).astype(real)
            error = 1.02 * (grown + extra + 1.5 * u * size)
            slack = error + 2.0**-51 * bailout
            out = size > bailout
            sure &= np.where(out, size - slack > bailout, size + slack <= bailout)
            if out.any():
                gone = left[out]
                ln = np.log(size[out])
                count[gone], frac[gone] = n, 1 - np.log2(ln)
                certain[gone] = sure[out]
                share = np.minimum(error[out] / size[out], 0.5)
                frac_error[gone] = 2e-6 + 2 * share / (ln * np.log(2))
                moved[gone] = error[out] / (2 * size[out] * ln)
                keep = ~out
                z, c, error, size, sure = z[keep], c[keep], error[keep], size[keep], sure[keep]
                extra, left = extra[keep], left[keep]
                if not left.size:
                    break
    certain[left] = sure
    return Bounded(count, frac, certain, frac_error, moved)

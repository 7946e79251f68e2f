"""Finds nuclei, the centres of minibrots, from a view, with all their digits.

Sources: https://mathr.co.uk/web/m-period.html, m-nucleus.html and m-size.html
(period of a disc, Newton's method, size estimate).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice

import gmpy2
import numpy as np
from gmpy2 import mpc, mpfr

from mandel.errors import RenderError
from mandel.plan.arithmetic import log2_of
from mandel.plan.growth import Growth, returned
from mandel.plan.reference import reference_orbit

_LOG2_10 = math.log2(10)
_TRIALS = 64
_CANDIDATES = 8
_PATIENCE = 12
_CHUNK = 4_096
# log2 of the radius at which a disc's image is so much larger than the set that it tells nothing more.
_FAR = 64
# Bits of precision beyond those of the disc's radius.
_GUARD_BITS = 64
# Range of mpfr's exponents: in deep views derivatives become as large as deltas become small.
_RANGE = {"emax": 2**40, "emin": -(2**40)}


@dataclass(frozen=True)
class Nucleus:
    """A point c with z_p(c) = 0, the centre of a component of period p.

    Attributes:
        re, im: decimal strings, exact to a small part of ``size``.
        period: p.
        size: decimal, the minibrot's size relative to the whole set's, whose
            main cardioid has size 1.
        angle: rotation of the minibrot against the whole set, radians.
    """

    re: str
    im: str
    period: int
    size: Decimal
    angle: float

    @property
    def minibrot_delta(self) -> str:
        """A view's delta that shows the whole minibrot."""
        return f"{4 * self.size:.3e}"

    @property
    def julia_delta(self) -> str:
        """A view's delta that shows the embedded Julia set around the minibrot."""
        return f"{4 * self.size ** Decimal('0.75'):.3e}"


def _not_found(message: str) -> RenderError:
    return RenderError("NO_NUCLEUS", message + " Try a larger delta, another point or a higher limit.")


def periods_in_disc(
    re: str, im: str, radius: str, limit: int, progress: Callable[[int, int], object] | None = None
) -> Iterator[int]:
    """Candidates for periods of nuclei in the disc around ``re + 1j*im``, ascending.

    These are the n with |z_n| < radius |dz_n/dc|: to first order the image of
    the disc after n steps covers 0. The first is nearly always the answer.

    Args:
        re, im, radius: decimal strings.
        limit: the largest period to look for.
        progress: as in ``reference_orbit``.
    """
    log_radius = log2_of(Decimal(radius))
    bits = max(math.ceil(-log_radius), 0) + _GUARD_BITS
    orbit, growth = reference_orbit(re, im, bits, limit, progress), Growth()
    for first in range(0, len(orbit.re), _CHUNK):
        part = [array[first : first + _CHUNK] for array in (orbit.re, orbit.im, orbit.exponent)]
        grown = growth.advance(*part)
        far = np.flatnonzero(grown + log_radius > _FAR)
        end = int(far[0]) if len(far) else _CHUNK
        yield from (first + np.flatnonzero(returned(log_radius - 1, grown, *part)[:end])).tolist()
        if len(far):
            return


def _decimal(value: mpfr, digits: int) -> str:
    """``value`` rounded to ``digits`` digits after the point."""
    text, exponent, _ = value.digits(10)
    sign, text = ("-", text[1:]) if text.startswith("-") else ("", text)
    number = Decimal(f"{sign}0.{text}e{exponent}") if any(c != "0" for c in text) else Decimal(0)
    if number.is_zero():
        return "0"
    keep = max(digits + number.adjusted() + 1, 1)
    with_digits = text[:keep].rstrip("0") or "0"
    number = Decimal(f"{sign}0.{with_digits}e{exponent}")
    return f"{number:f}" if number.adjusted() > -30 else f"{number:e}"


def nucleus(
    re: str, im: str, radius: str, period: int, progress: Callable[[int, int], object] | None = None
) -> Nucleus:
    """Newton's method from ``re + 1j*im`` to the nucleus of ``period``, with its size.

    Precision doubles as the digits come in and ends well below the size found.

    Args:
        re, im, radius: decimal strings; a nucleus some radii away is still accepted.
        progress: called as ``progress(step, max_steps)`` after each Newton step.

    Raises:
        RenderError: NO_NUCLEUS when the method does not converge near the disc.
    """
    log_radius = log2_of(Decimal(radius))
    bits = max(math.ceil(-log_radius), 0) + 2 * _GUARD_BITS
    with gmpy2.context(precision=bits, **_RANGE):
        start = c = mpc(mpfr(re), mpfr(im))
    least, stalled = math.inf, 0
    for trial in range(_TRIALS):
        with gmpy2.context(precision=bits, **_RANGE):
            c = mpc(c, precision=(bits, bits))
            z, d = mpc(0), mpc(0)
            for _ in range(period):
                d = 2 * (z * d) + 1
                z = z * z + c
            if d == 0:
                raise _not_found("Newton's method met a critical point.")
            step = z / d
            c = c - step
            moved = _log2(step)
            if _log2(c - start) > log_radius + 3:
                raise _not_found(f"Newton's method for period {period} left the disc.")
            stalled = 0 if moved < least - 0.01 else stalled + 1
            least = min(least, moved)
            if stalled > _PATIENCE:
                raise _not_found(f"Newton's method for period {period} did not settle.")
        if progress is not None:
            progress(trial + 1, _TRIALS)
        if moved > 8 - bits and moved > -bits / 2 + 4 and trial + 1 < _TRIALS:
            continue
        size, angle = _size(c, period, bits)
        # Enough bits that z_p is negligible beside the sample spacing in a view of the minibrot.
        need = math.ceil(_log2(d) - log2_of(size)) + _GUARD_BITS
        if bits >= need and 2 * moved < log2_of(size) - need:  # the next step's error
            digits = math.ceil(need / _LOG2_10)
            return Nucleus(_decimal(c.real, digits), _decimal(c.imag, digits), period, size, angle)
        bits = max(need, min(2 * bits, 2 * need))
    raise _not_found(f"Newton's method for period {period} did not settle.")


def _log2(value: mpc) -> float:
    size = abs(value)
    if size == 0:
        return -math.inf
    exponent, mantissa = gmpy2.frexp(size)
    return exponent + math.log2(float(mantissa))


def _size(c: mpc, period: int, bits: int) -> tuple[Decimal, float]:
    """Size and turn of the component: 1 / (beta lambda**2), lambda = prod 2 z_k, beta = sum 1/lambda_k."""
    with gmpy2.context(precision=bits, **_RANGE):
        z, growth, beta = mpc(0), mpc(1), mpc(1)
        for _ in range(period - 1):
            z = z * z + c
            growth = 2 * (z * growth)
            beta += 1 / growth if growth else 0
        size = 1 / (beta * growth * growth) if growth else mpc("inf")
        if not 0 < abs(size) < 1.01:  # no component is larger than that of period 1
            raise _not_found(f"Newton's method for period {period} found one of lower period.")
        text, exponent, _ = mpfr(abs(size), 64).digits(10)
        return Decimal(f"0.{text[:17]}e{exponent}"), float(gmpy2.phase(size))


def locate(
    re: str, im: str, delta: str, limit: int, progress: Callable[[int, int], object] | None = None
) -> Nucleus:
    """The nucleus of least period in a view's inscribed disc.

    Raises:
        RenderError: NO_NUCLEUS.
    """
    radius = f"{Decimal(delta) / 2:e}"
    failure = _not_found(f"No nucleus of period up to {limit} within {radius} of the point.")
    for period in islice(periods_in_disc(re, im, radius, limit, progress), _CANDIDATES):
        try:
            return nucleus(re, im, radius, period, progress)
        except RenderError as error:
            failure = error
    raise failure

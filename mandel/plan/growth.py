"""How fast neighbouring orbits move apart: |dz_n/dc|, and when a disc's image first covers 0.

When a disc of radius R around c is iterated, its image after n steps is, to first order, the disc of radius
R |dz_n/dc| around z_n. Take the first n at which this image covers 0. If a nucleus lies in the disc, n is its period
(https://mathr.co.uk/web/m-period.html). In any case nothing in the disc repeats sooner, so a view's iteration counts
are measured in units of n.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

_BLOCK = 32  # |2 z| < 2**3, except in the last steps of an escape: 32 factors do not overflow a double
_CHUNK = 4_096


class Growth:
    """Computes dz_n/dc along one orbit, which is handed over piece by piece from n = 0."""

    def __init__(self) -> None:
        self._value, self._exponent = 0j, 0  # dz_0/dc = 0

    def advance(self, re: np.ndarray, im: np.ndarray, exponent: np.ndarray) -> np.ndarray:
        """Takes the next entries z_n = (re + 1j*im) * 2**exponent; returns log2 |dz_n/dc| for each, float64."""
        factors, shifts = (2 * (re + 1j * im)).tolist(), exponent.tolist()
        special = np.flatnonzero(exponent).tolist()  # these take a block each
        cuts = sorted({*range(0, len(factors), _BLOCK), *special, *(k + 1 for k in special), len(factors)})
        values, exponents = [], np.zeros(len(factors))
        for first, end in itertools.pairwise(cuts):
            exponents[first:end] = self._exponent
            value, shift = self._value, shifts[first]
            if shift:
                values.append(value)
                self._set(factors[first] * value, self._exponent + shift)
                self._set(self._value + _power2(-self._exponent), self._exponent)
                continue
            unit = _power2(-self._exponent)
            for factor in factors[first:end]:
                values.append(value)
                value = factor * value + unit
            self._set(value, self._exponent)
        with np.errstate(divide="ignore"):
            return np.log2(np.abs(np.array(values, complex))) + exponents

    def _set(self, value: complex, exponent: int) -> None:
        shift = math.frexp(max(abs(value.real), abs(value.imag)))[1]
        value, exponent = (
            complex(math.ldexp(value.real, -shift), math.ldexp(value.imag, -shift)),
            exponent + shift,
        )
        if value == 0 or exponent < -900:  # negligible beside the 1 that each step adds
            value, exponent = 0j, 0
        self._value, self._exponent = value, exponent


def _power2(k: int) -> float:
    return math.ldexp(1.0, k) if k > -1_000 else 0.0


def _log2_abs(re: np.ndarray, im: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log2(np.hypot(re, im)) + exponent


def returned(
    log_radius: float, growth: np.ndarray, re: np.ndarray, im: np.ndarray, exponent: np.ndarray
) -> np.ndarray:
    """Whether |z_n| < 2 R |dz_n/dc|: bool, one for each entry.

    Args:
        log_radius: log2 of R.
        growth: log2 |dz_n/dc| of the entries, from ``Growth.advance``.
    """
    return _log2_abs(re, im, exponent) < growth + (log_radius + 1)


def first_return(re: np.ndarray, im: np.ndarray, exponent: np.ndarray, log_radius: float) -> int:
    """The first n > 0 of an orbit with |z_n| < 2 R |dz_n/dc|; 0 when there is none.

    Args:
        re, im, exponent: the orbit from z_0 = 0, as in ``Reference``.
        log_radius: log2 of R.
    """
    growth = Growth()
    for first in range(0, len(re), _CHUNK):
        end = first + _CHUNK
        part = re[first:end], im[first:end], exponent[first:end]
        found = np.flatnonzero(returned(log_radius, growth.advance(*part), *part))
        if len(found):  # not at n = 0, where dz/dc is 0
            return first + int(found[0])
    return 0

"""The optimal curve from one view to another: van Wijk and Nuij, Smooth and efficient zooming and panning, 2003.

Of all ways from one view to another it moves pictures least. Between two far places it rises until both are near, and
goes down again. In their words rho is the square root of 2, which is near what people prefer, and lengths here are
rho times theirs: along a plain zoom a length of 1 changes delta by e.

With y = delta and x = rho**2 times the centre, their metric is that of the hyperbolic half-plane, and the curve is a
half circle or, about one centre, a straight line. On both sides of the circle's *top* it looks alike. So each half is
told from its own stop: a frame's centre is never more than half of its delta away from it. Nothing is ever told as
the difference of two numbers that are nearly equal, and extents only as logarithms. So a curve may begin and end 1e-300
deep, and doubles still place its frames to 1e-10 of their extent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import NamedTuple

_RHO_SQUARED = 2.0
# Coordinates have some 21,000 digits at most, so that their differences are exact.
_EXACT = Context(prec=100_000, Emax=10**9, Emin=-(10**9))
_MATH = Context(prec=60, Emax=10**9, Emin=-(10**9))
# Numbers below e**_LARGE have squares that are finite.
_LARGE = 300.0


class CurveView(NamedTuple):
    """A view of a curve, told from one of its ends.

    Attributes:
        from_end: whether it is told from the second end.
        centre: its centre, from that end's, in units of its own delta.
        depth: ln(its delta / that end's delta).
    """

    from_end: bool
    centre: complex
    depth: float


class Speed(NamedTuple):
    """How a view moves.

    Attributes:
        centre: of its centre, in units of its delta.
        depth: of ln(delta).
    """

    centre: complex
    depth: float


@dataclass(frozen=True)
class Curve:
    """The way between two views.

    Attributes:
        length: of the whole way.
        ends: for each end, how far from it the top lies along the circle; negative where the curve begins downwards.
            Infinite where it is straight.
        direction: unit complex number, from the first centre to the second; 0 where they are the same.
    """

    length: float
    ends: tuple[float, float]
    direction: complex

    @classmethod
    def between(cls, a: tuple[str, str, str], b: tuple[str, str, str]) -> Curve:
        """The curve from a view to another, each told as re, im and delta, decimal strings of any depth."""
        (re0, im0, w0), (re1, im1, w1) = a, b
        deeper = float(_ln(_MATH.divide(Decimal(w1), Decimal(w0)))) if Decimal(w1) != Decimal(w0) else 0.0
        x, y = (_EXACT.subtract(Decimal(q), Decimal(p)) for p, q in ((re0, re1), (im0, im1)))
        if not (x or y):
            far = math.inf if deeper > 0 else -math.inf
            return cls(abs(deeper), (far, -far), 0j)
        distance = _MATH.sqrt(_MATH.add(_MATH.multiply(x, x), _MATH.multiply(y, y)))
        direction = complex(float(_MATH.divide(x, distance)), float(_MATH.divide(y, distance)))
        apart = float(_ln(_MATH.divide(distance, Decimal(w0)))) + math.log(_RHO_SQUARED)
        ends = _to_top(deeper, apart), _to_top(-deeper, apart - deeper)
        return cls(sum(ends), ends, direction)

    def at(self, share: float) -> CurveView:
        """The view at a share of the length."""
        from_end = share > 0.5 if math.isinf(self.ends[0]) else share * self.length > self.ends[0]
        top = self.ends[from_end]
        way = self.length * (1 - share if from_end else share)
        if math.isinf(top):
            return CurveView(from_end, 0j, math.copysign(way, top))
        left = top - way
        depth = way + math.log1p(math.exp(-2 * top)) - math.log1p(math.exp(-2 * left))
        centre = math.exp(_ln_sinh(way) - _ln_cosh(top)) / _RHO_SQUARED if way else 0.0
        return CurveView(from_end, centre * (-self.direction if from_end else self.direction), depth)

    def speed(self, at_end: bool) -> Speed:
        """How views move at an end, per length, from the first end to the second."""
        top, forth = self.ends[at_end], -1 if at_end else 1
        centre = 0.0 if math.isinf(top) else math.exp(-_ln_cosh(top)) / _RHO_SQUARED
        return Speed(centre * self.direction, forth * math.tanh(top))


def _ln(value: Decimal) -> Decimal:
    return _MATH.ln(value)


def _to_top(deeper: float, apart: float) -> float:
    """How far the top of the circle lies from an end, upwards; their -r_0.

    It is asinh of ((w1/w0)**2 - 1 + q**2) / 2q; the other end has the delta w1, and lies q w0 / rho**2 away.

    Args:
        deeper: ln(w1/w0).
        apart: ln(q).
    """
    if max(2 * abs(deeper), abs(apart)) < _LARGE:
        return math.asinh((math.expm1(2 * deeper) * math.exp(-apart) + math.exp(apart)) / 2)
    # The logarithm of the size of the first of the two terms; that of the second is ``apart``.
    first = math.log(-math.expm1(-2 * abs(deeper))) + max(2 * deeper, 0.0) - apart if deeper else -math.inf
    sign = math.copysign(1.0, deeper)
    if max(first, apart) < _LARGE:
        return math.asinh((sign * math.exp(first) + math.exp(apart)) / 2)
    # Of such a number asinh is the logarithm of its double. Two terms of this size are never opposite and alike.
    if first >= apart:
        return sign * (first + math.log1p(sign * math.exp(apart - first)))
    return apart + math.log1p(sign * math.exp(first - apart))


def _ln_cosh(x: float) -> float:
    return abs(x) + math.log1p(math.exp(-2 * abs(x))) - math.log(2)


def _ln_sinh(x: float) -> float:
    return x + math.log(-math.expm1(-2 * x)) - math.log(2)

"""The views that the mapping "even" learns its curve from: small pictures of squares, from the whole set to a place.

The squares lie on fixed grids, two octaves apart. So a place has the same ones however one came there, and its
neighbours have nearly all of them; a deeper place adds some at the end. The curve is made from them in this order, so
it is then extended at its end (colour/curve.py).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from operator import itemgetter

from mandel.colour.curve import even_curve, with_guesses
from mandel.colour.mappings import Curve
from mandel.plan.arithmetic import DIRECT, arithmetic, log2_of
from mandel.plan.tile import dyadic, spacing
from mandel.plan.view import View

STEP = 2  # octaves from one square to the next
# Deeper than so many octaves, the step is doubled with each doubling of the depth: 361 squares suffice for 1e-1000.
_DENSE = 256
# Squares of higher octaves need perturbation wherever they lie. Their own centres have many digits, which take long.
_DIRECT = 64
SIDE = 24  # samples
_OFFSET_BITS = 64  # after the binary point, of offsets in quarters of a side
WHOLE_SET = View("-0.75", "0", "2.5", SIDE, SIDE)


@dataclass(frozen=True, order=True)
class Square:
    """A square of the plane, of side 2**-octave; its centre is a whole number of quarters of its side.

    Attributes:
        octave: at least 0.
        x, y: the centre, in quarters of the side.
    """

    octave: int
    x: int
    y: int

    @classmethod
    def about(cls, octave: int, re: Fraction, im: Fraction) -> Square:
        """The square of an octave whose centre is nearest to a point."""
        return cls(octave, *(_nearest(value, octave + 2) for value in (re, im)))

    def offset(self, re: Fraction, im: Fraction) -> complex:
        """From a point to the centre, in sides."""
        bits = self.octave + 2 + _OFFSET_BITS
        apart = ((x << _OFFSET_BITS) - _scaled(value, bits) for x, value in ((self.x, re), (self.y, im)))
        return complex(*(math.ldexp(each, -2 - _OFFSET_BITS) for each in apart))

    def view(self, re: str, im: str) -> View:
        """The square as a view about a point within it or near it, decimal strings; about its own centre if direct."""
        delta = str(spacing(self.octave))
        if self.octave <= _DIRECT:
            own = dyadic(self.x, self.octave + 2), dyadic(self.y, self.octave + 2)
            view = View(*own, delta, SIDE, SIDE)
            if arithmetic(view.grid()).engine == DIRECT:
                return view
        return View(re, im, delta, SIDE, SIDE, shift=self.offset(_exact(re), _exact(im)))


def squares(places: Iterable[tuple[Fraction, Fraction, float]]) -> list[tuple[Square, int]]:
    """The squares about places, from the largest to the smallest, and for each the number of a place that it is about.

    No square is smaller than the view of its place.

    Args:
        places: re, im and -log2 of the view's delta of each.
    """
    found: dict[Square, int] = {}
    for number, (re, im, depth) in enumerate(places):
        for octave in _octaves(math.floor(depth + 1e-6)):
            found.setdefault(Square.about(octave, re, im), number)
    return sorted(found.items())


def colour_views(places: Sequence[tuple[str, str, str]]) -> list[tuple[View, int]]:
    """The views that films to places have, and for each the number of a place that it is about; ``WHOLE_SET`` first.

    Args:
        places: re, im and delta of each, decimal strings.
    """
    about = squares((_exact(re), _exact(im), -log2_of(Decimal(delta))) for re, im, delta in places)
    return [(WHOLE_SET, 0), *((square.view(*places[number][:2]), number) for square, number in about)]


def curve_of(views: Sequence[tuple[View, int]], counts: Sequence[Sequence[float]]) -> Curve:
    """The curve from such views and the quantiles of their counts."""
    ladders: dict[int, list[tuple[float, Sequence[float]]]] = {}
    for (view, number), told in zip(views, counts, strict=True):
        ladders.setdefault(number, []).append((-log2_of(Decimal(view.delta)), told))
    every = itertools.chain.from_iterable(with_guesses(ladder, STEP) for ladder in ladders.values())
    return even_curve([told for _, told in sorted(every, key=itemgetter(0))])


@lru_cache(maxsize=128)  # all squares about a point ask for the same ones
def _exact(text: str) -> Fraction:
    return Fraction(Decimal(text))


def _nearest(value: Fraction, bits: int) -> int:
    """The whole number that is nearest to value * 2**bits; half-way that farther from 0."""
    whole = (_scaled(abs(value), bits + 1) + 1) >> 1
    return whole if value >= 0 else -whole


def _scaled(value: Fraction, bits: int) -> int:
    """The whole part of value * 2**bits, towards minus infinity. With many digits one division serves many squares."""
    reach = 1 << bits.bit_length()
    return _whole(value, reach) >> (reach - bits)


@lru_cache(maxsize=128)
def _whole(value: Fraction, bits: int) -> int:
    return (value.numerator << bits) // value.denominator


def _octaves(last: int) -> list[int]:
    found = list(range(0, min(last, _DENSE), STEP))
    reach = _DENSE
    while reach < last:
        found += range(reach, min(last, 2 * reach), 2 * STEP * reach // _DENSE)
        reach *= 2
    return [*found, last] if last >= 0 else []

"""Tiles: squares of a dyadic grid over the plane, named by whole numbers relative to an anchor.

At level L samples lie 2**-L apart, and a tile has SIZE x SIZE of them. An anchor is one tile, told with all its digits.
Tiles near it are told by small numbers, and share the reference orbit through its middle. docs/web.md has the rules.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import cached_property, lru_cache

from mandel.errors import RequestError
from mandel.plan.arithmetic import DIRECT, arithmetic
from mandel.plan.grid import Grid
from mandel.plan.precision import GUARD_BITS, MAX_DEPTH

SIZE = 256
STEPS = (1, 2, 4, 8)
MAX_DLEVEL = 40  # offsets from the anchor's middle stay exact in doubles
MAX_OFFSET = 2**30
LEAST_LEVEL, MOST_LEVEL = -8, int(MAX_DEPTH * 3.3219)
# Levels below the anchor's that its orbit serves; deeper tiles have one of their own for every so many.
SERVED_LEVELS = 16
_MAGIC, _UNIFORM, _SHADED = b"MTL1", 1, 2
_HEAD = struct.Struct("<4sHHII")
_SCALE = Context(prec=40, Emax=10**9, Emin=-(10**9))
_MORE = Context(prec=60, Emax=10**9, Emin=-(10**9))  # powers are right to the last digit but one


def dyadic(numerator: int, bits: int) -> str:
    """numerator * 2**-bits as a decimal string, exactly."""
    if bits <= 0:
        return _digits(numerator << -bits)
    digits = _digits(abs(numerator) * 5**bits).rjust(bits + 1, "0")
    text = f"{digits[:-bits]}.{digits[-bits:]}".rstrip("0").rstrip(".")
    return "-" + text if numerator < 0 and text != "0" else text


def _digits(number: int) -> str:
    """``str`` has a limit."""
    return format(Decimal(number), "f")


@lru_cache(maxsize=256)
def spacing(level: int) -> Decimal:
    """2**-level."""
    return _SCALE.plus(_MORE.power(2, -level))


@dataclass(frozen=True)
class Anchor:
    """A tile that others are told relative to.

    Attributes:
        level, x, y: it covers re from x * 2**(8 - level) to (x + 1) * 2**(8 - level), and im likewise.

    Raises:
        RequestError: OUT_OF_RANGE for a level or a place beyond all that can be seen.
    """

    level: int
    x: int
    y: int

    def __post_init__(self) -> None:
        if not LEAST_LEVEL <= self.level <= MOST_LEVEL:
            raise RequestError(
                "OUT_OF_RANGE",
                f"level is from {LEAST_LEVEL} to {MOST_LEVEL}",
                field="level",
                limit=[LEAST_LEVEL, MOST_LEVEL],
            )
        for name in ("x", "y"):
            if getattr(self, name).bit_length() > max(self.level, 0) + 16:
                raise RequestError("OUT_OF_RANGE", f"{name} lies far outside the plane's middle", field=name)

    @cached_property
    def middle(self) -> tuple[str, str]:
        """The middle of the tile, re and im, decimal strings with all their digits."""
        return dyadic(2 * self.x + 1, self.level - 7), dyadic(2 * self.y + 1, self.level - 7)

    def grid(self, dlevel: int, dx: float, dy: float, step: int = 1) -> Grid:
        """The samples of the tile (dlevel, dx, dy), every ``step``-th one."""
        cols = SIZE // step
        return self.part(dlevel, Fraction(dx), Fraction(dy), cols, cols, Fraction(step))

    def part(self, dlevel: int, dx: Fraction, dy: Fraction, cols: int, rows: int, step: Fraction) -> Grid:
        """``cols`` x ``rows`` samples, ``step`` samples of level ``level + dlevel`` apart.

        Args:
            dx, dy: its left lower corner, in tiles of that level relative to the anchor's.
        """
        found = Grid(
            *self.middle,
            _SCALE.multiply(spacing(self.level + dlevel), _decimal(step)),
            cols,
            rows,
            float((self._corner(self.x, dlevel, dx) + step / 2) / step),
            float((self._corner(self.y, dlevel, dy) + step * rows - step / 2) / step),
        )
        if arithmetic(found).engine != DIRECT:
            return found
        # Direct samples need no orbit: about their own middle they are those of a still picture to the last bit.
        re, im = (
            self._middle_of(place, dlevel, at, count * step)
            for place, at, count in ((self.x, dx, cols), (self.y, dy, rows))
        )
        return Grid(re, im, found.scale, cols, rows, -(cols - 1) / 2, (rows - 1) / 2)

    def point(self, dlevel: int, dx: Fraction, dy: Fraction) -> tuple[Fraction, Fraction]:
        """A point of the plane, re and im, told in tiles of a level relative to the anchor's."""
        start, side = Fraction(2) ** dlevel, Fraction(2) ** (8 - self.level - dlevel)
        return (math.floor(self.x * start) + dx) * side, (math.floor(self.y * start) + dy) * side

    def _corner(self, place: int, dlevel: int, at: Fraction) -> Fraction:
        """From the anchor's middle to a corner, in samples of level ``level + dlevel``."""
        if dlevel >= 0:
            return SIZE * at - SIZE // 2 * 2**dlevel
        cut = 2**-dlevel
        return SIZE * at - SIZE * Fraction(place % cut, cut) - Fraction(SIZE // 2, cut)

    def _middle_of(self, place: int, dlevel: int, at: Fraction, side: Fraction) -> str:
        """The middle of a part with a ``side`` of so many samples, along one axis."""
        start = place << dlevel if dlevel >= 0 else place >> -dlevel
        middle = SIZE * (start + at) + side / 2  # in samples
        shift = middle.denominator.bit_length() - 1
        if middle.denominator == 1 << shift:
            return dyadic(middle.numerator, self.level + dlevel + shift)
        return dyadic(round(middle * 2**32), self.level + dlevel + 32)

    def orbit(self, dlevel: int) -> tuple[int, str]:
        """The precision in bits, and the radius, of a reference orbit for tiles of about this level."""
        deepest = self.level + SERVED_LEVELS * max(1, -(-dlevel // SERVED_LEVELS))
        return max(deepest, 0) + GUARD_BITS, str(_SCALE.plus(spacing(deepest) * SIZE))


def _decimal(value: Fraction) -> Decimal:
    return _SCALE.divide(value.numerator, value.denominator)


def tile_head(cols: int, rows: int, maxiter: int, uniform: bool, shaded: bool = False) -> bytes:
    """What a tile's body begins with; docs/web.md."""
    return _HEAD.pack(_MAGIC, cols, rows, maxiter, _UNIFORM * uniform + _SHADED * shaded)

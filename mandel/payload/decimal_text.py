"""Numbers as their text, so that no digit is lost and none is expanded.

A payload may hold a thousand digits or an exponent of a billion. Everything
here looks at text only; an exponent is bounded before it becomes an int, and
no number is made that is larger than its text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

_DECIMAL = re.compile(r"(-?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE]([+-]?)([0-9]+))?")

# Exponents beyond this are alike: every limit is far below.
_EXPONENT = 10**9

# Magnitudes written positionally; others get an exponent (as ECMAScript does).
_PLAIN = range(-7, 21)


@dataclass(frozen=True)
class Number:
    """A JSON number (or NaN, Infinity, -Infinity), known by its text alone."""

    text: str


class Exact(NamedTuple):
    """The value ``(-1)**negative * int(digits) * 10**exponent``.

    Attributes:
        negative: the sign; False for zero.
        digits: without leading or trailing zeros; ``""`` for zero.
        exponent: of the last digit, saturated near +-10**9; 0 for zero.
        scientific: whether the text had an exponent.
    """

    negative: bool
    digits: str
    exponent: int
    scientific: bool = False

    @property
    def magnitude(self) -> int:
        """Exponent of the first digit: floor(log10(|value|)); 0 for zero."""
        return self.exponent + max(len(self.digits) - 1, 0)

    def text(self) -> str:
        """The one text of this value: equal values, equal texts.

        Positional from 1e-7 up to 1e21, otherwise ``d.dddE-n``; ``-0`` is ``0``.
        """
        if not self.digits:
            return "0"
        sign = "-" if self.negative else ""
        first, point = self.magnitude, self.exponent
        if first not in _PLAIN:
            tail = "." + self.digits[1:] if len(self.digits) > 1 else ""
            return f"{sign}{self.digits[0]}{tail}E{first:+d}"
        if point >= 0:
            return sign + self.digits + "0" * point
        whole = self.digits[:point] or "0"
        return f"{sign}{whole}.{self.digits[point:].rjust(-point, '0')}"


def exact(text: str) -> Exact | None:
    """The value of a decimal number's text; None when it is not one.

    ASCII digits with at most one point and one exponent; a minus sign is
    allowed, a plus sign, blanks, underscores and other bases are not.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return None
    sign, mantissa, exponent_sign, exponent_text = match.groups()
    whole, _, fraction = mantissa.partition(".")
    exponent = _bounded(exponent_sign, exponent_text) - len(fraction)
    digits = (whole + fraction).lstrip("0")
    stripped = digits.rstrip("0")
    if not stripped:
        return Exact(False, "", 0, exponent_text is not None)
    exponent += len(digits) - len(stripped)
    return Exact(sign == "-", stripped, exponent, exponent_text is not None)


def _bounded(sign: str | None, text: str | None) -> int:
    text = (text or "0").lstrip("0") or "0"
    value = int(text) if len(text) <= 9 else _EXPONENT
    return -value if sign == "-" else value

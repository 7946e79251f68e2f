"""What each field of a payload may hold: one check each, from JSON value to canonical value.

Numbers are judged by their text: digits and exponents are bounded before
anything is converted, and nothing passes through a float. A check that fails
raises PydanticCustomError with a code of docs/protocol.md, a message and a limit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import LiteralString

from pydantic import ValidationInfo
from pydantic_core import PydanticCustomError

from mandel.payload.decimal_text import Exact, Number, exact
from mandel.settings import PayloadLimits

# Coordinates and deltas beyond this show nothing: the set lies within radius 2.
_EXTENT_MAGNITUDE = 6
_MAX_EXTENT = 10**_EXTENT_MAGNITUDE
# Digits of a coordinate beyond the deepest delta's own.
_SPARE_DIGITS = 1_000
LARGEST_WHOLE = 2**63 - 1
_DOUBLE_MAGNITUDE = 308
_FPS_DIGITS = _SHORT_DIGITS = 12
_MIN_FPS = Decimal("0.01")
_QUOTIENT = re.compile(r"[0-9]{1,9}/[0-9]{1,9}")


def _wrong(code: LiteralString, message: str, limit: object = None) -> PydanticCustomError:
    # The message is a context value, not the template: user text may hold braces.
    return PydanticCustomError(code, "{message}", {"message": message, "limit": limit})


def _limits(info: ValidationInfo) -> PayloadLimits:
    """What ``payload`` gave along."""
    limits = info.context
    if not isinstance(limits, PayloadLimits):
        raise TypeError("validation needs its Limits as context")
    return limits


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:30] + "...")


def _number(text: str, limits: PayloadLimits) -> Exact:
    """The exact value of a number's text, with digits and exponent bounded."""
    if text in ("NaN", "Infinity", "-Infinity"):
        raise _wrong("NOT_FINITE", f"{text} is not a number that can be rendered")
    room = limits.max_depth + _SPARE_DIGITS
    if len(text) > room + 32:
        raise _wrong("OUT_OF_RANGE", f"a number of {len(text)} characters; {room} digits are allowed", room)
    value = exact(text)
    if value is None:
        raise _wrong(
            "BAD_NUMBER",
            f"{_shown(text)} is not a decimal number; write digits, a point, an exponent: -1.25e-30",
        )
    if value.scientific and value.magnitude > _DOUBLE_MAGNITUDE:
        raise _wrong("NOT_FINITE", f"{_shown(text)} is too large to be finite", "1e308")
    return value


def _beyond(value: Exact) -> bool:
    """Whether |value| > 10**_EXTENT_MAGNITUDE, told from its first digits."""
    if value.magnitude != _EXTENT_MAGNITUDE:
        return value.magnitude > _EXTENT_MAGNITUDE
    return value.digits > "1"


def _coordinate(text: str, limits: PayloadLimits) -> str:
    """The canonical text of a coordinate: within the extent, no digit beyond the depth."""
    value = _number(text, limits)
    if _beyond(value):
        raise _wrong("OUT_OF_RANGE", f"{_shown(text)} is beyond {_MAX_EXTENT}", _MAX_EXTENT)
    if value.digits and value.exponent < -(limits.max_depth + _SPARE_DIGITS):
        raise _wrong(
            "TOO_DEEP_ZOOM",
            f"{_shown(text)} has digits far beyond 1e-{limits.max_depth}, the deepest zoom allowed here",
            f"1e-{limits.max_depth}",
        )
    return value.text()


def _text_of_decimal(value: object) -> str:
    """The text of a field that may be a JSON number or a string."""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, str):
        return value
    raise _wrong("WRONG_TYPE", 'must be a number, or a string that holds one such as "1e-1000"')


@dataclass(frozen=True)
class Whole:
    """Check of an integer field; 100, 100.0 and 1E2 are the same, 1.5 is none.

    Attributes:
        low, high: inclusive; ``high`` is a number or the name of a limit.
        step: only multiples of it are allowed.
        word: a string that is allowed too.
    """

    low: int
    high: int | str
    step: int = 1
    word: str | None = None

    def __call__(self, value: object, info: ValidationInfo) -> int | str:
        limits = _limits(info)
        if self.word is not None and value == self.word:
            return self.word
        kind = "a whole number" + (f' or "{self.word}"' if self.word else "")
        if not isinstance(value, Number):
            raise _wrong("WRONG_TYPE", f"must be {kind}; in JSON numbers have no quotes")
        number = _number(value.text, limits)
        if number.exponent < 0:
            raise _wrong("WRONG_TYPE", f"{_shown(value.text)} is not {kind}")
        high = getattr(limits, self.high) if isinstance(self.high, str) else self.high
        # Below 10**20 before it becomes an int: a text of any length is judged by its magnitude.
        whole = int(number.text()) if number.magnitude < 20 else None
        if whole is None or not self.low <= whole <= high or whole % self.step:
            multiple = f", a multiple of {self.step}" if self.step > 1 else ""
            allowed = f"{self.low} or more" if high == LARGEST_WHOLE else f"{self.low} to {high}"
            bounds = {"min": self.low, "max": high} | ({"step": self.step} if self.step > 1 else {})
            raise _wrong(
                "OUT_OF_RANGE",
                f"{_shown(value.text)} is out of range: {allowed}{multiple}",
                bounds,
            )
        return whole


def point(value: object, info: ValidationInfo) -> tuple[str, str]:
    if not isinstance(value, str):
        raise _wrong("WRONG_TYPE", 'must be a string "RE,IM"')
    if value.count(",") != 1:
        raise _wrong("BAD_NUMBER", f'{_shown(value)} is not "RE,IM": two decimal numbers and a comma')
    re, im = (_coordinate(part.strip(" "), _limits(info)) for part in value.split(","))
    return re, im


def delta(value: object, info: ValidationInfo) -> str:
    limits = _limits(info)
    text = _text_of_decimal(value)
    number = _number(text, limits)
    deepest = f"1e-{limits.max_depth}"
    bounds = {"min": deepest, "max": _MAX_EXTENT}
    if not number.digits or number.negative:
        raise _wrong("OUT_OF_RANGE", f"a delta must be greater than 0, not {_shown(text)}", bounds)
    if number.magnitude < -limits.max_depth:
        raise _wrong(
            "TOO_DEEP_ZOOM", f"{_shown(text)} is below {deepest}, the deepest zoom allowed here", deepest
        )
    if _beyond(number):
        raise _wrong("OUT_OF_RANGE", f"{_shown(text)} is beyond {_MAX_EXTENT}", bounds)
    return number.text()


def fps(value: object, info: ValidationInfo) -> str:
    """A rate: a decimal number, or a quotient such as 30000/1001 where no short decimal says the same."""
    text = _text_of_decimal(value)
    high = _limits(info).max_fps
    refused = _wrong(
        "OUT_OF_RANGE",
        f"{_shown(text)} is out of range: {_MIN_FPS} to {high}, at most {_FPS_DIGITS} digits, "
        "or a quotient such as 30000/1001",
        {"min": float(_MIN_FPS), "max": high},
    )
    if isinstance(value, str) and _QUOTIENT.fullmatch(text):
        above, below = map(int, text.split("/"))
        if not below or not _MIN_FPS <= Fraction(above, below) <= high:
            raise refused
        return _quotient(Fraction(above, below))
    try:
        number = _number(text, _limits(info))
    except PydanticCustomError as error:
        if error.type == "BAD_NUMBER":
            error = _wrong("BAD_NUMBER", f'{_shown(text)} is no frame rate; write 25, 29.97 or "30000/1001"')
        # A rate without end is a rate beyond the limit.
        raise (refused if error.type == "NOT_FINITE" else error) from None
    if not _short(number) or not _MIN_FPS <= Decimal(number.text()) <= high:
        raise refused
    return number.text()


def _short(rate: Exact) -> bool:
    return rate.magnitude in range(-3, 10) and len(rate.digits) <= _FPS_DIGITS


def _quotient(rate: Fraction) -> str:
    """The one text of a rate: the decimal that could have been sent for it, else the reduced quotient."""
    decimals = 13  # those of 12 digits from 0.01 up
    scaled = rate * 10**decimals
    number = exact(f"{scaled.numerator}e-{decimals}") if scaled.denominator == 1 else None
    if number is not None and _short(number):
        return number.text()
    return f"{rate.numerator}/{rate.denominator}"


@dataclass(frozen=True)
class Between:
    """Check of a decimal field of few digits, a number or a string of one.

    Attributes:
        low, high: inclusive.
    """

    low: str
    high: str

    def __call__(self, value: object, info: ValidationInfo) -> str:
        text = _text_of_decimal(value)
        number = _number(text, _limits(info))
        short = number.magnitude in range(-_SHORT_DIGITS, 10) and len(number.digits) <= _SHORT_DIGITS
        # A value of any length is judged by its digits before it becomes a Decimal.
        exact_value = Decimal(number.text()) if short or not number.digits else None
        if exact_value is None or not Decimal(self.low) <= exact_value <= Decimal(self.high):
            raise _wrong(
                "OUT_OF_RANGE",
                f"{_shown(text)} is out of range: {self.low} to {self.high}, at most {_SHORT_DIGITS} digits",
                {"min": float(self.low), "max": float(self.high)},
            )
        return number.text()


@dataclass(frozen=True)
class OneOf:
    """Check of a field that holds one of some words."""

    words: tuple[str, ...]

    def __call__(self, value: object) -> str:
        if not isinstance(value, str):
            raise _wrong("WRONG_TYPE", "must be a string")
        if value not in self.words:
            raise _wrong(
                "UNKNOWN_VALUE", f"{_shown(value)} is not one of {', '.join(self.words)}", list(self.words)
            )
        return value


def flag(value: object) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise _wrong("WRONG_TYPE", "must be true or false; in JSON without quotes")
    return value

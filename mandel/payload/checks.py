"""What each field of a payload may hold: one check each, from JSON value to canonical value.

A row of the table in fields.py names its check. A check takes a field's value and the limits of this service,
and gives the value in its one form, or raises PayloadError with a code of docs/protocol.md, a message and a limit.

Numbers are judged by their text: digits and exponents are bounded before anything is converted, and nothing
passes through a float.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from mandel.colour import palettes
from mandel.errors import PayloadError
from mandel.payload.decimal_text import Exact, Number, exact
from mandel.settings import PayloadLimits

if TYPE_CHECKING:  # the client loads the table of fields and calls no check: it starts sooner without
    from fractions import Fraction

Value = int | str | bool
Check = Callable[[object, PayloadLimits], Value]

# Coordinates and deltas beyond this show nothing: the set lies within radius 2.
_EXTENT_MAGNITUDE = 6
_MAX_EXTENT = 10**_EXTENT_MAGNITUDE
# Digits of a coordinate beyond the deepest delta's own.
_SPARE_DIGITS = 1_000
LARGEST_WHOLE = 2**63 - 1
_DOUBLE_MAGNITUDE = 308
_FPS_DIGITS = _SHORT_DIGITS = 12
_MIN_FPS = "0.01"
_QUOTIENT = re.compile(r"[0-9]{1,9}/[0-9]{1,9}")


def _wrong(code: str, message: str, limit: object = None) -> PayloadError:
    """What is wrong with a value; whoever calls the check adds the field."""
    return PayloadError(code, message, limit=limit)


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


def whole(low: int, high: int | str, step: int = 1, word: str | None = None) -> Check:
    """Check of an integer field; 100, 100.0 and 1E2 are the same, 1.5 is none.

    Args:
        low, high: inclusive; ``high`` is a number or the name of a limit.
        step: only multiples of it are allowed.
        word: a string that is allowed too.
    """
    kind = "a whole number" + (f' or "{word}"' if word else "")

    def check(value: object, limits: PayloadLimits) -> int | str:
        if word is not None and value == word:
            return word
        if not isinstance(value, Number):
            raise _wrong("WRONG_TYPE", f"must be {kind}; in JSON numbers have no quotes")
        number = _number(value.text, limits)
        if number.exponent < 0:
            raise _wrong("WRONG_TYPE", f"{_shown(value.text)} is not {kind}")
        most: int = getattr(limits, high) if isinstance(high, str) else high
        # Below 10**20 before it becomes an int: a text of any length is judged by its magnitude.
        found = int(number.text()) if number.magnitude < 20 else None
        if found is None or not low <= found <= most or found % step:
            multiple = f", a multiple of {step}" if step > 1 else ""
            allowed = f"{low} or more" if most == LARGEST_WHOLE else f"{low} to {most}"
            raise _wrong(
                "OUT_OF_RANGE",
                f"{_shown(value.text)} is out of range: {allowed}{multiple}",
                {"min": low, "max": most} | ({"step": step} if step > 1 else {}),
            )
        return found

    return check


def point(value: object, limits: PayloadLimits) -> str:
    """Two coordinates with a comma between them, as "RE,IM"."""
    if not isinstance(value, str):
        raise _wrong("WRONG_TYPE", 'must be a string "RE,IM"')
    if value.count(",") != 1:
        raise _wrong("BAD_NUMBER", f'{_shown(value)} is not "RE,IM": two decimal numbers and a comma')
    return ",".join(_coordinate(part.strip(" "), limits) for part in value.split(","))


def delta(value: object, limits: PayloadLimits) -> str:
    """The extent of a frame: greater than 0, a number or a string of one."""
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


def fps(value: object, limits: PayloadLimits) -> str:
    """A rate: a decimal number, or a quotient such as 30000/1001 where no short decimal says the same."""
    from fractions import Fraction

    text = _text_of_decimal(value)
    low, high = Fraction(_MIN_FPS), limits.max_fps
    refused = _wrong(
        "OUT_OF_RANGE",
        f"{_shown(text)} is out of range: {_MIN_FPS} to {high}, at most {_FPS_DIGITS} digits, "
        "or a quotient such as 30000/1001",
        {"min": float(_MIN_FPS), "max": high},
    )
    if isinstance(value, str) and _QUOTIENT.fullmatch(text):
        above, below = map(int, text.split("/"))
        if not below or not low <= Fraction(above, below) <= high:
            raise refused
        return _quotient(Fraction(above, below))
    try:
        number = _number(text, limits)
    except PayloadError as error:
        if error.code == "BAD_NUMBER":
            error = _wrong("BAD_NUMBER", f'{_shown(text)} is no frame rate; write 25, 29.97 or "30000/1001"')
        # A rate without end is a rate beyond the limit.
        raise (refused if error.code == "NOT_FINITE" else error) from None
    if not _short(number) or not low <= Fraction(number.text()) <= high:
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


def between(low: str, high: str, word: str | None = None) -> Check:
    """Check of a decimal field of few digits, a number or a string of one; ``low`` and ``high`` are inclusive.

    Args:
        word: a string that is allowed too.
    """

    def check(value: object, limits: PayloadLimits) -> str:
        from fractions import Fraction

        if word is not None and value == word:
            return word
        text = _text_of_decimal(value)
        number = _number(text, limits)
        short = number.magnitude in range(-_SHORT_DIGITS, 10) and len(number.digits) <= _SHORT_DIGITS
        # A value of any length is judged by its digits before it becomes a number.
        found = Fraction(number.text()) if short or not number.digits else None
        if found is None or not Fraction(low) <= found <= Fraction(high):
            raise _wrong(
                "OUT_OF_RANGE",
                f"{_shown(text)} is out of range: {low} to {high}, at most {_SHORT_DIGITS} digits",
                {"min": float(low), "max": float(high)},
            )
        return number.text()

    return check


def one_of(*words: str) -> Check:
    """Check of a field that holds one of some words."""

    def check(value: object, limits: PayloadLimits) -> str:
        if not isinstance(value, str):
            raise _wrong("WRONG_TYPE", "must be a string")
        if value not in words:
            raise _wrong(
                "UNKNOWN_VALUE",
                f"{_shown(value)} is not one of {', '.join(filter(None, words))}",
                list(words),
            )
        return value

    return check


def palette(value: object, limits: PayloadLimits) -> str:
    """A palette: its name, or an own one as its text or as a list of colours or of [place, colour]."""
    allowed = (
        f"one of {', '.join(palettes.NAMES)}, or {palettes.FEWEST} to {palettes.MOST} colours such as "
        '"070b2b,4fa3dc,ffd27a", each with its place on the ring if you like: "0:070b2b,0.3:4fa3dc,0.6:ffd27a", places '
        f"from 0 up in steps of {palettes.LEAST_STEP} or more, below 1"
    )
    text = _palette_text(value) if isinstance(value, list) else value
    if not isinstance(text, str):
        raise _wrong("WRONG_TYPE", "must be " + allowed)
    if text in palettes.NAMES:
        return text
    if (own := palettes.own_text(text)) is None:
        raise _wrong(
            "UNKNOWN_VALUE", f"{_shown(text)} is no palette; allowed is {allowed}", list(palettes.NAMES)
        )
    return own


def _palette_text(stops: list[object]) -> str | None:
    """The text of a palette that is a JSON list; None if the list holds something else."""
    texts = []
    for stop in stops[: palettes.MOST + 1]:
        pair = [None, stop] if isinstance(stop, str) else stop
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[1], str):
            return None
        place = pair[0]
        if place is not None and not isinstance(place, Number):
            return None
        texts.append(pair[1] if place is None else f"{place.text}:{pair[1]}")
    return ",".join(texts)


def colour(value: object, limits: PayloadLimits) -> str:
    """One colour, six hex digits with or without a # before them."""
    if not isinstance(value, str):
        raise _wrong("WRONG_TYPE", 'must be a string of six hex digits such as "1a2b3c"')
    if (text := palettes.colour_text(value)) is None:
        raise _wrong("UNKNOWN_VALUE", f'{_shown(value)} is no colour; write six hex digits such as "1a2b3c"')
    return text


def flag(value: object, limits: PayloadLimits) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise _wrong("WRONG_TYPE", "must be true or false; in JSON without quotes")
    return value

"""Numbers in other programs' files: decimal texts of any length, and scales of 40 digits."""

from __future__ import annotations

import math
import re
import unicodedata
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal

from mandel.errors import RequestError
from mandel.payload.decimal_text import exact

# A scale is only a scale: the digits that a View takes of it.
SCALES = Context(prec=40, rounding=ROUND_HALF_EVEN, Emax=MAX_EMAX, Emin=MIN_EMIN)
# The deepest zooms that people exchange have some 50,000 digits.
MOST_CHARACTERS = 200_000
_MOST_EXPONENT = 10**6
# Sums and differences of coordinates lose nothing.
_EXACT = Context(prec=2 * MOST_CHARACTERS, Emax=MAX_EMAX, Emin=MIN_EMIN)

_MINUS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"), "-")
_NOWHERE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))  # signs that nobody sees
_TIMES_TEN = re.compile(r"(?<!\s)\s*+[x×·⋅*]\s*+10\s*+(?:\^|\*\*)?\s*+\(?([+-]?[0-9]++)\)?")
_WHOLE_MAGNITUDE = 20


def plain(text: str) -> str:
    """The text with ASCII's signs and digits: a typographic minus, full-width digits and ``×10^-3`` become plain."""
    text = unicodedata.normalize("NFKC", text.translate(_MINUS).translate(_NOWHERE)).translate(_MINUS)
    return _TIMES_TEN.sub(r"e\1", text)


def shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:30] + "...")


def decimal(text: object, what: str) -> str:
    """The text of a decimal number without plus sign, blanks, quotes and other alphabets' signs.

    Raises:
        RequestError: BAD_NUMBER, OUT_OF_RANGE; ``what`` names the number.
    """
    if isinstance(text, bool) or not isinstance(text, (str, int)):
        raise RequestError("BAD_NUMBER", f"{what} is no number")
    text = text if isinstance(text, str) else format(text)
    if len(text) > MOST_CHARACTERS:
        raise RequestError(
            "OUT_OF_RANGE", f"{what} has {len(text)} characters; {MOST_CHARACTERS} are allowed"
        )
    found = re.sub(r"\s+", "", plain(text)).strip("\"'").removeprefix("+")
    value = exact(found)
    if value is None:
        raise RequestError(
            "BAD_NUMBER", f"{what} is {shown(text)}, which is no decimal number such as -1.25e-30"
        )
    if abs(value.exponent) > _MOST_EXPONENT or abs(value.magnitude) > _MOST_EXPONENT:
        raise RequestError(
            "OUT_OF_RANGE", f"{what} is {shown(text)}: its exponent is beyond {_MOST_EXPONENT}"
        )
    return found


def scale(text: object, what: str) -> Decimal:
    """A number above 0, to 40 digits."""
    value = SCALES.create_decimal(decimal(text, what))
    if value <= 0:
        raise RequestError("OUT_OF_RANGE", f"{what} is {shown(str(text))}; it must be above 0")
    return value


def whole(text: object, what: str) -> int:
    """A whole number of 0 or more, such as 5000 or 1e6."""
    found = decimal(text, what)
    value = exact(found)
    if value is None or value.negative or value.exponent < 0 or value.magnitude >= _WHOLE_MAGNITUDE:
        raise RequestError("BAD_NUMBER", f"{what} is {shown(str(text))}, which is no whole number")
    return int(value.text() if value.magnitude < _WHOLE_MAGNITUDE else "0")


def is_zero(text: object) -> bool:
    """Whether a text is a number, and 0. What is no number is not 0."""
    value = exact(re.sub(r"\s+", "", str(text)).removeprefix("+"))
    return value is not None and not value.digits


def is_two(text: object) -> bool:
    """Whether a text is a number, and 2, such as 2.000000."""
    value = exact(re.sub(r"\s+", "", str(text)).removeprefix("+"))
    return value is not None and value.text() == "2"


def text_of(value: Decimal) -> str:
    """A decimal text of all the value's digits, without zeros at its end."""
    found = exact(str(value))
    return found.text() if found is not None else str(value)


def added(a: str, b: str) -> Decimal:
    """The sum of two decimal texts, exactly."""
    return _EXACT.add(Decimal(a), Decimal(b))


def difference(a: str, b: str) -> Decimal:
    """The first decimal text minus the second, exactly."""
    return _EXACT.subtract(Decimal(a), Decimal(b))


def middle(a: str, b: str) -> str:
    """The number half-way between two, exactly."""
    return text_of(_EXACT.divide(added(a, b), Decimal(2)))


def degrees(text: object, what: str, sign: int = 1) -> str:
    """An angle from -180 to 180 degrees, times ``sign``, as the payload's ``rotation`` takes it: up to 12 digits."""
    found = decimal(text, what)
    value = exact(found)
    if value is not None and value.magnitude > _WHOLE_MAGNITUDE:
        raise RequestError("OUT_OF_RANGE", f"{what} is {shown(str(text))}: no angle in degrees")
    turned = SCALES.remainder_near(SCALES.multiply(SCALES.create_decimal(found), Decimal(sign)), Decimal(360))
    return text_of(turned.quantize(Decimal("1e-9"), context=SCALES))


def angle(x: Decimal, y: Decimal) -> float:
    """Degrees from the direction (1, 0) to (x, y), however small both are."""
    largest = max(abs(x), abs(y))
    return math.degrees(math.atan2(SCALES.divide(y, largest), SCALES.divide(x, largest)))


def length(x: Decimal, y: Decimal) -> Decimal:
    """The length of (x, y), to 40 digits."""
    return SCALES.sqrt(SCALES.add(SCALES.multiply(x, x), SCALES.multiply(y, y)))

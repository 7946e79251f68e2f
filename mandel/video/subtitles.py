"""The soft subtitle track of a film: its magnification, once a second, as the text of an SRT file."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction

# The extent that counts as a magnification of 1: a view of the whole set, and the usual first frame.
_WHOLE = Decimal("2.5")
_MATH = Context(prec=20, Emax=10**9, Emin=-(10**9))
_DIGITS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_PLAIN = 6  # magnifications below 10 to this power are written out


def magnification(delta: str) -> str:
    """How much larger than in a view of the whole set things are shown: ×40, ×1,200, ×3.1 · 10¹²."""
    value = _MATH.divide(_WHOLE, Decimal(delta))
    short = Context(prec=2, Emax=10**9, Emin=-(10**9)).plus(value)
    power = short.adjusted()
    if -2 <= power < _PLAIN:
        return f"×{int(short):,}" if power >= 1 else f"×{short.normalize():f}"
    return f"×{short.scaleb(-power, _MATH):.1f} · 10{str(power).translate(_DIGITS)}"


def srt(delta: Callable[[int], str], num_frames: int, rate: Fraction) -> str:
    """The track's text: each second has the magnification of the frame that is shown when it begins.

    What is left at the end, if less than half a second, belongs to the second before. Where frames last longer, so do
    the texts: there are not many more than frames.

    Args:
        delta: extent of a frame, a decimal string.
        rate: frames per second.
    """
    length = num_frames / rate
    seconds = max(round(length), 1)
    parts, step = [], max(int(1 / rate), 1)
    for number, second in enumerate(range(0, seconds, step), 1):
        end = _time(length if second + step >= seconds else Fraction(second + step))
        shown = magnification(delta(min(int(second * rate), num_frames - 1)))
        parts.append(f"{number}\n{_time(Fraction(second))} --> {end}\n{shown}\n\n")
    return "".join(parts)


def _time(seconds: Fraction) -> str:
    thousandths = int(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02},{rest % 1000:03}"

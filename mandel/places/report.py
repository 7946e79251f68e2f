"""Says to a person what was taken from a file, what was not, and how our picture differs."""

from __future__ import annotations

from decimal import MAX_EMAX, MIN_EMIN, Context

from mandel.places.numbers import text_of
from mandel.places.place import Found
from mandel.terminal.format import printable

_SHOWN = 24
_LISTED = 12
_LONGEST = 1_000
_FEW = Context(prec=6, Emax=MAX_EMAX, Emin=MIN_EMIN)


def sentences(found: Found, name: str, delta: str = "", taken: tuple[str, ...] = ()) -> list[str]:
    """Lines on a file's contents.

    Args:
        name: the file, as it was named.
        delta: of the picture, if the file has a place.
        taken: the fields of the payload that are taken from the file.
    """
    place, words = found.place, []
    if place is not None:
        words = [
            f"point {_short(place.re)},{_short(place.im)}",
            f"delta {text_of(_FEW.create_decimal(delta))}",
        ]
        if place.rotation != "0" and "rotation" in taken:
            words.append(f"rotation {place.rotation}")
        if place.maxiter is not None and "maxiter" in taken:
            words.append(f"maxiter {place.maxiter}")
    ignored = list(found.ignored)
    if found.palette is not None:
        colours = f"palette of {len(found.palette.colours)} colours"
        (words if "palette" in taken else ignored).append(colours)
    lines = [f"{name} ({found.program}): taken are {', '.join(words)}"]
    if ignored:
        more = f"; and {len(ignored) - _LISTED} more" if len(ignored) > _LISTED else ""
        lines.append(f"ignored: {'; '.join(ignored[:_LISTED])}{more}")
    lines += [f"note: {note}" for note in found.notes]
    if place is not None and place.mirrored:
        turned = " and the rotation's" if place.rotation != "0" else ""
        lines.append(
            f"note: the picture is the mirror image of {found.program}'s, which has the imaginary axis downwards; "
            f"change the imaginary part's sign{turned} to see the same"
        )
    return [printable(line, _LONGEST) for line in lines]


def _short(number: str) -> str:
    """A number's first digits and its exponent."""
    if len(number) <= _SHOWN:
        return number
    mantissa, e, exponent = number.lower().partition("e")
    return f"{mantissa[: _SHOWN - 8]}...{e}{exponent}"

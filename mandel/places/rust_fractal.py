"""Location and palette files of rust-fractal, TOML both."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from mandel.places.numbers import SCALES, decimal, degrees, is_two, scale, whole
from mandel.places.palette import MOST_COLOURS, Palette, Rgb, evenly
from mandel.places.place import Found, Place
from mandel.places.text import FileError
from mandel.places.toml_text import parsed

PROGRAM = "rust-fractal"
# Before any table.
LOOKS_LIKE = re.compile(
    r"\A(?:(?![ \t]*+\[)(?![ \t]*+[\"']?(?:real|imag|zoom|palette)\b)[^\n]*+\n)*"
    r"[ \t]*+[\"']?(?:real|imag|zoom|palette)[\"']?[ \t]*+="
)

_MEANT = {"real", "imag", "zoom", "iterations", "rotate", "palette", "fractal_type", "fractal_power"}


def read(text: str, entry: str | None) -> Found:
    """The place, the palette, or both."""
    values = parsed(text)
    place = None
    if {"real", "imag", "zoom"} & set(values):
        place = Place(
            decimal(values.get("real", "-0.75"), "real"),
            decimal(values.get("imag", "0"), "imag"),
            SCALES.divide(Decimal(4), scale(values.get("zoom", "1"), "zoom")),
            between_centres=True,
            rotation=degrees(values.get("rotate", "0"), "rotate"),
            maxiter=whole(values["iterations"], "iterations") if "iterations" in values else None,
            mirrored=True,
        )
    ignored = tuple(name[:40] for name in values if name not in _MEANT)
    return Found(PROGRAM, place, _palette(values.get("palette")), _refused(values), ignored)


def _refused(values: dict[str, Any]) -> str:
    kind, power = str(values.get("fractal_type", "mandelbrot")), str(values.get("fractal_power", 2))
    if kind.lower() != "mandelbrot":
        return f"its formula is {kind[:40]}"
    return "" if is_two(power) else f"its formula is z^{power[:20]} + c"


def _palette(numbers: object) -> Palette | None:
    if numbers is None:
        return None
    if not isinstance(numbers, list) or any(
        isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 255 for value in numbers
    ):
        raise FileError("palette must be a list of whole numbers from 0 to 255")
    if len(numbers) % 3 or len(numbers) > 3 * MOST_COLOURS:
        raise FileError(
            f"palette has {len(numbers)} numbers; three make a colour, {MOST_COLOURS} colours are allowed"
        )
    colours: list[Rgb] = list(zip(*[iter(numbers)] * 3, strict=True))
    return evenly(colours)

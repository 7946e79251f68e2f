"""Parameter files of Fraktaler 3 (``.f3.toml``). It leaves out what has its default."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from mandel.places.numbers import SCALES, decimal, degrees, is_two, is_zero, scale, whole
from mandel.places.place import Found, Place
from mandel.places.toml_text import parsed, table

PROGRAM = "Fraktaler 3"
LOOKS_LIKE = re.compile(
    r"^[ \t]*+(?:program[ \t]*+=[ \t]*+[\"']fraktaler-3|[\"']?(?:location|reference|bailout|formula)[\"']?[ \t]*+"
    r"(?:\.[ \t]*+[\"']?\w++[\"']?[ \t]*+=|=[ \t]*+[\[{])|"
    r"\[[ \t]*+(?:location|reference|bailout)[ \t]*+\]|\[\[[ \t]*+formula[ \t]*+\]\])",
    re.MULTILINE,
)

_ITERATIONS = 1024
_CHANGES = ("abs_x", "abs_y", "neg_x", "neg_y")


def read(text: str, entry: str | None) -> Found:
    """The place; such files have no palette of colours."""
    values = parsed(text)
    location, transform = table(values, "location"), table(values, "transform")
    reflected = transform.get("reflect") is True
    zoom = scale(location.get("zoom", "1"), "location.zoom")
    place = Place(
        decimal(location.get("real", "0"), "location.real"),
        decimal(location.get("imag", "0"), "location.imag"),
        SCALES.divide(Decimal(4), zoom),
        rotation=degrees(transform.get("rotate", "0"), "transform.rotate", -1 if reflected else 1),
        maxiter=whole(table(values, "bailout").get("iterations", _ITERATIONS), "bailout.iterations"),
        mirrored=reflected,
    )
    return Found(PROGRAM, place, None, _refused(values), tuple(_ignored(values)))


def _refused(values: dict[str, Any]) -> str:
    formulas = values.get("formula", [])
    for formula in formulas if isinstance(formulas, list) else [formulas]:
        if not isinstance(formula, dict):
            return "its formula is not understood"
        if changed := [name for name in _CHANGES if formula.get(name) not in (None, False)]:
            return f"its formula is z^2 + c with {', '.join(changed)}"
        if not is_two(formula.get("power", 2)):
            return f"its formula is z^{str(formula['power'])[:20]} + c"
        if formula.get("opcodes") not in (None, "", "sqr add"):
            return f"its formula is {str(formula['opcodes'])[:60]!r}"
    return ""


def _ignored(values: dict[str, Any]) -> list[str]:
    found = []
    transform, image = table(values, "transform"), table(values, "image")
    if transform.get("exponential_map") is True:
        found.append("transform.exponential_map: the picture is a plain view here")
    if not is_zero(transform.get("stretch_amount", 0)):
        found.append("transform.stretch_amount: the picture is not stretched here")
    if "width" in image or "height" in image:
        found.append("image.width and image.height (--frame-width, --frame-height)")
    if "reference" in values:
        found.append("reference (found anew)")
    if table(values, "render").get("zoom_out_sequence") is True:
        found.append("render.zoom_out_sequence")
    return found

"""Positions of XaoS (``.xpf``), and the views of its animations (``.xaf``): commands in brackets."""

from __future__ import annotations

import re

from mandel.places.numbers import decimal, degrees, is_zero, scale, whole
from mandel.places.palette import Palette, Rgb, evenly
from mandel.places.place import Found, Place
from mandel.places.text import FileError

PROGRAM = "XaoS"
LOOKS_LIKE = re.compile(
    r"^[ \t]*+\([ \t]*+(?:initstate|formula|view|palettecolors|defaultpalette|palette|maxiter|angle|outcoloring)\b",
    re.MULTILINE,
)

_COMMAND = re.compile(r"\(\s*+([A-Za-z]++)\b([^()]*+)\)")
_ITERATIONS = 170
_LOOKS = (
    "palette",
    "defaultpalette",
    "shiftpalette",
    "outcoloring",
    "incoloring",
    "outtcoloring",
    "intcoloring",
)
_MOVES = ("usleep", "morphview", "animateview", "zoom", "unzoom", "morphjulia", "morphangle")


def read(text: str, entry: str | None) -> Found:
    """The last view of the file, and its palette if that is written down in colours."""
    bare = "\n".join(line.partition(";")[0] for line in text.split("\n"))
    known: dict[str, list[str]] = {}
    for name, rest in _COMMAND.findall(bare):
        known[name] = [word.strip("\"'") for word in rest.split()]
    place = _place(known)
    ignored = [name for name in _LOOKS if name in known]
    if any(name in known for name in _MOVES):
        ignored.append("its motion: only the last (view ...) counts")
    if "filter" in known:
        ignored.append("filters")
    return Found(PROGRAM, place, _palette(known.get("palettecolors")), _refused(known), tuple(ignored))


def _place(known: dict[str, list[str]]) -> Place | None:
    view = known.get("view")
    if view is None:
        return None
    if len(view) != 4:
        raise FileError(f"(view ...) has {len(view)} numbers, not four: centre, width and height")
    names = ("real part of the view", "imaginary part of the view", "width of the view", "height of the view")
    return Place(
        decimal(view[0], names[0]),
        decimal(view[1], names[1]),
        width=scale(view[2], names[2]),
        height=scale(view[3], names[3]),
        rotation=degrees(_first(known, "angle", "0"), "angle", -1),
        maxiter=whole(_first(known, "maxiter", str(_ITERATIONS)), "maxiter"),
        mirrored=True,
    )


def _first(known: dict[str, list[str]], name: str, default: str) -> str:
    return known[name][0] if known.get(name) else default


def _refused(known: dict[str, list[str]]) -> str:
    formula = _first(known, "formula", "mandel")
    if formula != "mandel":
        own = " ".join(known.get("usrform", []))
        return f"its formula is {formula[:40]!r}" + (f" ({own[:80]})" if own else "")
    if _first(known, "julia", "#f") == "#t":
        return "it is a Julia set"
    if not is_zero(_first(known, "plane", "0")):
        return f"its plane is another (plane {known['plane'][0][:20]})"
    if not all(map(is_zero, known.get("perturbation", []))):
        return "its orbits do not begin at 0 (perturbation)"
    return ""


def _palette(words: list[str] | None) -> Palette | None:
    if not words:
        return None
    if any(re.fullmatch(r"#?[0-9A-Fa-f]{6}", word) is None for word in words):
        raise FileError('(palettecolors ...) must be colours such as "00ff80"')
    colours: list[Rgb] = []
    for word in words:
        red, green, blue = bytes.fromhex(word.lstrip("#"))
        colours.append((red, green, blue))
    return evenly(colours)

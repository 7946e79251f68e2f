"""Palettes of GIMP: gradients (GGR) and lists of colours (GPL)."""

from __future__ import annotations

import colorsys
import math
import re

from mandel.places.palette import MOST_COLOURS, Rgb, evenly, ring
from mandel.places.place import Found
from mandel.places.text import FileError

PROGRAM = "GIMP"
GRADIENT = re.compile(r"\AGIMP Gradient\b")
PALETTE = re.compile(r"\AGIMP Palette\b")

_HALF = math.log(0.5)
_STEPS = 8  # of a segment that is no straight line between its ends
_LINEAR, _CURVED, _SINE, _GROWING, _SHRINKING, _STEP = range(6)
_HEADER = re.compile(r"#|[A-Za-z]\w*+:")  # a comment, or such as Columns: and Channels:


def read_gradient(text: str, entry: str | None) -> Found:
    """A gradient: segments of 13 or 15 numbers (left, middle, right, two RGBA, kind, colour model, ...)."""
    name, lines = _named(text)
    count, rows = lines[0] if lines else "", lines[1:]
    if not re.fullmatch(r"[0-9]{1,6}", count) or int(count) > MOST_COLOURS or len(rows) < int(count):
        raise FileError(f"the gradient has {len(rows)} segments; its third line says {count[:20]!r}")
    stops: list[tuple[float, Rgb]] = []
    notes: list[str] = []
    for number, row in enumerate(rows[: int(count)], 1):
        values = _segment(row, number)
        stops += _stops(values)
        if values[6] < 1 or values[10] < 1:
            notes = ["it has transparent colours; they are opaque here"]
    return Found(PROGRAM, palette=ring(stops, name), notes=tuple(notes))


def _segment(row: str, number: int) -> list[float]:
    try:
        values = [float(word) for word in row.split()]
    except ValueError:
        values = []
    sound = len(values) in (13, 15) and all(-1e-6 <= value <= 1 + 1e-6 for value in values[:11])
    if not sound or values[11] not in range(_STEP + 1) or values[12] not in range(3):
        raise FileError(
            f"segment {number} must be 11 numbers from 0 to 1, a blending of 0 to 5 and a model of 0 to 2"
        )
    if not values[0] <= values[1] <= values[2]:
        raise FileError(f"segment {number}: left, middle and right must rise")
    return values


def _stops(values: list[float]) -> list[tuple[float, Rgb]]:
    """Control colours of a segment: its ends, and what lies between where that is no straight line."""
    left, middle, right = values[:3]
    kind, model = int(values[11]), int(values[12])
    at = (middle - left) / (right - left) if right > left else 0.5
    shares = [0.0, 1.0]
    if kind == _STEP:
        shares = [0.0, at, at, 1.0]
    elif kind == _LINEAR and model == 0:
        shares = [0.0, at, 1.0]
    elif right > left:
        shares = [i / _STEPS for i in range(_STEPS + 1)]
    return [
        (left + (right - left) * share, _mixed(values, _weight(kind, at, share, i > 1), model))
        for i, share in enumerate(shares)
    ]


def _weight(kind: int, middle: float, share: float, late: bool) -> float:
    """How far the colour is from the left end's to the right end's, as GIMP has it."""
    if kind == _STEP:
        return 1.0 if late else 0.0
    if share <= middle:
        straight = 0.5 * share / middle if middle > 1e-10 else 0.0
    else:
        straight = 0.5 + 0.5 * (share - middle) / (1 - middle) if middle < 1 - 1e-10 else 1.0
    if kind == _CURVED:
        return float(share ** (_HALF / math.log(min(max(middle, 1e-10), 1 - 1e-10))))
    if kind == _SINE:
        return (math.sin(-math.pi / 2 + math.pi * straight) + 1) / 2
    if kind == _GROWING:
        return math.sqrt(1 - (straight - 1) ** 2)
    return 1 - math.sqrt(1 - straight**2) if kind == _SHRINKING else straight


def _mixed(values: list[float], weight: float, model: int) -> Rgb:
    a, b = values[3:6], values[7:10]
    if model in (1, 2):  # around the wheel of hues: 1 upwards, 2 downwards
        (h0, s0, v0), (h1, s1, v1) = colorsys.rgb_to_hsv(*a), colorsys.rgb_to_hsv(*b)
        turn = (h1 - h0) % 1 if model == 1 else -((h0 - h1) % 1)
        mixed = colorsys.hsv_to_rgb(
            (h0 + turn * weight) % 1, s0 + (s1 - s0) * weight, v0 + (v1 - v0) * weight
        )
    else:
        mixed = tuple(x + (y - x) * weight for x, y in zip(a, b, strict=True))  # type: ignore[assignment]
    red, green, blue = (min(max(round(255 * value), 0), 255) for value in mixed)
    return red, green, blue


def read_palette(text: str, entry: str | None) -> Found:
    """A list of colours, spread evenly over the ring."""
    name, lines = _named(text)
    colours: list[Rgb] = []
    for line in lines:
        match = re.match(r"([0-9]{1,3})\s+([0-9]{1,3})\s+([0-9]{1,3})(?:\s|$)", line)
        if match is None or max(map(int, match.groups())) > 255:
            raise FileError(f"{line[:40]!r} is no colour: three whole numbers from 0 to 255, then a name")
        colours.append((int(match[1]), int(match[2]), int(match[3])))
    if not colours:
        raise FileError("it has no colours")
    return Found(PROGRAM, palette=evenly(colours, name))


def _named(text: str) -> tuple[str, list[str]]:
    """The name, and the lines that hold numbers."""
    name, lines = "", []
    for line in text.split("\n")[1:]:
        bare = line.strip()
        if bare.startswith("Name:"):
            name = bare[5:].strip()[:80]
        elif bare and not _HEADER.match(bare):
            lines.append(bare)
    return name, lines

"""Cyclic palettes: closed rings of control colours, named ones and own ones. ``palette_table.py`` makes tables of them.

An own palette has a text: its colours with commas between them, evenly spaced, such as ``070b2b,4fa3dc,ffd27a``, or
each with its place on the ring, such as ``0:070b2b,0.3:4fa3dc,0.6:ffd27a``. The client loads this module: it needs the
standard library alone.
"""

from __future__ import annotations

import re

# Colours of an own palette. 64 of them lie 128 entries of the table apart.
FEWEST, MOST = 2, 64
# Two colours of an own palette lie at least so far apart on the ring: 16 entries of the table.
LEAST_STEP = 0.002
_COLOUR = re.compile(r"#?([0-9a-fA-F]{6})")
_PLACE = re.compile(r"(?:0|1)?(?:\.[0-9]{1,6})?")

Ring = tuple[tuple[float, str], ...]

# Control colours: (position on the ring from 0 to 1, sRGB). The first position is 0; the
# ring closes from the last colour to the first. Every ring has a dark and a light side,
# because the eye follows bands by their brightness, not by their hue.
RINGS: dict[str, Ring] = {
    "dusk": (
        (0.00, "070b2b"),
        (0.14, "1d3f8f"),
        (0.28, "4fa3dc"),
        (0.42, "e9f4f0"),
        (0.55, "ffd27a"),
        (0.68, "f08a2c"),
        (0.80, "9c2f35"),
        (0.91, "33123f"),
    ),
    "ember": (
        (0.00, "0a0406"),
        (0.18, "4d0a12"),
        (0.36, "b32412"),
        (0.52, "f47b16"),
        (0.66, "ffd75e"),
        (0.76, "fff7dc"),
        (0.88, "7d5a62"),
    ),
    "glacier": (
        (0.00, "04101f"),
        (0.20, "0d3f66"),
        (0.38, "2f8fb0"),
        (0.54, "a5dfe2"),
        (0.64, "fbfffc"),
        (0.78, "86a6cf"),
        (0.90, "2b3a78"),
    ),
    "aurora": (
        (0.00, "06081c"),
        (0.16, "0b3a4a"),
        (0.32, "12976c"),
        (0.46, "a6ef8c"),
        (0.56, "f6ffd8"),
        (0.70, "7fb2ee"),
        (0.82, "6a3fb5"),
        (0.92, "220f4f"),
    ),
    "orchid": (
        (0.00, "120618"),
        (0.16, "4a1259"),
        (0.34, "b32a7e"),
        (0.50, "ff8f8a"),
        (0.62, "ffe9cf"),
        (0.76, "a9b8f2"),
        (0.90, "2e2f7d"),
    ),
    "verdigris": (
        (0.00, "0b0d0c"),
        (0.18, "13443f"),
        (0.36, "3f9e88"),
        (0.50, "d9f0d2"),
        (0.64, "e8b46a"),
        (0.78, "96532a"),
        (0.90, "371a12"),
    ),
    "spectrum": (
        (0.00, "1b1466"),
        (0.16, "1583c4"),
        (0.32, "2fbf71"),
        (0.48, "f4e04d"),
        (0.62, "f2722b"),
        (0.76, "c81d4e"),
        (0.90, "5a1480"),
    ),
    "silver": ((0.00, "08090b"), (0.30, "5b626b"), (0.55, "f4f5f3"), (0.80, "6a6560")),
}

NAMES: tuple[str, ...] = tuple(RINGS)
DEFAULT = NAMES[0]


def colour_text(text: str) -> str | None:
    """The one text of a colour, six lower-case hex digits; None if it is none. A ``#`` before them is allowed."""
    match = _COLOUR.fullmatch(text.strip(" "))
    return match[1].lower() if match else None


def own_text(text: str) -> str | None:
    """The one text of an own palette; None if ``text`` is none."""
    stops = [stop.rpartition(":") for stop in text.split(",")]
    colours = [colour_text(colour) for _, _, colour in stops]
    if not FEWEST <= len(stops) <= MOST or None in colours:
        return None
    if not any(colon for _, colon, _ in stops):
        return ",".join(filter(None, colours))
    places = [place.strip(" ") for place, _, _ in stops]
    if not all(place not in ("", ".") and _PLACE.fullmatch(place) for place in places):
        return None
    values = [float(place) for place in places]
    rises = (b - a >= LEAST_STEP for a, b in zip(values, [*values[1:], 1.0], strict=True))
    if values[0] != 0 or not all(rises):
        return None
    return ",".join(f"{value:.6g}:{colour}" for value, colour in zip(values, colours, strict=True))


def ring_of(palette: str) -> Ring | None:
    """The control colours of a palette, by its name or its text; None if there is no such palette."""
    if palette in RINGS:
        return RINGS[palette]
    if (text := own_text(palette)) is None:
        return None
    stops = [stop.rpartition(":") for stop in text.split(",")]
    return tuple(
        (float(place) if colon else k / len(stops), colour) for k, (place, colon, colour) in enumerate(stops)
    )

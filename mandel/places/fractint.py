"""Parameter sets (PAR) and colour maps (MAP) of Fractint and Iterated Dynamics."""

from __future__ import annotations

import re
from decimal import Decimal

from mandel.places.entries import Entry, entries, named, others
from mandel.places.numbers import (
    SCALES,
    angle,
    decimal,
    degrees,
    difference,
    is_zero,
    length,
    middle,
    scale,
    whole,
)
from mandel.places.palette import MOST_COLOURS, Palette, Rgb, evenly
from mandel.places.place import Found, Place
from mandel.places.text import FileError

PROGRAM = "Fractint"
MAP = re.compile(
    r"\A(?:[ \t]*+(?:[;#][^\n]*+)?\n)*[ \t]*+[0-9]{1,3}[ \t,]++[0-9]{1,3}[ \t,]++[0-9]{1,3}(?![0-9.])"
)

_ITERATIONS = 150
_CORNERS = "-2.5/1.5/-1.5/1.5"
_ASPECT = Decimal("0.75")
_SQUARE = Decimal("0.02")  # pixels that are square but for so much
_SIZE = 256
_UNSET = (40, 40, 40)  # what Fractint gives to colours that a set leaves out
_DIGITS = {c: i for i, c in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_`abcdefghijklmnopqrstuvwxyz")}
# Entries that Fractint writes beside the sets that use them: formulas, iterated function systems, L-systems.
_NO_SETS = ("frm:", "ifs:", "l:")
# A set has one of these. Whatever else has braces, such as a program's source, is none.
_OF_A_SET = {"reset", "type", "corners", "center-mag", "params", "maxiter", "inside", "colors"}
# What draws something else than the escape time of z^2 + c, where it is not 0 or off.
_LOOKS = (
    "inside", "outside", "logmap", "biomorph", "decomp", "distest", "potential", "bailoutest", "ranges", "fillcolor",
    "rds", "cyclerange",
)  # fmt: skip


def read_parameters(text: str, entry: str | None) -> Found:
    """The place and the colours of one entry: the one that is named, else the first Mandelbrot set of the file."""
    found = [it for it in entries(text) if not it.name.lower().startswith(_NO_SETS)]
    if not found:
        raise FileError("it has formulas alone, no parameter set")
    found = [it for it in found if _OF_A_SET & _values(it).keys()]
    if not found:
        raise FileError(f"it has braces, but no parameter set: those have {', '.join(sorted(_OF_A_SET))}")
    ours = (it for it in found if not _refused(_values(it)))
    taken = named(found, entry) if entry else next(ours, found[0])
    values = _values(taken)
    refused = _refused(values)
    if refused and not entry and len(found) > 1:
        refused = f"none of its {len(found)} entries is of z^2 + c; of {taken.name}, {refused}"
    place, notes = (None, []) if refused else _place(values)
    if told := others(found, taken):
        notes.append(told)
    ignored = [f"{name}={values[name][:20]}" for name in _LOOKS if name in values]
    colours = values.get("colors", "")
    if colours.startswith("@"):
        ignored.append(f"colors={colours[:40]} (another file: give that one as the palette)")
        colours = ""
    return Found(PROGRAM, place, _palette(colours, taken.name), refused, tuple(ignored), tuple(notes))


def _values(entry: Entry) -> dict[str, str]:
    pairs = (word.partition("=") for word in entry.body.split())
    return {name.lower(): value for name, equals, value in pairs if equals}


def _refused(values: dict[str, str]) -> str:
    kind = values.get("type", "mandel")
    if kind.lower() not in ("mandel", "mandelfp"):
        own = values.get("formulaname", "")
        return f"its formula is type={kind[:40]}" + (f", {own[:40]} of a formula file" if own else "")
    start = [*values.get("params", "0").split("/"), *values.get("initorbit", "0").split("/")]
    if not all(is_zero(number) or number == "pixel" for number in start):
        return "its orbits do not begin at 0 (params, initorbit)"
    return "its plane is inverted (invert)" if not is_zero(values.get("invert", "0").split("/")[0]) else ""


def _place(values: dict[str, str]) -> tuple[Place, list[str]]:
    maxiter = whole(values.get("maxiter", str(_ITERATIONS)), "maxiter")
    if values.get("center-mag"):
        re_, im, height, rotation, notes = _magnified(values["center-mag"].split("/"))
    else:
        re_, im, height, rotation, notes = _cornered(values.get("corners") or _CORNERS)
    return Place(re_, im, height, rotation=rotation, maxiter=maxiter), notes


def _magnified(parts: list[str]) -> tuple[str, str, Decimal, str, list[str]]:
    """x/y/magnification, then perhaps the factor of x, the rotation and the skew."""
    if not 3 <= len(parts) <= 6:
        raise FileError(f"center-mag has {len(parts)} numbers, not 3 to 6")
    stretch = scale(parts[3], "Xmagfactor") if len(parts) > 3 and not is_zero(parts[3]) else Decimal(1)
    notes = [] if abs(stretch - 1) < _SQUARE else ["its picture is stretched (Xmagfactor); ours is not"]
    if len(parts) > 5 and not is_zero(parts[5]):
        notes.append("its picture is skewed; ours is not")
    return (
        decimal(parts[0], "the real part of center-mag"),
        decimal(parts[1], "the imaginary part of center-mag"),
        SCALES.divide(Decimal(2), scale(parts[2], "the magnification")),
        degrees(parts[4] if len(parts) > 4 else "0", "the rotation", -1),
        notes,
    )


def _cornered(text: str) -> tuple[str, str, Decimal, str, list[str]]:
    """xmin/xmax/ymin/ymax: top left is (xmin, ymax), bottom right (xmax, ymin); then perhaps the bottom left."""
    parts = [decimal(part, "a corner") for part in text.split("/")]
    if len(parts) not in (4, 6):
        raise FileError(f"corners has {len(parts)} numbers, not 4 or 6")
    left, right, low, high = parts[:4]
    x, y = parts[4:] if len(parts) == 6 else (left, low)
    along = SCALES.plus(difference(right, x)), SCALES.plus(difference(low, y))
    up = SCALES.plus(difference(left, x)), SCALES.plus(difference(high, y))
    width, height = length(*along), length(*up)
    if not width or not height:
        raise FileError("its corners have no area between them")
    notes = []
    across = SCALES.divide(
        SCALES.add(SCALES.multiply(along[0], up[0]), SCALES.multiply(along[1], up[1])),
        SCALES.multiply(width, height),
    )
    if abs(across) > _SQUARE:
        notes.append("its picture is skewed; ours is not")
    if abs(SCALES.divide(height, SCALES.multiply(width, _ASPECT)) - 1) > _SQUARE:
        notes.append("its corners are not 4 to 3: the height counts")
    if SCALES.multiply(along[0], up[1]) < SCALES.multiply(along[1], up[0]):
        notes.append("its picture is mirrored by its corners; ours is not")
    return (
        middle(left, right),
        middle(low, high),
        height,
        degrees(f"{angle(*along):.9f}", "the rotation"),
        notes,
    )


def _palette(text: str, name: str) -> Palette | None:
    """Three characters of 6 bits, or ``#rrggbb``, for each colour; ``<n>`` stands for n colours between neighbours."""
    if not text:
        return None
    table: list[Rgb] = []
    at, between, hexadecimal = 0, 0, False
    while at < len(text):
        if len(table) >= _SIZE:
            raise FileError(f"colors= has more than {_SIZE} colours")
        if match := re.compile(r"<([0-9]{1,3})>").match(text, at):
            between = int(match[1])
            if not table or not 2 <= between <= _SIZE - len(table):
                raise FileError(f"colors= has {match[0]} where no {between} colours fit between two")
            at = match.end()
            continue
        if text[at] == "#":
            hexadecimal, word, at = True, text[at + 1 : at + 7], at + 7
            channels = (
                [int(word[i : i + 2], 16) for i in (0, 2, 4)] if re.fullmatch("[0-9A-Fa-f]{6}", word) else []
            )
        else:
            word, at = text[at : at + 3], at + 3
            channels = [_DIGITS[c] for c in word if c in _DIGITS]
        if len(channels) != 3:
            raise FileError(f"colors= has {word[:8]!r}, which is no colour")
        if between:
            table += _interpolated(table[-1], channels, between)
        table.append((channels[0], channels[1], channels[2]))
        between = 0
    if between or len(table) > _SIZE:
        raise FileError(f"colors= ends with <{between}>, or has more than {_SIZE} colours")
    table += [_UNSET] * (_SIZE - len(table))
    if not hexadecimal:
        table = [(r << 2 | r >> 4, g << 2 | g >> 4, b << 2 | b >> 4) for r, g, b in table]
    return _cycle(table, name)


def _interpolated(first: Rgb, last: list[int], between: int) -> list[Rgb]:
    spread = between + 1
    mixed = [
        [(i * b + (spread - i) * a + spread // 2) // spread for a, b in zip(first, last, strict=True)]
        for i in range(1, spread)
    ]
    return [(r, g, b) for r, g, b in mixed]


def _cycle(table: list[Rgb], name: str = "") -> Palette | None:
    """The ring that counts run along: of 256 colours the first is left out, as Fractint does."""
    return evenly(table[1:] if len(table) == _SIZE else table, name)


def read_map(text: str, entry: str | None) -> Found:
    """A colour map: a line for each colour, three numbers and a comment."""
    table: list[Rgb] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith((";", "#")):
            continue
        match = re.match(r"\s*+([0-9]{1,3})[\s,]++([0-9]{1,3})[\s,]++([0-9]{1,3})(?![0-9])", line)
        if match is None or max(map(int, match.groups())) > 255:
            raise FileError(
                f"line {number}, {line.strip()[:40]!r}, is no colour: three whole numbers from 0 to 255"
            )
        if len(table) == MOST_COLOURS:
            raise FileError(f"it has more than {MOST_COLOURS} colours")
        table.append((int(match[1]), int(match[2]), int(match[3])))
    return Found(PROGRAM, palette=_cycle(table))

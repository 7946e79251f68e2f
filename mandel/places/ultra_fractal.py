"""Parameter sets (UPR) and gradients (UGR) of Ultra Fractal."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

from mandel.payload.decimal_text import exact
from mandel.places.entries import Entry, entries, named, others
from mandel.places.numbers import SCALES, decimal, degrees, is_zero, scale, whole
from mandel.places.palette import Palette, Rgb, ring
from mandel.places.place import Found, Place
from mandel.places.text import FileError

PROGRAM = "Ultra Fractal"
LOOKS_LIKE = re.compile(
    r"\{\s*+(?:;[^\n]*+\n\s*+)*(?:fractal|gradient|layer|mapping|formula)[ \t]*+:|^[ \t]*+::[A-Za-z0-9+/]",
    re.MULTILINE,
)

# Begins at a word's first character only: else a long word is looked at from each of its characters.
_WORD = re.compile(r'(?<![\w.@])(?:([A-Za-z]\w*+):(?=\s|$)|([A-Za-z_][\w.@]*+)=("[^"]*+"|[^\s"]*+))')
_RING = 400
_ITERATIONS = 250
_OURS = ("mandelbrot", "fastmandel")
# Of a mapping: name, what leaves the picture as it is, what we do.
_BENT = (
    ("stretch", "1", "the picture is not stretched here"),
    ("skew", "0", "the picture is not skewed here"),
)
_GUESSED = (
    "a magnification of 1 is taken for a picture 3 high with the imaginary axis upwards; neither was confirmed, so "
    "compare with Ultra Fractal's picture"
)


class _Section(NamedTuple):
    name: str
    pairs: list[tuple[str, str]]

    def get(self, name: str, default: str = "") -> str:
        return next((value for key, value in self.pairs if key == name), default)


def read(text: str, entry: str | None) -> Found:
    """The place and the gradient of one entry's first layer; a UGR has gradients alone.

    Without a name the first entry that is a Mandelbrot set is taken, else the first.
    """
    found = entries(text)
    taken = named(found, entry) if entry else next((it for it in found if _is_ours(it)), found[0])
    sections, layers = _first_layer(_sections(taken))
    notes = [] if layers < 2 else [f"of its {layers} layers the first was taken"]
    if told := others(found, taken):
        notes.append(told)
    place, refused, ignored = None, "", []
    if "mapping" in sections or "formula" in sections:
        refused = _refused(sections)
        place = None if refused else _place(sections)
        if place is not None:
            notes.append(_GUESSED)
            mapping = sections.get("mapping", _Section("", []))
            ignored += [
                f"{name}: {ours}"
                for name, usual, ours in _BENT
                if (given := mapping.get(name)) and exact(given) != exact(usual)
            ]
        ignored += [f"{name}: colouring" for name in ("inside", "outside") if name in sections]
    gradient = sections.get("gradient")
    return Found(
        PROGRAM,
        place,
        _palette(gradient, taken.name) if gradient is not None else None,
        refused,
        tuple(ignored),
        tuple(notes),
    )


def _sections(entry: Entry) -> list[_Section]:
    if "::" in entry.body:
        raise FileError(
            f"the entry {entry.name} is compressed, which only Ultra Fractal can read; save it there uncompressed"
        )
    found = [_Section("", [])]
    for match in _WORD.finditer(entry.body):
        if match[1]:
            found.append(_Section(match[1].lower(), []))
        else:
            found[-1].pairs.append((match[2].lower(), match[3].strip('"')))
    return found


def _first_layer(sections: list[_Section]) -> tuple[dict[str, _Section], int]:
    """The sections of the first layer by name (the first of each name), and how many layers there are."""
    layers = 0
    known: dict[str, _Section] = {}
    for section in sections:
        layers += section.name == "layer"
        if layers <= 1:
            known.setdefault(section.name, section)
    return known, layers


def _is_ours(entry: Entry) -> bool:
    if "::" in entry.body:
        return False
    sections, _ = _first_layer(_sections(entry))
    return "mapping" in sections and not _refused(sections)


def _refused(sections: dict[str, _Section]) -> str:
    formula = sections.get("formula", _Section("", []))
    file, name = formula.get("filename"), formula.get("entry")
    if file.lower() != "standard.ufm" or name.lower() not in _OURS:
        return f"its formula is {name[:40] or 'not named'} of {file[:40] or 'no file'}, not Mandelbrot of Standard.ufm"
    if not all(map(is_zero, formula.get("p_start", "0").split("/"))):
        return "its orbits do not begin at 0 (p_start)"
    power, _, imaginary = formula.get("p_power", "2/0").partition("/")
    if not is_zero(imaginary or "0") or decimal(power, "p_power").rstrip("0").rstrip(".") != "2":
        exponent = power[:20] if is_zero(imaginary or "0") else f"({power[:20]} + {imaginary[:20]}i)"
        return f"its formula is z^{exponent} + c"
    transform = sections.get("transform") or sections.get("transforms")
    if transform is not None and transform.pairs:
        return f"its plane is bent by the transformation {transform.get('entry', '?')[:40]}"
    return ""


def _place(sections: dict[str, _Section]) -> Place:
    mapping, formula = sections.get("mapping", _Section("", [])), sections["formula"]
    centre = mapping.get("center", "-0.5/0").split("/")
    if len(centre) != 2:
        raise FileError("center= must be REAL/IMAGINARY")
    return Place(
        decimal(centre[0], "the real part of center"),
        decimal(centre[1], "the imaginary part of center"),
        SCALES.divide(Decimal(3), scale(mapping.get("magn", "1"), "magn")),
        rotation=degrees(mapping.get("angle", "0"), "angle", -1),
        maxiter=whole(formula.get("maxiter", str(_ITERATIONS)), "maxiter"),
    )


def _palette(gradient: _Section, name: str) -> Palette | None:
    """``index=I color=C`` pairs: I on a ring of 400, C = red + 256 green + 65536 blue."""
    stops: list[tuple[float, Rgb]] = []
    turn, at = _index(gradient.get("rotation", "0"), "rotation"), 0
    for key, value in gradient.pairs:
        if key == "index":
            at = _index(value, "index")
        elif key == "color":
            colour = _index(value, "color") & 0xFFFFFF
            stops.append(((at + turn) % _RING / _RING, (colour & 255, colour >> 8 & 255, colour >> 16)))
    return ring(stops, gradient.get("title") or name)


def _index(text: str, what: str) -> int:
    if re.fullmatch(r"-?[0-9]{1,10}", text) is None:
        raise FileError(f"{what}={text[:20]} in a gradient is no whole number")
    return int(text)

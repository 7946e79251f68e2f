"""The table of formats, and which of them a file is: by its content first, then by its name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from mandel.places import (
    deepdrill,
    entries,
    fractint,
    fraktaler3,
    gimp,
    kalles_fraktaler,
    rust_fractal,
    ultra_fractal,
    xaos,
)
from mandel.places.place import Found
from mandel.places.text import FileError


class Format(NamedTuple):
    """A kind of file.

    Attributes:
        name: for people.
        suffixes: of its files' names, in lower case.
        looks_like: what such a file has somewhere.
        read: gives what is in the text; the second argument names an entry, where a file has several.
    """

    name: str
    suffixes: tuple[str, ...]
    looks_like: re.Pattern[str]
    read: Callable[[str, str | None], Found]


# Of several that fit, one with the file's suffix is taken, else the first: the plain signs first.
TABLE = (
    Format("GIMP gradient (GGR)", (".ggr",), gimp.GRADIENT, gimp.read_gradient),
    Format("GIMP palette (GPL)", (".gpl",), gimp.PALETTE, gimp.read_palette),
    Format("XaoS position (XPF)", (".xpf", ".xaf"), xaos.LOOKS_LIKE, xaos.read),
    Format("Ultra Fractal (UPR, UGR)", (".upr", ".ugr"), ultra_fractal.LOOKS_LIKE, ultra_fractal.read),
    Format("Fractint (PAR)", (".par",), entries.LOOKS_LIKE, fractint.read_parameters),
    Format(
        "Kalles Fraktaler (KFR, KFP)", (".kfr", ".kfp"), kalles_fraktaler.LOOKS_LIKE, kalles_fraktaler.read
    ),
    Format("DeepDrill (INI)", (".ini",), deepdrill.LOOKS_LIKE, deepdrill.read),
    Format("Fraktaler 3 (TOML)", (".f3.toml", ".toml"), fraktaler3.LOOKS_LIKE, fraktaler3.read),
    Format("rust-fractal (TOML)", (".toml",), rust_fractal.LOOKS_LIKE, rust_fractal.read),
    Format("colour map (MAP)", (".map",), fractint.MAP, fractint.read_map),
)


def found_in(text: str, name: str, entry: str | None = None) -> Found | None:
    """What is in a file of another program; None if it is none of the formats: our JSON, or nothing known.

    Args:
        text: what ``text.decoded`` gave of it.
        name: the file's name.
        entry: which entry to take of a file that has several.

    Raises:
        RequestError: the file is damaged, or one of its numbers is none.
    """
    kind = _format(text, name.lower())
    if kind is None:
        return None
    found = kind.read(text, entry)
    # A KFP is written with a place, and Kalles Fraktaler reads its colours alone.
    return replace(found, place=None, refused="") if name.lower().endswith(".kfp") else found


def _format(text: str, name: str) -> Format | None:
    if text.lstrip().startswith("{"):
        return None  # JSON: no other format begins so
    fitting = [kind for kind in TABLE if kind.looks_like.search(text)]
    named = [kind for kind in TABLE if name.endswith(kind.suffixes)]
    for kind in fitting:
        if kind in named:
            return kind
    if fitting:
        return fitting[0]
    if named:
        names = " or ".join(kind.name for kind in named)
        raise FileError(f"nothing in it looks like a file of {names}")
    return None


def known_formats() -> str:
    """The formats, for people."""
    return "JSON, " + ", ".join(kind.name for kind in TABLE)

"""Location files of DeepDrill: INI. As DeepDrill does, blanks are dropped wherever they stand."""

from __future__ import annotations

import re
from decimal import Decimal

from mandel.places.numbers import SCALES, decimal, scale, whole
from mandel.places.place import Found, Place

PROGRAM = "DeepDrill"
# Fraktaler 3 has tables of the first names, too, but others besides.
LOOKS_LIKE = re.compile(
    r"\A(?![\s\S]*^[ \t]*+\[\[?[ \t]*+(?:bailout|formula|reference|transform)[ \t]*+\])"
    r"[\s\S]*?^[ \t]*+\[[ \t]*+(?:location|map|image|video|palette)[ \t]*+\]",
    re.IGNORECASE | re.MULTILINE,
)


def read(text: str, entry: str | None) -> Found:
    """The place. Its palettes are pictures, which are not read."""
    section, known = "", {}
    for line in text.split("\n"):
        bare = re.sub(r"\s+", "", re.split("[#;]", line, maxsplit=1)[0])
        if bare.startswith("[") and bare.endswith("]"):
            section = bare[1:-1].lower()
        elif "=" in bare:
            name, _, value = bare.partition("=")
            known[f"{section}.{name.lower()}"] = value.strip('"')
    place = None
    if any(name.startswith("location.") for name in known):
        place = Place(
            decimal(known.get("location.real", "0"), "real"),
            decimal(known.get("location.imag", "0"), "imag"),
            SCALES.divide(Decimal(4), scale(known.get("location.zoom", "1"), "zoom")),
            maxiter=whole(known.get("location.depth", "800"), "depth"),
            mirrored=True,
        )
    ignored = [name[:40] for name in known if not name.startswith(("location.", "palette.image"))]
    if picture := known.get("palette.image"):
        ignored.append(f"palette.image {picture[:60]!r} (a palette that is a picture)")
    return Found(PROGRAM, place, ignored=tuple(ignored))

"""KFR and KFP of Kalles Fraktaler: ``Key: value`` lines. A later line of the same key wins."""

from __future__ import annotations

import re
from decimal import Decimal

from mandel.places.numbers import SCALES, decimal, degrees, is_two, is_zero, scale, whole
from mandel.places.palette import Palette, Rgb, evenly
from mandel.places.place import Found, Place
from mandel.places.text import FileError

PROGRAM = "Kalles Fraktaler"
LOOKS_LIKE = re.compile(
    r"^[ \t]*+(?:re|im|zoom|iterations|iterdiv|colors)[ \t]*+:", re.IGNORECASE | re.MULTILINE
)

_LINE = re.compile(r"\s*([a-z]\w*)\s*[:=](.*)", re.IGNORECASE)
_COMMENT = re.compile(r"\s[;#]")  # as people put behind a number
_TYPES = ("Mandelbrot", "Burning Ship", "Buffalo", "Celtic", "Mandelbar", "Mandelbar Celtic")
_METHODS = {
    "0": "linear",
    "1": "square root",
    "2": "cube root",
    "3": "logarithm",
    "4": "stretched",
    "9": "log log",
}


def read(text: str, entry: str | None) -> Found:
    """The place and the palette of a KFR; a file without Re and Im, such as many KFP, has a palette alone."""
    known = {}
    for line in text.split("\n"):
        if not line.lstrip().startswith((";", "#")) and (match := _LINE.fullmatch(line)):
            known[match[1].lower()] = _COMMENT.split(match[2])[0].strip()
    if "size" in known and "location" in known:
        raise FileError(
            "it is a file of Imagina, which is not read: its numbers are hexadecimal; save the place as KFR"
        )
    return Found(
        PROGRAM,
        _place(known),
        _palette(known.get("colors", "")),
        _refused(known),
        tuple(_ignored(known)),
    )


def _place(known: dict[str, str]) -> Place | None:
    if "re" not in known and "im" not in known:
        return None
    if missing := [name for name in ("re", "im", "zoom") if name not in known]:
        raise FileError(f"there is no line {missing[0].capitalize()}: VALUE")
    upwards = known.get("imagpointsup", "0") not in ("", "0")
    return Place(
        decimal(known["re"], "Re"),
        decimal(known["im"], "Im"),
        SCALES.divide(Decimal(4), scale(known["zoom"], "Zoom")),
        # Older programs' Rotate is left alone, as Kalles Fraktaler 2.15.1 and newer leaves it.
        rotation=degrees(known.get("rotateangle") or "0", "RotateAngle", -1 if upwards else 1),
        maxiter=whole(known["iterations"], "Iterations") if known.get("iterations") else None,
        mirrored=not upwards,
    )


def _refused(known: dict[str, str]) -> str:
    kind, power = known.get("fractaltype", "0"), known.get("power", "2")
    if kind and not is_zero(kind):
        name = _TYPES[int(kind)] if kind.isdecimal() and int(kind[:9]) < len(_TYPES) else ""
        return f"its formula is FractalType {kind[:20]}" + (f", {name}" if name else "")
    if power and not is_two(power):
        return f"its formula is z^{power[:20]} + c"
    if known.get("usehybridformula", "0") not in ("", "0"):
        return "its formula is a hybrid (UseHybridFormula: 1)"
    if any(known.get(name) and not is_zero(known[name]) for name in ("seedr", "seedi")):
        return "its orbits begin at another seed than 0 (SeedR, SeedI)"
    return ""


def _palette(text: str) -> Palette | None:
    """``b,g,r,b,g,r,...,``: blue first, spread evenly."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if any(re.fullmatch(r"[0-9]{1,3}", word) is None or int(word) > 255 for word in words):
        raise FileError("Colors: must be whole numbers from 0 to 255 with commas between them")
    if len(words) % 3:
        raise FileError(f"Colors: has {len(words)} numbers; three make a colour")
    colours: list[Rgb] = [(int(r), int(g), int(b)) for b, g, r in zip(*[iter(words)] * 3, strict=True)]
    return evenly(colours)


def _ignored(known: dict[str, str]) -> list[str]:
    found = []
    if method := known.get("colormethod"):
        found.append(f"ColorMethod {method[:9]}" + (f" ({_METHODS[method]})" if method in _METHODS else ""))
    found += [
        f"{name} {known[name.lower()][:20]}" for name in ("IterDiv", "ColorOffset") if known.get(name.lower())
    ]
    for name in ("Slopes", "MultiColor", "Flat", "ExponentialMap"):
        if known.get(name.lower(), "0") not in ("", "0"):
            found.append(name)
    if known.get("glsl"):
        found.append("GLSL (its own colouring)")
    if (amount := known.get("stretchamount")) and not is_zero(amount):
        found.append("StretchAmount: the picture is not stretched here")
    if (rotate := known.get("rotate")) and not is_zero(rotate):
        found.append("Rotate (versions before 2.15.1; newer ones ignore it too)")
    if (ratio := known.get("ratio")) and not is_zero(ratio) and not ratio.startswith("360"):
        found.append("Ratio (versions before 2.15.1; newer ones ignore it too)")
    return found

"""Looks: sets of a payload's fields that go well together. The standard library alone, for the client."""

from __future__ import annotations

from mandel.colour import palettes
from mandel.colour.mappings import EVEN, ROOT

_PLAIN = {
    "palette": "dusk",
    "mapping": EVEN,
    "density": "1",
    "offset": "0",
    "relief": "0",
    "relief_angle": "135",
    "edge": "0",
    "interior": "000000",
}

# The first one is what a payload has that says nothing of colours. Each names all fields of a look.
LOOKS: dict[str, dict[str, str]] = {
    "evening": _PLAIN,
    "engraving": _PLAIN
    | {
        "palette": "0:f5f0e4,0.25:d3cab8,0.5:9c927f,0.75:d9d1c0",
        "relief": "0.9",
        "edge": "0.8",
        "interior": "1d1a17",
    },
    # These two: verdigris and aurora without what is nearly black there, as a deep place may lie in that part alone. No
    # edge: it would hide all where lines are dense.
    "copper": _PLAIN
    | {
        "palette": "0:4a2a1c,0.18:1f5f57,0.36:45a58f,0.52:d5e8d0,0.64:f2d9a8,0.76:c98546,0.88:7d4526",
        "density": "0.8",
        "relief": "0.6",
        "relief_angle": "120",
    },
    "lights": _PLAIN
    | {
        "palette": "0:1b3d78,0.16:12708f,0.32:1cb48b,0.46:adf394,0.57:f6ffd8,0.7:93c3f8,0.82:8560dc,0.92:4a3aa6",
        "density": "0.8",
        "relief": "0.5",
        "interior": "04050f",
    },
    "classic": _PLAIN | {"mapping": ROOT},
}
NAMES: tuple[str, ...] = tuple(LOOKS)
FIELDS: tuple[str, ...] = tuple(_PLAIN)


def in_words(fields: dict[str, str]) -> str:
    """A look by its name, and its palette if that is another: "copper", "evening, ember", "own look, 3 own colours".

    Args:
        fields: all ``FIELDS`` of a canonical payload.
    """
    palette = fields["palette"]
    shown = palette if palette in palettes.NAMES else f"{palette.count(',') + 1} own colours"
    for name, look in LOOKS.items():
        if look | {"palette": palette} == fields:
            return name if look["palette"] == palette else f"{name}, {shown}"
    return f"own look, {shown}"

"""Colour style: all settings that turn raw samples into colours, the same for a whole zoom.

A sample's phase on the palette's ring depends on its smooth iteration count mu and on nothing else, and no frame is
normalised by itself. So a point keeps its colour along a zoom, and nothing flickers. ``mapping`` says how: by a curve
learned for the whole job ("even"), by sqrt(mu), mu or log2(mu + 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from mandel.colour import palettes
from mandel.colour.mappings import MAPPINGS, ROOT, Curve
from mandel.errors import PayloadError


class Asked(Protocol):
    """The fields of a ``mandel.payload.payload.Payload`` that a style needs."""

    @property
    def palette(self) -> str: ...
    @property
    def mapping(self) -> str: ...
    @property
    def density(self) -> str: ...
    @property
    def offset(self) -> str: ...
    @property
    def relief(self) -> str: ...
    @property
    def relief_angle(self) -> str: ...
    @property
    def edge(self) -> str: ...
    @property
    def interior(self) -> str: ...


@dataclass(frozen=True)
class ColourStyle:
    """How samples are coloured.

    Attributes:
        palette: a name out of ``palettes.NAMES``, or the text of an own palette.
        density: turns around the palette for each unit of what is mapped, > 0.
        offset: phase at mu = 0, in turns.
        relief: 0..1, strength of the slope shading; needs the slope outputs.
        relief_angle: direction the light comes from, degrees, counter-clockwise from the right.
        edge: >= 0, distance to the set in pixels, below which colours
            darken; 0 for no darkening; needs the distance output.
        interior: colour of samples that never escape, six hex digits.
        mapping: a name out of ``mappings.NAMES``.
        curve: of the mapping "even".

    Raises:
        PayloadError: UNKNOWN_PALETTE, OUT_OF_RANGE.
    """

    palette: str = palettes.DEFAULT
    density: float = MAPPINGS[ROOT].density
    offset: float = MAPPINGS[ROOT].offset
    relief: float = 0.0
    relief_angle: float = 135.0
    edge: float = 0.0
    interior: str = "000000"
    mapping: str = ROOT
    curve: Curve = ()

    def __post_init__(self) -> None:
        if palettes.ring_of(self.palette) is None:
            raise PayloadError(
                "UNKNOWN_PALETTE",
                f"palette {self.palette!r} is not known; choose one of {', '.join(palettes.NAMES)}.",
                field="palette",
                limit=list(palettes.NAMES),
            )
        for name, low, high in (
            ("density", 1e-6, 1e6),
            ("offset", -1e6, 1e6),
            ("relief", 0.0, 1.0),
            ("relief_angle", -360.0, 360.0),
            ("edge", 0.0, 1e6),
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise PayloadError(
                    "OUT_OF_RANGE",
                    f"{name} is {value}; it must be a number from {low:g} to {high:g}.",
                    field=name,
                    limit=[low, high],
                )

    @classmethod
    def of(cls, asked: Asked, curve: Curve = ()) -> ColourStyle:
        """The style that a payload asks for.

        Args:
            curve: of the mapping "even"; without it only ``needs_slope`` and ``needs_distance`` can be asked.
        """
        usual = MAPPINGS[asked.mapping]
        return cls(
            asked.palette,
            usual.density * float(asked.density),
            usual.offset + float(asked.offset),
            float(asked.relief),
            float(asked.relief_angle),
            float(asked.edge),
            asked.interior,
            asked.mapping,
            curve,
        )

    @property
    def needs_slope(self) -> bool:
        """Whether samples must carry ``slope``."""
        return self.relief > 0

    @property
    def needs_distance(self) -> bool:
        """Whether samples must carry ``distance``."""
        return self.edge > 0

    @property
    def light(self) -> tuple[float, float]:
        """Unit vector towards the light, (re, im)."""
        angle = math.radians(self.relief_angle)
        return math.cos(angle), math.sin(angle)

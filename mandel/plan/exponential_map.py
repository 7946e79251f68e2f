"""An exponential map: where the samples lie that a zoom's frames share (see strip_plan.py)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Protocol

from mandel.plan.arithmetic import log2_of
from mandel.plan.view import View
from mandel.plan.zoom import Zoom

# Rows of the map that lie outside every frame. The fewest columns of the coarsest level.
MARGIN, _FEWEST = 8, 8
_SCALE = Context(prec=40, Emax=10**9, Emin=-(10**9))


@dataclass(frozen=True)
class ExponentialMap:
    """Where the samples of a map lie.

    Attributes:
        around: samples along a full circle (columns per turn).
        rows: rows of a strip; a power of two.
        radius: radius of the circle at row ``MARGIN``, in units of the plane.
    """

    around: int
    rows: int
    radius: Decimal

    @classmethod
    def of(cls, zoom: Zoom, density: float) -> ExponentialMap:
        """A zoom's own map: the corner of its widest frame lies at row ``MARGIN``."""
        wish = 2 * math.pi * corner(zoom) * density
        rows = 1 << max(0, math.floor(math.log2(wish / _FEWEST)))
        return cls(round(wish / rows) * rows, rows, outermost(zoom))


class Sized(Protocol):
    """Frames of so many pixels."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...


def corner(frames: Sized) -> float:
    """Pixels from a frame's centre to its corner."""
    return math.hypot(frames.width, frames.height) / 2


def outermost(zoom: Zoom) -> Decimal:
    """Distance from the centre to the widest frame's corner, in units of the plane."""
    widest = max(zoom.start_delta, zoom.end_delta, key=Decimal)
    spacing = View("0", "0", widest, zoom.width, zoom.height).spacing
    return _SCALE.multiply(spacing, Decimal(corner(zoom)))


def samples_of(zoom: Zoom, density: float) -> int:
    """Estimates how many samples the strips of a zoom have."""
    octaves = abs(log2_of(Decimal(zoom.start_delta)) - log2_of(Decimal(zoom.end_delta)))
    # One frame shows rings of about two units of ln(radius). Frames that lie further apart share nothing.
    units = min(octaves * math.log(2) + 2, 2 * zoom.num_frames)
    return math.ceil(2 * math.pi * (corner(zoom) * density) ** 2 * units)

"""Mappings: how far along the palette a smooth iteration count lies. The standard library alone, for the client."""

from __future__ import annotations

from typing import NamedTuple

EVEN, ROOT, LINEAR, LOG = "even", "root", "linear", "log"

# The distribution of a view's counts is told by this many quantiles, evenly spaced from the least to the greatest.
QUANTILES = 33


class Usual(NamedTuple):
    """Of a mapping, where a payload says nothing else.

    Attributes:
        density: turns around the palette for each unit of what is mapped: of "even" the job's curve (colour/curve.py),
            of the others sqrt(mu), mu and log2(mu + 1).
        offset: the phase at mu = 0, in turns. The outside of the whole set is then on the dark side of every palette.
    """

    density: float
    offset: float


MAPPINGS: dict[str, Usual] = {
    EVEN: Usual(1.0, 0.94),
    ROOT: Usual(0.3, 0.4),
    LINEAR: Usual(0.02, 0.0),
    LOG: Usual(0.5, 0.0),
}
NAMES: tuple[str, ...] = tuple(MAPPINGS)


class Knot(NamedTuple):
    """From the whole smooth count ``base`` on, the curve is ``value + slope * (count - base)``."""

    base: int
    value: float
    slope: float


Curve = tuple[Knot, ...]

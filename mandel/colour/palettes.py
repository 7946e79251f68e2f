"""Named cyclic palettes, as tables of linear-light RGB.

A palette is a closed ring of control colours. Between them it is interpolated
in OKLab (B. Ottosson, "A perceptual color space for image processing", 2020),
where even steps look even, by monotone cubics, which overshoot nowhere; so no
ring leaves the gamut by much, has a crease, or a seam where it closes.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from mandel.colour.transfer import decode_srgb

SIZE = 1024

# Control colours, (position on the ring, sRGB). The first position is 0; the
# ring closes from the last back to the first. Every ring has a dark and a light
# side: on the brightness, not on the hue, the eye follows the bands.
_RINGS: dict[str, tuple[tuple[float, str], ...]] = {
    "dusk": (
        (0.00, "070b2b"), (0.14, "1d3f8f"), (0.28, "4fa3dc"), (0.42, "e9f4f0"), (0.55, "ffd27a"),
        (0.68, "f08a2c"), (0.80, "9c2f35"), (0.91, "33123f"),
    ),
    "ember": (
        (0.00, "0a0406"), (0.18, "4d0a12"), (0.36, "b32412"), (0.52, "f47b16"), (0.66, "ffd75e"),
        (0.76, "fff7dc"), (0.88, "7d5a62"),
    ),
    "glacier": (
        (0.00, "04101f"), (0.20, "0d3f66"), (0.38, "2f8fb0"), (0.54, "a5dfe2"), (0.64, "fbfffc"),
        (0.78, "86a6cf"), (0.90, "2b3a78"),
    ),
    "aurora": (
        (0.00, "06081c"), (0.16, "0b3a4a"), (0.32, "12976c"), (0.46, "a6ef8c"), (0.56, "f6ffd8"),
        (0.70, "7fb2ee"), (0.82, "6a3fb5"), (0.92, "220f4f"),
    ),
    "orchid": (
        (0.00, "120618"), (0.16, "4a1259"), (0.34, "b32a7e"), (0.50, "ff8f8a"), (0.62, "ffe9cf"),
        (0.76, "a9b8f2"), (0.90, "2e2f7d"),
    ),
    "verdigris": (
        (0.00, "0b0d0c"), (0.18, "13443f"), (0.36, "3f9e88"), (0.50, "d9f0d2"), (0.64, "e8b46a"),
        (0.78, "96532a"), (0.90, "371a12"),
    ),
    "spectrum": (
        (0.00, "1b1466"), (0.16, "1583c4"), (0.32, "2fbf71"), (0.48, "f4e04d"), (0.62, "f2722b"),
        (0.76, "c81d4e"), (0.90, "5a1480"),
    ),
    "silver": ((0.00, "08090b"), (0.30, "5b626b"), (0.55, "f4f5f3"), (0.80, "6a6560")),
}

NAMES: tuple[str, ...] = tuple(_RINGS)
DEFAULT = NAMES[0]

_TO_LMS = np.array([
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
])
_TO_LAB = np.array([
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
])


def _oklab(linear: np.ndarray) -> np.ndarray:
    return np.cbrt(linear @ _TO_LMS.T) @ _TO_LAB.T


def _linear(lab: np.ndarray) -> np.ndarray:
    return (lab @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_LMS).T


def _ring(at: np.ndarray, values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Periodic monotone cubic through ``values`` (k, 3) at ``at`` (k,), period 1.

    Slopes are the weighted harmonic means of F. N. Fritsch and J. Butland
    (1984), 0 at a local extreme.
    """
    k = len(at)
    step = np.diff(np.append(at, 1.0))[:, None]
    rise = (np.roll(values, -1, axis=0) - values) / step
    before, width = np.roll(rise, 1, axis=0), np.roll(step, 1, axis=0)
    w1, w2 = 2 * step + width, step + 2 * width
    same = before * rise > 0
    slope = np.zeros_like(values)
    np.divide(
        (w1 + w2) * before * rise, w1 * rise + w2 * before, out=slope, where=same
    )
    i = np.searchsorted(at, where, side="right") - 1
    j = (i + 1) % k
    h = step[i]
    t = (where[:, None] - at[i][:, None]) / h
    return (
        (1 + 2 * t) * (1 - t) ** 2 * values[i] + t * (1 - t) ** 2 * h * slope[i]
        + t * t * (3 - 2 * t) * values[j] - t * t * (1 - t) * h * slope[j]
    )


@cache
def table(name: str) -> np.ndarray:
    """The palette ``name``: (SIZE, 3) float32, linear-light sRGB primaries in 0..1.

    Entry i is the colour at phase i / SIZE; after the last comes the first.
    Read-only.

    Raises:
        KeyError: no such palette; NAMES holds all.
    """
    ring = _RINGS[name]
    at = np.array([position for position, _ in ring])
    bytes_ = np.array([list(bytes.fromhex(colour)) for _, colour in ring])
    lab = _oklab(decode_srgb(bytes_ / 255.0))
    made = np.clip(_linear(_ring(at, lab, np.arange(SIZE) / SIZE)), 0.0, 1.0).astype(np.float32)
    made.setflags(write=False)
    return made

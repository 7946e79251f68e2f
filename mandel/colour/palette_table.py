"""Palettes as tables of linear-light RGB.

A palette is a ring of control colours. Between them it is interpolated in OKLab
(B. Ottosson, "A perceptual color space for image processing", 2020), where even
steps look even. Monotone cubics do not overshoot, so no ring leaves the gamut
by much. They are smooth, so no ring has a crease, or a seam where it closes.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mandel.colour.palettes import ring_of
from mandel.colour.transfer import decode_srgb

SIZE = 8192

_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


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
    np.divide((w1 + w2) * before * rise, w1 * rise + w2 * before, out=slope, where=same)
    i = np.searchsorted(at, where, side="right") - 1
    j = (i + 1) % k
    h = step[i]
    t = (where[:, None] - at[i][:, None]) / h
    return (
        (1 + 2 * t) * (1 - t) ** 2 * values[i]
        + t * (1 - t) ** 2 * h * slope[i]
        + t * t * (3 - 2 * t) * values[j]
        - t * t * (1 - t) * h * slope[j]
    )


@lru_cache(64)
def colour_table(palette: str) -> np.ndarray:
    """A palette, by its name or its text: (SIZE, 3) float32, linear-light sRGB primaries in 0..1.

    Entry i is the colour at phase (i + 0.5) / SIZE; after the last comes the first.
    Read-only.

    Raises:
        KeyError: no such palette.
    """
    ring = ring_of(palette)
    if ring is None:
        raise KeyError(palette)
    at = np.array([position for position, _ in ring])
    bytes_ = np.array([list(bytes.fromhex(colour)) for _, colour in ring])
    lab = _oklab(decode_srgb(bytes_ / 255.0))
    made = np.clip(_linear(_ring(at, lab, (np.arange(SIZE) + 0.5) / SIZE)), 0.0, 1.0).astype(np.float32)
    made.setflags(write=False)
    return made

"""Estimates what a zoom takes: measures a few key views, and interpolates between them.

Iterating dominates, and a sample at one depth may take a thousand times as long as one at another. So pieces of some
frames are iterated and timed. What colouring a pixel and encoding take is the same at every depth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from mandel.plan.arithmetic import log2_of
from mandel.plan.iteration_limit import KEY_OCTAVES, key_deltas

# The most key views of a zoom; they lie two octaves apart or more.
MOST_KEYS, _LEAST_OCTAVES = 12, KEY_OCTAVES / 2
# Seconds of colouring a pixel of a frame, a sample of a strip, and of resampling a pixel from strips; measured on one
# core of an AMD EPYC.
COLOURED, PACKED, RESAMPLED = 3e-9, 2.5e-8, 2.3e-8


@dataclass(frozen=True)
class KeyCost:
    """What the samples of one key view take.

    Attributes:
        depth: where it lies: -log2 of its delta; on a path, how far along it, in octaves too.
        seconds: of one sample.
        fixed: seconds that making its table of skipped steps takes.
        key_bytes, next_bytes: of a pixel, encoded: of a key picture, and of one that follows another; None if that was
            not measured.
    """

    depth: float
    seconds: float
    fixed: float = 0.0
    key_bytes: float | None = None
    next_bytes: float | None = None


@dataclass(frozen=True)
class Costs:
    """What was measured of a zoom.

    Attributes:
        views: at least one, the shallowest first.
        on_gpu: whether a GPU was measured.
    """

    views: tuple[KeyCost, ...]
    on_gpu: bool = False

    def seconds(self, depths: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """Seconds of frames or strips at ``depths``, of so many samples each.

        Tables of skipped steps serve about an octave; workers, of which there are two or more, each make their own.
        """
        known = [view.depth for view in self.views]
        each = np.exp(np.interp(depths, known, [math.log(max(view.seconds, 1e-12)) for view in self.views]))
        fixed = np.interp(depths, known, [view.fixed for view in self.views])
        apart = np.abs(np.gradient(depths)) if len(depths) > 1 else np.ones(len(depths))
        return np.asarray(samples * each + fixed * np.minimum(2 * apart, 1))

    def pixel_bytes(self, depths: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Encoded bytes of a pixel at ``depths``, of key pictures and of others; None if none was measured."""
        known = [
            (view.depth, view.key_bytes, view.next_bytes)
            for view in self.views
            if view.key_bytes is not None and view.next_bytes is not None
        ]
        if not known:
            return None
        places, key, following = zip(*known, strict=True)
        return np.interp(depths, places, key), np.interp(depths, places, following)


# Until something is measured.
UNKNOWN = Costs((KeyCost(0.0, 1.5e-7),))


def deltas_to_measure(start: str, end: str) -> list[str]:
    """Deltas of the key views between two frames, the shallowest first."""
    octaves = abs(log2_of(Decimal(start)) - log2_of(Decimal(end)))
    return key_deltas(start, end, max(octaves / (MOST_KEYS - 1), _LEAST_OCTAVES))

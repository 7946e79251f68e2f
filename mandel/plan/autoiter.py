"""maxiter "auto": how many iterations a view needs, and a whole zoom.

A limit too low paints exterior samples black; how high is enough shows only in
the counts themselves. So a key view of the zoom is rendered small, at limits
that grow fourfold, until the last fourfold lets fewer than 0.2 % of the
samples escape that had not. Limits never fall while zooming in and depend on
the depth alone, so that they do not flicker, and zooming out shows the same
pictures as zooming in.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from mandel.plan.arithmetic import log2_of
from mandel.plan.view import View

FIRST_LIMIT = 1_000
# Beyond this a view counts as interior; time for the reference orbit bounds it.
CEILING = 16_000_000
KEY_OCTAVES = 16
_GROWTH = 4
# What escapes later still lies along the edges of minibrots: every fourfold lets about half as many
# escape for ever, and each fourfold makes their interior four times as dear (measured; 1e-4 ended at
# 16 million for views with a minibrot).
_CHANGED = 2e-3
# Headroom over what a small picture shows: frames have more samples, and rarer ones.
_PERCENTILE, _HEADROOM = 99.0, 2
_SAMPLES = 10_000


def small(view: View) -> View:
    """``view`` with about 10,000 samples."""
    ratio = (view.width / view.height) ** 0.5
    side = _SAMPLES**0.5
    return View(view.re, view.im, view.delta, max(round(side * ratio), 1), max(round(side / ratio), 1))


@dataclass(frozen=True)
class Limit:
    """What one key view needs.

    Attributes:
        maxiter: enough iterations for it.
        resolved: False when samples still escaped where it was given up, or none ever
            did: what is black may be so for lack of iterations.
        reason: why it was given up, in words for people; "" when it was not.
    """

    maxiter: int
    resolved: bool
    reason: str = ""


def _rounded_up(value: float) -> int:
    """``value`` rounded up to two digits: small differences between views disappear."""
    value = math.ceil(value)
    unit = 10 ** max(len(str(value)) - 2, 0)
    return -(-value // unit) * unit


def settle(
    counts: Callable[[int], np.ndarray], first: int = FIRST_LIMIT, ceiling: int = CEILING
) -> Limit:
    """The limit for a view whose counts can be had at any limit.

    Args:
        counts: limit -> counts of the view's samples, any shape; limit + 1
            for those that did not escape.
        first: the least limit worth giving.
        ceiling: the largest limit tried.
    """
    limit = min(first, ceiling)
    while limit < ceiling:
        higher = min(limit * _GROWTH, ceiling)
        found = counts(higher)
        escaped = found[found <= higher]
        late = np.count_nonzero(escaped > limit)
        if escaped.size == found.size or (escaped.size and late <= _CHANGED * found.size):
            enough = _HEADROOM * np.percentile(escaped, _PERCENTILE)
            return Limit(min(_rounded_up(max(enough, limit)), ceiling), True)
        limit = higher
    return Limit(ceiling, False, f"samples still escape near {ceiling} iterations, or none do")


@dataclass(frozen=True)
class Schedule:
    """Limits along a zoom, by depth.

    Attributes:
        depths: -log2(delta) of the key views, ascending.
        limits: their limits, ascending.
    """

    depths: tuple[float, ...]
    limits: tuple[int, ...]

    @classmethod
    def of(cls, deltas: list[str], limits: list[int]) -> "Schedule":
        """The schedule through key views in any order; no limit below a shallower view's."""
        pairs = sorted((-log2_of(Decimal(delta)), limit) for delta, limit in zip(deltas, limits, strict=True))
        depths, found = zip(*pairs, strict=True)
        return cls(depths, tuple(np.maximum.accumulate(found).tolist()))

    def limit(self, delta: str) -> int:
        """maxiter for the frame at ``delta``: that of the next deeper key view."""
        at = bisect_left(self.depths, -log2_of(Decimal(delta)) - 1e-6)
        return self.limits[min(at, len(self.limits) - 1)]


def key_deltas(start_delta: str, end_delta: str, octaves: int = KEY_OCTAVES) -> list[str]:
    """Deltas of the key views of a zoom: both ends, and at most ``octaves`` between neighbours."""
    depths = sorted((-log2_of(Decimal(start_delta)), -log2_of(Decimal(end_delta))))
    ends = sorted((Decimal(start_delta), Decimal(end_delta)), reverse=True)
    steps = math.ceil((depths[1] - depths[0]) / octaves - 1e-9)
    if steps == 0:
        return [str(ends[0])]
    ratio = (depths[1] - depths[0]) / steps * math.log10(2)
    between = [_scaled(ends[0], -ratio * k) for k in range(1, steps)]
    return [str(ends[0]), *between, str(ends[1])]


def _scaled(value: Decimal, power: float) -> str:
    whole = math.floor(power)
    mantissa = Decimal(f"{10 ** (power - whole):.12f}")
    return f"{value.scaleb(whole) * mantissa:.12e}"

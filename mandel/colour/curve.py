"""The mapping "even": one rising curve of the smooth count for a whole job. Every view shows about as many colours.

Small views of the place (plan/colour_views.py), from the largest to the smallest, tell how their smooth counts are
distributed. Each lifts the curve over its own counts, until the middle nine tenths of its samples span ``TURNS`` of the
palette or a larger view would turn too often. Nothing of it is made frame by frame, so a point keeps its colour along
the zoom.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence

import numpy as np

from mandel.colour.mappings import QUANTILES, Curve, Knot

# Turns around the palette that are wanted between the 5th and the 95th percentile of each view's smooth counts.
TURNS = 0.85
# The same of the first view, the whole set: from the dark side, far out, to the light side, along its edge.
_FIRST = 0.6
# A view has them as long as no view before it has more than so many turns by that.
_ROOM = 2.0
# Between two of these shares of its samples a view has its part of so many turns in any case. So no flat hides much.
_FLOOR, _PARTS = 0.36, np.array([0.05, 0.25, 0.5, 0.75, 0.95])
# Turns an octave of counts beside the distributions: the curve rises everywhere.
_LEAST = 0.06
# At most so many knots, and so many that what is left out is below so many turns.
_MOST, _ERROR = 512, 0.003
_GREATEST = 2.0**31


def quantiles_of(counts: np.ndarray, shares: np.ndarray) -> tuple[float, ...]:
    """Quantiles of the smooth counts of samples that escaped, from their counts at bailout 2; () of no samples.

    Samples of one count n are spread evenly over the smooth counts that it stands for, n + 0.53 to n + 1.53.

    Args:
        counts: int, (n,).
        shares: how much each counts, (n,).
    """
    if not len(counts):
        return ()
    values, which = np.unique(counts, return_inverse=True)
    sums = np.cumsum(np.bincount(which, shares))
    ends = np.concatenate((np.zeros(1), sums / sums[-1]))
    edges = np.stack([values, values + 1.0], axis=1).ravel() + 0.53
    levels = np.stack([ends[:-1], ends[1:]], axis=1).ravel()
    found = np.interp(np.linspace(0, 1, QUANTILES), levels, edges)
    return tuple(round(float(value), 2) for value in found)


def with_guesses(
    ladder: Sequence[tuple[float, Sequence[float]]], step: float
) -> list[tuple[float, Sequence[float]]]:
    """Adds three views in each gap wider than ``step``, with quantiles interpolated from both neighbours.

    Without them the curve would be flat where views of a deep zoom lie far apart.

    Args:
        ladder: depth in octaves and quantiles of counts of each view about a place, ascending; views that told none
            are left out.
    """
    told = [(depth, view) for depth, view in ladder if len(view)]
    found = told[:1]
    for (before, upper), (depth, lower) in itertools.pairwise(told):
        shares = (0.25, 0.5, 0.75) if depth - before > step + 1e-6 else ()
        both = np.array([upper, lower])
        found += [(before + s * (depth - before), tuple((1 - s) * both[0] + s * both[1])) for s in shares]
        found.append((depth, lower))
    return found


def even_curve(views: Sequence[Sequence[float]]) -> Curve:
    """The curve for views, given by the quantiles of their counts; views without any are passed over.

    Each view in turn lifts the curve over its own counts by what it lacks. So more views at the end leave the curve as
    it is up to their least count.
    """
    quantiles = np.array([view for view in views if len(view)])
    if not len(quantiles):
        return (Knot(0, 0.0, 0.01),)
    at = np.unique(np.floor(np.append(quantiles.ravel(), [0.0, quantiles.max() + 1])))
    share = np.linspace(0, 1, quantiles.shape[1])
    parts = np.array([np.interp(_PARTS, share, view) for view in quantiles])
    wanted = np.diff(_PARTS) / (_PARTS[-1] - _PARTS[0])
    curve = _LEAST * np.log2(at + 1)
    for number, view in enumerate(quantiles):
        # Equal quantiles, as of flat views, still rise.
        within = np.clip(np.interp(at, view + np.arange(len(view)) * 1e-9, share), _PARTS[0], _PARTS[-1])
        lacks = np.maximum(_FLOOR * wanted - _rises(parts[number], at, curve), 0)
        curve = curve + np.interp(within, _PARTS, np.append(0, np.cumsum(lacks)))
        short = max((TURNS if number else _FIRST) - _rises(parts[number], at, curve).sum(), 0)
        more = short * np.interp(within, _PARTS, np.append(0, np.cumsum(wanted)))
        curve = curve + more * _room(parts[:number, [0, -1]], at, curve, more)
    return _knots(at, curve)


def _rises(counts: np.ndarray, at: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """By how much the curve through (at, curve) rises from each of the counts to the next, along the last axis."""
    return np.diff(np.interp(counts, at, curve))


def _room(spans: np.ndarray, at: np.ndarray, curve: np.ndarray, more: np.ndarray) -> float:
    """The share of ``more`` with which no span of counts, (n, 2), rises by over ``_ROOM``, from 0 to 1."""
    adds, room = _rises(spans, at, more), np.maximum(_ROOM - _rises(spans, at, curve), 0)
    return float(np.min(room / np.maximum(adds, 1e-9), initial=1.0, where=adds > 1e-9))


def _knots(at: np.ndarray, curve: np.ndarray) -> Curve:
    """The polygon through few of the points (at, curve), and what follows the last of them."""
    kept = {0, len(at) - 1}
    heap: list[tuple[float, int, int, int]] = []

    def push(first: int, last: int) -> None:
        if last - first < 2:
            return
        part = slice(first + 1, last)
        line = np.interp(at[part], at[[first, last]], curve[[first, last]])
        off = np.abs(curve[part] - line)
        worst = int(off.argmax())
        heapq.heappush(heap, (-float(off[worst]), first, first + 1 + worst, last))

    push(0, len(at) - 1)
    while heap and len(kept) < _MOST - 40 and -heap[0][0] > _ERROR:
        _, first, middle, last = heapq.heappop(heap)
        kept.add(middle)
        push(first, middle)
        push(middle, last)
    chosen = sorted(kept)
    bases, values = [float(at[k]) for k in chosen], [float(curve[k]) for k in chosen]
    while 2 * bases[-1] < _GREATEST:
        bases.append(2 * bases[-1])
        values.append(values[-1] + _LEAST)
    slopes = [float(s) for s in np.diff(values) / np.diff(bases)] + [0.0]
    return tuple(
        Knot(int(base), round(value, 6), float(f"{slope:.7g}"))
        for base, value, slope in zip(bases, values, slopes, strict=True)
    )

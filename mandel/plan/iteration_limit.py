"""maxiter "auto": how many iterations a view needs, and a whole zoom.

A limit too low paints exterior samples black; how high is enough shows only in
the counts themselves. So key views of the zoom are rendered small, at limits
that grow fourfold, until the next fourfold is not worth what it costs. Limits
never fall while zooming in and follow from the payload alone, so that they do
not flicker, and zooming out shows the same pictures as zooming in.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from mandel.plan.arithmetic import log2_of
from mandel.plan.view import View

# The least limit given, and what a zoom gets of whose limits nothing is known: all of it looks interior.
FIRST_LIMIT = 1_000
# Beyond these a view counts as interior: so many iterations, or so many times its period.
CEILING = 16_000_000
_PERIODS = 1_000
# As far as that one from which nothing has escaped is looked at: the first samples escape within some periods.
_SILENT_PERIODS = 16
# What kernels count to, nearly.
_LARGEST = 2_000_000_000
KEY_OCTAVES = 4
_GROWTH = 4
# What escapes later still lies along the edges of minibrots: every fourfold lets about half as many
# escape for ever, and each fourfold makes their interior four times as dear (measured; 1e-4 ended at
# 16 million for views with a minibrot).
_CHANGED = 2e-3
# Iterations that a sample of a frame may take, on average, before more than _CHANGED must be gained by more.
_EASY = 100_000
# Iterations that one step of the search may take, all samples together, while these are so many left.
_BUDGET, _LEAST_SAMPLES = 250_000_000, 64
# Deeper than so many octaves a perturbed sample takes blocks of steps: measured, costs an iteration
# fall like 1 / depth or faster, down to those of one period.
_OCTAVES = 32
# Before that one costs as much as these many of direct iteration, of interior samples rather more.
_SHALLOW = 0.25
# A reference orbit that neither escapes, returns nor repeats is given up here: 54 to 88 bytes a step.
REFERENCE_STEPS = 32_000_000
# Headroom over what a small picture shows: frames have more samples, and rarer ones.
_PERCENTILE, _HEADROOM = 99.0, 2
_SAMPLES = 10_000


def small(view: View) -> View:
    """``view`` with about 10,000 samples."""
    ratio = (view.width / view.height) ** 0.5
    side = _SAMPLES**0.5
    return replace(view, width=max(round(side * ratio), 1), height=max(round(side / ratio), 1))


@dataclass(frozen=True)
class IterationLimit:
    """What one key view needs.

    Attributes:
        maxiter: enough iterations for it; 0 when nothing escaped from it, which says nothing.
        resolved: False when samples still escaped where it was given up, or none ever
            did: what is black may be so for lack of iterations.
        reason: why it was given up, in words for people; "" when it was not.
    """

    maxiter: int
    resolved: bool
    reason: str = ""


@dataclass(frozen=True)
class Scale:
    """What is known of a view before its samples are iterated.

    Attributes:
        period: the first n with |z_n| < 2 R |dz_n/dc| of its centre (plan/growth.py); 0 where it is not known.
        ease: how many iterations cost as much as one of direct iteration: deep down most are skipped in blocks.
        longest: the most iterations that its reference orbit serves.
    """

    period: int = 0
    ease: float = 1.0
    longest: int = _LARGEST

    @classmethod
    def of(cls, period: int, octaves: float, longest: int | None) -> Scale:
        """That of a perturbed view.

        Args:
            period: as above.
            octaves: -log2 of its delta.
            longest: as above; None if it serves any number.
        """
        return cls(period, max(_SHALLOW, min(period / 1_000, octaves / _OCTAVES)), longest or _LARGEST)


def _rounded_up(value: float) -> int:
    """``value`` rounded up to two digits: small differences between views disappear."""
    value = math.ceil(value)
    unit = 10 ** max(len(str(value)) - 2, 0)
    return -(-value // unit) * unit


def _scattered(size: int) -> np.ndarray:
    """0 to size - 1 in an order whose beginnings are spread over all of it."""
    return np.argsort(
        np.arange(size, dtype=np.uint64) * np.uint64(2_654_435_769) % np.uint64(2**32), kind="stable"
    )


NO_INDEX = np.zeros(0, int)


def judge_limit(
    counts: Callable[[int, np.ndarray], np.ndarray],
    size: int,
    scale: Scale = Scale(),
    first: int = FIRST_LIMIT,
    ceiling: int = CEILING,
    middle: np.ndarray = NO_INDEX,
) -> IterationLimit:
    """The limit for a view whose counts can be had at any limit.

    Limits grow fourfold. Only samples that have not escaped are iterated again, and of them no more than
    250 million iterations pay for, but at least 64 and the middle ones; each then stands for several. The climb
    ends after a fourfold that lets less than 0.2 % of the view escape; where iterating a frame to that limit takes
    more than 100,000 iterations a sample, on average, so many times more must escape for it to be given.

    Args:
        counts: limit, indices -> counts of these samples; limit + 1 for those that did not escape.
        size: how many samples there are.
        first: the least limit worth giving.
        ceiling: the largest limit tried where no period asks for more.
        middle: the samples around the point that the zoom ends at, however small what escapes there is.
    """
    most = min(max(ceiling, _PERIODS * scale.period), scale.longest, _LARGEST)
    silent = min(max(ceiling, _SILENT_PERIODS * scale.period), most)
    limit = min(max(first, scale.period), most)
    others = _scattered(size)
    left = [np.asarray(middle), others[~np.isin(others, middle)]]
    weight = (
        1 / size
    )  # the share of the view that each of the others stands for; each of the middle has its own
    found, shares, centred = np.zeros(0, np.int64), np.zeros(0), False
    while True:
        higher = min(limit * _GROWTH, most)
        ease = (
            max(scale.ease, 1.0) if len(found) else scale.ease
        )  # to learn that nothing escapes, fewer will do
        affordable = max(int(_BUDGET * ease / higher), _LEAST_SAMPLES)
        if affordable < len(left[1]):
            left[1], weight = left[1][:affordable], weight * len(left[1]) / affordable
        each = np.repeat((1 / size, weight), [len(part) for part in left])
        new = counts(higher, np.concatenate(left))
        gone = new <= higher
        found, shares = np.append(found, new[gone]), np.append(shares, each[gone])
        centred = centred or bool(gone[: len(left[0])].any())
        left = [part[kept] for part, kept in zip(left, np.split(~gone, [len(left[0])]), strict=True)]
        inside, late = each[~gone].sum(), shares[found > limit].sum()
        price = inside * higher / (_EASY * scale.ease)
        # Where the first samples escape the limit goes beyond them, be they few but in the middle.
        begun = (found <= limit).any() or (price > 1 and not centred)
        if inside == 0 or (begun and len(found) > 0 and late <= _CHANGED * max(price, 1)):
            break
        if higher >= (most if len(found) else silent):
            break
        limit = higher
    if not len(found):
        return IterationLimit(0, False, f"nothing escapes within {higher} iterations")
    if inside == 0 or (late <= _CHANGED and (found <= limit).any()):
        dear = inside * limit > _EASY * scale.ease
        enough = limit if dear else max(_HEADROOM * _percentile(found, shares), limit)
        return IterationLimit(min(_rounded_up(enough), max(most, first)), True)
    many = f"{late:.1%} of the view escape between {limit} and {higher} iterations"
    if higher >= most and late > _CHANGED * max(price, 1):
        return IterationLimit(most, False, f"{many}, the most tried")
    if higher <= _GROWTH * scale.period:  # so few periods are worth their price
        return IterationLimit(higher, False, f"{many}, and more would for what costs too much")
    return IterationLimit(
        limit if (found <= limit).any() else 0, False, f"{many}, too few for what they cost"
    )


def _percentile(values: np.ndarray, shares: np.ndarray) -> float:
    order = np.argsort(values, kind="stable")
    sums = np.cumsum(shares[order])
    return float(values[order][np.searchsorted(sums, sums[-1] * _PERCENTILE / 100 * (1 - 1e-12))])


@dataclass(frozen=True)
class Schedule:
    """Limits along a zoom, by depth.

    Attributes:
        depths: -log2(delta) of the key views that say something, ascending.
        limits: their limits, ascending.
    """

    depths: tuple[float, ...]
    limits: tuple[int, ...]

    @classmethod
    def of(cls, deltas: list[str], limits: list[int]) -> Schedule:
        """The schedule through key views in any order; no limit below a shallower view's.

        Views of limit 0, from which nothing escapes, are left out: what lies around them decides.
        """
        pairs = sorted(
            (-log2_of(Decimal(d)), limit) for d, limit in zip(deltas, limits, strict=True) if limit
        )
        depths, found = zip(*pairs, strict=True) if pairs else ((0.0,), (FIRST_LIMIT,))
        return cls(depths, tuple(np.maximum.accumulate(found).tolist()))

    def limit(self, delta: str) -> int:
        """maxiter for the frame at ``delta``: that of the next deeper key view, or of the deepest."""
        at = bisect_left(self.depths, -log2_of(Decimal(delta)) - 1e-6)
        return self.limits[min(at, len(self.limits) - 1)]


def key_deltas(start_delta: str, end_delta: str, octaves: float = KEY_OCTAVES) -> list[str]:
    """Deltas of the key views of a zoom, descending: both ends, and at most ``octaves`` between neighbours."""
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

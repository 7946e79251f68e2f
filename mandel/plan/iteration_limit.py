"""maxiter "auto": finds the iteration limit of a view, and of each frame of a zoom.

A limit that is too low paints exterior samples black, and only the counts show
how high is enough. So some views of the zoom, the *key views*, are rendered
small, at limits that grow fourfold, until the next fourfold costs more than it
gains. Limits follow from the payload alone and never fall while zooming in. So
nothing flickers, and zooming out shows the same pictures as zooming in.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np

from mandel.colour.curve import quantiles_of
from mandel.plan.arithmetic import log2_of
from mandel.plan.view import View

# The lowest limit. A zoom from which nothing escapes, so that no limit can be found, gets it too.
FIRST_LIMIT = 1_000
# The search goes up to CEILING iterations or _PERIODS times the view's period, whichever is more.
CEILING = 16_000_000
_PERIODS = 1_000
# The same where nothing has escaped so far: if anything does, the first samples escape within some periods.
_SILENT_PERIODS = 16
# The largest limit of all: kernels count in int32.
_LARGEST = 2_000_000_000
KEY_OCTAVES = 4
_GROWTH = 4
# The search ends after a fourfold that lets less than this share of the view escape. The share cannot be
# much smaller: along the edges of minibrots each fourfold lets about half as many samples escape as the one
# before, without end, and makes interior samples four times as expensive. With 1e-4, views with a minibrot
# ended at 16 million.
_CHANGED = 2e-3
# Iterations a sample, on average over a frame, that cost little. A limit that takes more must gain more than _CHANGED.
_EASY = 100_000
# Iterations that one step of the search may take for all samples, but _LEAST_SAMPLES samples are always iterated.
_BUDGET, _LEAST_SAMPLES = 250_000_000, 64
# Deeper than this many octaves, perturbed samples skip iterations in blocks. Measured: the cost of an iteration
# falls at least like 1 / depth, as far as the period allows (``Scale.of``).
_OCTAVES = 32
# Perturbed iterations of shallower views that cost as much as one direct iteration.
_SHALLOW = 0.25
# A reference orbit that neither escapes, returns nor repeats is given up here; it takes 54 to 88 bytes a step.
REFERENCE_STEPS = 32_000_000
# Headroom over the counts of the small picture: frames have more samples, and some with higher counts.
_PERCENTILE, _HEADROOM = 99.0, 2
_SAMPLES = 10_000


def small(view: View, samples: int = _SAMPLES) -> View:
    """``view`` with about so many samples."""
    ratio = (view.width / view.height) ** 0.5
    side = samples**0.5
    return replace(view, width=max(round(side * ratio), 1), height=max(round(side / ratio), 1))


@dataclass(frozen=True)
class IterationLimit:
    """The iteration limit of one key view.

    Attributes:
        maxiter: the limit; 0 when nothing escaped from the view, so that no limit could be found.
        resolved: False when the search was given up while samples still escaped, or when none
            ever did. Black samples may then lie outside the set.
        reason: why the search was given up, in words for people; "" when it was not.
        counts: quantiles of the smooth counts of the view's samples (``colour.curve.quantiles_of``); () when
            nothing escaped. Limits are equal whatever these are.
    """

    maxiter: int
    resolved: bool
    reason: str = ""
    counts: tuple[float, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Scale:
    """Facts about a view that are known before its samples are iterated.

    Attributes:
        period: the first n with |z_n| < 2 R |dz_n/dc| at the view's centre (plan/growth.py); 0 if not known.
        ease: how many iterations cost as much as one direct iteration. Deep views skip most of them in blocks.
        longest: the most iterations that the view's reference orbit serves.
    """

    period: int = 0
    ease: float = 1.0
    longest: int = _LARGEST

    @classmethod
    def of(cls, period: int, octaves: float, longest: int | None) -> Scale:
        """The scale of a perturbed view.

        Args:
            period: as above.
            octaves: -log2 of its delta.
            longest: as above; None if it serves any number.
        """
        return cls(period, max(_SHALLOW, min(period / 1_000, octaves / _OCTAVES)), longest or _LARGEST)


def _rounded_up(value: float) -> int:
    """``value`` rounded up to two digits, so that small differences between views disappear."""
    value = math.ceil(value)
    unit = 10 ** max(len(str(value)) - 2, 0)
    return -(-value // unit) * unit


def _scattered(size: int) -> np.ndarray:
    """The numbers 0 to size - 1, ordered so that the first k of them are spread evenly, for any k."""
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
    """Searches for the iteration limit of a view, by iterating its samples to rising limits.

    Limits grow fourfold. Only samples that have not escaped are iterated again. If those would take more than
    250 million iterations, only some of them are iterated: at least 64, and always the middle ones. Each then
    stands for several. The search ends when a fourfold lets less than 0.2 % of the view escape. If iterating a
    frame to the new limit takes q times 100,000 iterations a sample, q > 1, it must let q times 0.2 % escape.

    Args:
        counts: function of a limit and sample indices (int array): the counts of these samples, limit + 1 for
            samples that did not escape.
        size: number of samples in the view.
        scale: period and cost of the view.
        first: the lowest limit to give.
        ceiling: the highest limit to try, unless the period asks for more.
        middle: indices of the samples around the point that the zoom goes to. They count one by one.
    """
    most = min(max(ceiling, _PERIODS * scale.period), scale.longest, _LARGEST)
    silent = min(max(ceiling, _SILENT_PERIODS * scale.period), most)
    limit = min(max(first, scale.period), most)
    others = _scattered(size)
    left = [np.asarray(middle), others[~np.isin(others, middle)]]
    weight = 1 / size  # the share of the view that each of the other samples stands for
    found, shares, centred = np.zeros(0, np.int64), np.zeros(0), False
    while True:
        higher = min(limit * _GROWTH, most)
        # While nothing has escaped, fewer samples are enough.
        ease = max(scale.ease, 1.0) if len(found) else scale.ease
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
        # The limit must exceed the counts of the first samples that escape, even of a few in the middle.
        begun = (found <= limit).any() or (price > 1 and not centred)
        if inside == 0 or (begun and len(found) > 0 and late <= _CHANGED * max(price, 1)):
            break
        if higher >= (most if len(found) else silent):
            break
        limit = higher
    if not len(found):
        return IterationLimit(0, False, f"nothing escapes within {higher:,} iterations")
    told = quantiles_of(found, shares)
    if inside == 0 or (late <= _CHANGED and (found <= limit).any()):
        dear = inside * limit > _EASY * scale.ease
        enough = limit if dear else max(_HEADROOM * _percentile(found, shares), limit)
        return IterationLimit(min(_rounded_up(enough), max(most, first)), True, counts=told)
    many = f"{100 * late:.1f} % of the view escape between {limit:,} and {higher:,} iterations"
    if higher >= most and late > _CHANGED * max(price, 1):
        return IterationLimit(most, False, f"{many}, the most tried", told)
    if higher <= _GROWTH * scale.period:  # a few periods are always affordable
        return IterationLimit(higher, False, f"{many}, and more would for what costs too much", told)
    return IterationLimit(
        limit if (found <= limit).any() else 0, False, f"{many}, too few for what they cost", told
    )


def judge_counts(counts: Callable[[int, np.ndarray], np.ndarray], size: int, limit: int) -> IterationLimit:
    """What a view tells whose iteration limit is given: the quantiles of its counts.

    All of its samples are iterated, or what 250 million iterations suffice for, but at least 64.

    Args:
        counts, size: as for ``judge_limit``.
    """
    chosen = _scattered(size)[: max(_BUDGET // limit, _LEAST_SAMPLES)]
    found = counts(limit, chosen)
    found = found[found <= limit]
    return IterationLimit(limit, True, counts=quantiles_of(found, np.ones(len(found))))


def _percentile(values: np.ndarray, shares: np.ndarray) -> float:
    order = np.argsort(values, kind="stable")
    sums = np.cumsum(shares[order])
    return float(values[order][np.searchsorted(sums, sums[-1] * _PERCENTILE / 100 * (1 - 1e-12))])


@dataclass(frozen=True)
class Schedule:
    """Limits along a zoom, by depth.

    Attributes:
        depths: -log2(delta) of the key views that have a limit, ascending.
        limits: their limits, ascending.
    """

    depths: tuple[float, ...]
    limits: tuple[int, ...]

    @classmethod
    def of(cls, deltas: list[str], limits: list[int]) -> Schedule:
        """The schedule through key views in any order. No limit is lower than that of a shallower view.

        Views from which nothing escapes (limit 0) are left out; their neighbours decide.
        """
        pairs = sorted(
            (-log2_of(Decimal(d)), limit) for d, limit in zip(deltas, limits, strict=True) if limit
        )
        depths, found = zip(*pairs, strict=True) if pairs else ((0.0,), (FIRST_LIMIT,))
        return cls(depths, tuple(np.maximum.accumulate(found).tolist()))

    def limit(self, delta: str) -> int:
        """maxiter of the frame at ``delta``: the limit of the next deeper key view, or else of the deepest."""
        at = bisect_left(self.depths, -log2_of(Decimal(delta)) - 1e-6)
        return self.limits[min(at, len(self.limits) - 1)]


def key_deltas(start_delta: str, end_delta: str, octaves: float = KEY_OCTAVES) -> list[str]:
    """Deltas of the key views of a zoom, descending: both ends, and views at most ``octaves`` apart between them."""
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

import itertools
from decimal import Decimal

import numpy as np
import pytest

from mandel.plan.iteration_limit import FIRST_LIMIT, IterationLimit, Scale, Schedule, judge_limit, key_deltas


class Counted:
    """Samples that escape at given counts; remembers the limits it was asked for, and the iterations spent."""

    def __init__(self, counts):
        self.counts, self.limits, self.spent, self.asked = np.asarray(counts, float), [], 0, []

    def __call__(self, limit, chosen):
        self.limits.append(limit)
        self.asked.append(len(chosen))
        assert len(set(chosen)) == len(chosen)
        found = np.minimum(self.counts[chosen], limit + 1)
        self.spent += int(found.sum())
        return found.astype(np.int64)

    def settle(self, *args, **more):
        return judge_limit(self, len(self.counts), *args, **more)


def test_all_escape_early():
    view = Counted(np.full(1_000, 40))
    assert view.settle() == IterationLimit(1_000, True)
    assert view.limits == [4_000]


def test_a_view_that_needs_many_iterations_is_not_black():
    counts = np.linspace(170_000, 194_000, 10_000)
    limit = Counted(counts).settle()
    assert limit.resolved and counts.max() < limit.maxiter < 4 * counts.max()


def test_a_minibrot_does_not_raise_the_limit():
    counts = np.concatenate((np.full(5_000, np.inf), np.linspace(2_000, 2_500, 5_000)))
    limit = Counted(counts).settle()
    assert limit.resolved and 2_500 < limit.maxiter <= 16_000


def test_two_in_a_thousand_may_be_left():
    counts = np.concatenate((np.full(9_999, 500), [10**6]))
    assert Counted(counts).settle().maxiter < 10_000
    counts = np.concatenate((np.full(9_900, 500), np.geomspace(500, 10**5, 100)))
    assert np.count_nonzero(counts > Counted(counts).settle().maxiter) <= 20


def test_nothing_escapes():
    view = Counted(np.full(100, np.inf))
    limit = view.settle(ceiling=100_000)
    assert (limit.maxiter, limit.resolved) == (0, False) and "nothing escapes within 100,000" in limit.reason
    assert view.limits[-1] == 100_000
    assert not Counted(np.full(100, np.inf)).settle(first=500, ceiling=500).resolved


def test_only_what_has_not_escaped_is_iterated_again():
    view = Counted(np.repeat((2_000.0, 5_000, 20_000, 70_000), 250))
    assert view.settle().maxiter > 70_000
    assert view.asked == sorted(view.asked, reverse=True) and view.asked[:3] == [1_000, 750, 500]


@pytest.mark.parametrize(
    "counts",
    [
        np.full(10_000, np.inf),
        np.append(np.full(9_990, np.inf), np.full(10, 50)),
        np.append(np.geomspace(1_000, 1e9, 9_000), np.full(1_000, np.inf)),
        np.geomspace(10**6, 1e9, 10_000),
    ],
    ids=["interior", "nearly", "without end", "late"],
)
def test_the_work_for_a_view_is_bounded(counts):
    view = Counted(counts)
    view.settle()
    assert (
        view.spent < 3e9
        and max(a * b for a, b in zip(view.asked, view.limits, strict=True)) <= 64 * 16_000_000
    )


def test_dear_iterations_must_gain_more():
    """A tenth inside, and at every fourfold 1.2 % more of the view escape."""
    rng = np.random.default_rng(3)
    late = 1_000 * 4.0 ** rng.uniform(0, 7, 840)
    counts = np.concatenate((np.full(8_160, 300), late, np.full(1_000, np.inf)))
    limit = Counted(counts).settle()
    assert not limit.resolved and "too few for what they cost" in limit.reason
    assert 256_000 <= limit.maxiter <= 4_096_000
    deep = Counted(counts).settle(Scale(period=10**5, ease=100.0))
    assert deep.maxiter > limit.maxiter  # where iterations are skipped they cost less
    shallow = Counted(counts).settle(Scale(ease=0.25))
    assert 64_000 <= shallow.maxiter < limit.maxiter


def test_what_escapes_around_the_middle_alone_is_shown():
    """Of a sliver one sample wide none of those looked at need be part: but it is where the zoom goes."""
    counts = np.full(10_000, np.inf)
    middle = np.arange(5_000, 5_016)
    counts[middle[5]] = 700_000
    assert Counted(counts).settle(middle=middle).maxiter > 700_000
    assert Counted(counts).settle().maxiter == 0


def test_a_period_takes_the_limit_beyond_the_ceiling():
    period = 16_125_356
    counts = np.append(period * np.geomspace(1.1, 40, 9_000), np.full(1_000, np.inf))
    limit = Counted(counts).settle(Scale.of(period, 350, None))
    assert limit.resolved and 40 * period < limit.maxiter <= 2_000_000_000
    without = Counted(counts).settle(Scale.of(0, 350, None))
    assert not without.resolved and without.maxiter == 0
    dear = Counted(np.where(np.arange(10_000) % 25, np.inf, 3 * period)).settle(Scale.of(period, 350, None))
    assert not dear.resolved and dear.maxiter == 4 * period  # some escape in the first periods
    short = Counted(counts).settle(Scale.of(period, 350, 2 * period))
    assert not short.resolved and short.maxiter <= 2 * period  # no orbit serves more


def test_key_views_span_the_zoom():
    keys = [Decimal(delta) for delta in key_deltas("2.5", "1e-300", 16)]
    assert keys[0] == Decimal("2.5") and keys[-1] == Decimal("1e-300")
    ratios = [float(a / b) for a, b in itertools.pairwise(keys)]
    assert max(ratios) <= 2**16 * 1.001 and max(ratios) / min(ratios) == pytest.approx(1, rel=1e-6)
    assert key_deltas("1e-300", "2.5", 16) == key_deltas("2.5", "1e-300", 16)
    assert key_deltas("0.5", "0.5") == ["0.5"]


def test_limits_never_fall_while_zooming_in():
    keys = ["2", "1e-3", "1e-6", "1e-1000"]
    schedule = Schedule.of(keys, [1_000, 9_000, 3_000, 20_000])
    deltas = ["2", "1.9", "1e-3", "9e-4", "1e-6", "1e-7", "1e-1000"]
    assert [schedule.limit(delta) for delta in deltas] == [1_000, 9_000, 9_000, 9_000, 9_000, 20_000, 20_000]
    assert Schedule.of(keys[::-1], [20_000, 3_000, 9_000, 1_000]) == schedule


def test_a_view_from_which_nothing_escapes_says_nothing():
    keys = ["2", "1e-3", "1e-6", "1e-9"]
    schedule = Schedule.of(keys, [1_000, 0, 3_000, 0])
    deltas = ["2", "0.1", "1e-3", "1e-6", "1e-7", "1e-9"]
    assert [schedule.limit(delta) for delta in deltas] == [1_000, 3_000, 3_000, 3_000, 3_000, 3_000]
    assert Schedule.of(keys, [0, 0, 0, 0]).limit("1e-5") == FIRST_LIMIT

from decimal import Decimal

import numpy as np
import pytest

from mandel.plan.autoiter import Limit, Schedule, key_deltas, settle


class Counted:
    """Samples that escape at given counts; remembers the limits it was asked for."""

    def __init__(self, counts):
        self.counts, self.limits = np.asarray(counts, float), []

    def __call__(self, limit):
        self.limits.append(limit)
        return np.minimum(self.counts, limit + 1).astype(np.int64)


def test_all_escape_early():
    view = Counted(np.full(1_000, 40))
    assert settle(view) == Limit(1_000, True)
    assert view.limits == [4_000]


def test_a_view_that_needs_many_iterations_is_not_black():
    counts = np.linspace(170_000, 194_000, 10_000)
    limit = settle(Counted(counts))
    assert limit.resolved and counts.max() < limit.maxiter < 4 * counts.max()


def test_a_minibrot_does_not_raise_the_limit():
    counts = np.concatenate((np.full(5_000, np.inf), np.linspace(2_000, 2_500, 5_000)))
    limit = settle(Counted(counts))
    assert limit.resolved and 2_500 < limit.maxiter <= 16_000


def test_two_in_a_thousand_may_be_left():
    counts = np.concatenate((np.full(9_999, 500), [10**6]))
    assert settle(Counted(counts)).maxiter < 10_000
    counts = np.concatenate((np.full(9_900, 500), np.geomspace(500, 10**5, 100)))
    assert np.count_nonzero(counts > settle(Counted(counts)).maxiter) <= 20


def test_nothing_escapes():
    view = Counted(np.full(100, np.inf))
    assert settle(view, ceiling=100_000).maxiter == 100_000
    assert view.limits[-1] == 100_000
    assert not settle(view, first=500, ceiling=500).resolved


def test_key_views_span_the_zoom():
    keys = [Decimal(delta) for delta in key_deltas("2.5", "1e-300", 16)]
    assert keys[0] == Decimal("2.5") and keys[-1] == Decimal("1e-300")
    ratios = [float(a / b) for a, b in zip(keys, keys[1:], strict=False)]
    assert max(ratios) <= 2**16 * 1.001 and max(ratios) / min(ratios) == pytest.approx(1, rel=1e-6)
    assert key_deltas("1e-300", "2.5", 16) == key_deltas("2.5", "1e-300", 16)
    assert key_deltas("0.5", "0.5") == ["0.5"]


def test_limits_never_fall_while_zooming_in():
    keys = ["2", "1e-3", "1e-6", "1e-1000"]
    schedule = Schedule.of(keys, [1_000, 9_000, 3_000, 20_000])
    deltas = ["2", "1.9", "1e-3", "9e-4", "1e-6", "1e-7", "1e-1000"]
    assert [schedule.limit(delta) for delta in deltas] == [1_000, 9_000, 9_000, 9_000, 9_000, 20_000, 20_000]
    assert Schedule.of(keys[::-1], [20_000, 3_000, 9_000, 1_000]) == schedule

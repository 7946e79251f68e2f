"""The mapping "even": a curve that rises, along which no key view is flat and none turns often."""

import itertools

import numpy as np
import pytest

from mandel.colour.curve import TURNS, even_curve, quantiles_of, with_guesses
from mandel.colour.mappings import QUANTILES


def along(curve, mu):
    bases, values, slopes = np.array(curve).T
    at = np.searchsorted(bases, np.floor(mu), side="right") - 1
    return values[at] + slopes[at] * (np.asarray(mu) - bases[at])


def views(kind):
    share = np.linspace(0, 1, QUANTILES)
    if kind == "self-similar":  # each octave adds the same few counts
        return [tuple(20 + 2.5 * k + 9 * share**2) for k in range(80)]
    if kind == "long tails":
        return [tuple(50 * 1.3**k * (1 + 0.2 * share / (1.05 - share))) for k in range(30)]
    if kind == "far down":
        return [tuple(60_000 + 400 * k + 700 * share**3) for k in range(60)]
    if (
        kind == "crowded"
    ):  # the middle half of each second view lies in the tail of the one before, in a few counts
        wide = [np.interp(share, (0, 0.9, 1), (100 * k, 100 * k + 20, 100 * k + 300)) for k in range(1, 20)]
        narrow = [np.interp(share, (0, 0.2, 0.8, 1), (90, 150, 154, 180)) + 100 * k for k in range(1, 20)]
        return [tuple(view) for pair in zip(wide, narrow, strict=True) for view in pair]
    return [tuple(1 + 40 * share**2)]


KINDS = ["self-similar", "long tails", "far down", "crowded", "one"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_view_is_flat_and_none_turns_often(kind):
    made = even_curve(views(kind))
    parts = [np.diff(along(made, np.quantile(view, (0.05, 0.25, 0.5, 0.75, 0.95)))) for view in views(kind)]
    spans = np.sum(parts, axis=1)
    assert min(spans) > 0.3 and max(spans) < 3 and np.median(spans) > 0.6 * TURNS
    assert (
        np.min(parts, axis=0) > 0.9 * 0.3 * np.array([2, 2.5, 2.5, 2]) / 9
    ).all()  # each part of every view
    assert len(made) <= 512


def test_a_deeper_view_leaves_the_colours_of_lower_counts():
    some = views("self-similar")
    shallow, deep = even_curve(some[:40]), even_curve(some)
    below = np.linspace(0, some[40][0] - 1, 500)
    assert np.abs(along(shallow, below) - along(deep, below)).max() < 0.01  # knots lie elsewhere
    assert along(deep, some[-1][-1]) > along(shallow, some[-1][-1]) + 3


@pytest.mark.parametrize("kind", KINDS)
def test_the_curve_rises_without_a_step_up_to_the_greatest_counts(kind):
    made = even_curve(views(kind))
    assert made[0].base == 0 and made[-1].base > 2**29
    for knot, after in itertools.pairwise(made):
        assert after.base > knot.base and knot.slope > 0
        assert abs(knot.value + knot.slope * (after.base - knot.base) - after.value) < 1e-4
    # Rare counts far beyond those of the key views do not turn to noise.
    assert made[-1].value - along(made, max(map(max, views(kind)))) < 3


def test_views_without_counts_are_passed_over():
    some = views("long tails")
    assert even_curve([(), *some, ()]) == even_curve(some)
    assert even_curve([()])[0].slope > 0


def test_a_flat_view_harms_no_other():
    some = views("long tails")
    flat = tuple([some[3][9]] * QUANTILES)
    made = even_curve([*some, flat])
    spans = [np.diff(along(made, np.quantile(view, (0.05, 0.95))))[0] for view in some]
    assert min(spans) > 0.3 and max(spans) < 3


def test_quantiles_of_counts_are_those_of_smooth_counts():
    """A count n at bailout 2 stands for smooth counts from n + 0.53 to n + 1.53."""
    found = quantiles_of(np.array([7, 7, 9, 7]), np.ones(4))
    assert len(found) == QUANTILES and found[0] == 7.53 and found[-1] == 10.53
    assert found[QUANTILES // 2] == pytest.approx(7.53 + 2 / 3, abs=0.01)
    assert found[3 * QUANTILES // 4 + 1] > 9.5
    assert quantiles_of(np.array([7, 9]), np.array([3.0, 1.0])) == found
    assert quantiles_of(np.zeros(0, int), np.zeros(0)) == ()


def test_what_lies_between_views_far_apart_is_guessed():
    share = np.linspace(0, 1, QUANTILES)
    views = [tuple(20 + 100 * octave + 300 * share**2) for octave in range(0, 401, 4)]
    ladder = [(4.0 * k, view) for k, view in enumerate(views) if k % 4 == 0]
    ladder.insert(3, (40.0, ()))  # nothing escaped there
    told = with_guesses(ladder, 4)
    assert [depth for depth, _ in told] == [4.0 * k for k in range(len(views))]
    curve = even_curve([view for _, view in told])
    spans = [np.diff(along(curve, np.quantile(view, (0.05, 0.95))))[0] for view in views]
    assert min(spans) > 0.3 and max(spans) < 3
    assert with_guesses([(4.0, views[1]), (6.0, ()), (8.0, views[2])], 4) == [
        (4.0, views[1]),
        (8.0, views[2]),
    ]
    assert with_guesses([(0.0, ())], 4) == []

"""The mapping "even": a curve that rises, along which no key view is flat and none turns often."""

import itertools

import numpy as np
import pytest

from mandel.colour.curve import MOST_VIEWS, TURNS, chosen_views, even_curve, quantiles_of, with_guesses
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


def test_of_many_key_views_some_are_chosen_and_the_others_are_guessed_between_them():
    assert chosen_views(1) == [0] and chosen_views(MOST_VIEWS) == list(range(MOST_VIEWS))
    count = 4 * MOST_VIEWS
    chosen = chosen_views(count)
    assert len(chosen) == MOST_VIEWS and chosen[0] == 0 and chosen[-1] == count - 1
    share = np.linspace(0, 1, QUANTILES)
    views = [tuple(20 + 100 * key + 300 * share**2) for key in range(count)]
    told = [views[key] for key in chosen]
    told[7] = ()  # nothing escaped there
    curve = even_curve(with_guesses(told, [0] * count))
    spans = [np.diff(along(curve, np.quantile(view, (0.05, 0.95))))[0] for view in views]
    assert min(spans) > 0.3 and max(spans) < 3
    assert with_guesses([()] * MOST_VIEWS, [0] * count) == [()] * MOST_VIEWS
    few = [views[0], (), views[2]]
    assert with_guesses(few, [0] * 3) == few


def test_nothing_is_guessed_between_two_points_of_a_path():
    count = 3 * MOST_VIEWS
    reference_points = [0] * (count // 2) + [1] * (count - count // 2)
    told = [(10.0, 20.0) if reference_points[key] == 0 else (1e6, 2e6) for key in chosen_views(count)]
    found = with_guesses(told, reference_points)
    assert len(found) > MOST_VIEWS and {tuple(view) for view in found} == {(10.0, 20.0), (1e6, 2e6)}

"""Which key views a job has, and what follows from their limits; nothing is rendered."""

import itertools
import json
from decimal import Decimal

import pytest

from mandel.colour.curve import MOST_VIEWS
from mandel.driver.recipes.choose import recipe_of
from mandel.driver.recipes.iteration_limits import IterationLimits
from mandel.driver.recipes.recipe import FRAME, LIMIT, REFERENCE, STRIP, WorkItem
from mandel.payload.payload import parse
from mandel.plan.arithmetic import log2_of
from mandel.plan.iteration_limit import FIRST_LIMIT, REFERENCE_STEPS, IterationLimit
from mandel.plan.zoom import Zoom
from mandel.protocol.strict_json import loads

SILENT = IterationLimit(0, False, "nothing escapes")


def payload(**fields):
    known = {
        "frame_width": 64,
        "frame_height": 36,
        "num_frames": 300,
        "start_delta": "2",
        "end_delta": "1e-9",
        "mapping": "root",
    }
    return parse(loads(json.dumps({**known, **fields}).encode()))


def learned(values, **fields):
    limits = IterationLimits(payload(**fields))
    for key, value in enumerate(values):
        limits.learn(key, value)
    return limits


def deltas(limits, end):
    return [limits.unit(item.index).view.delta for item in limits.needs(end)]


def test_key_views_lie_four_octaves_apart():
    limits = IterationLimits(payload())
    depths = [-log2_of(Decimal(delta)) for delta in deltas(limits, "1e-9")]
    assert depths[0] == -1 and depths == sorted(depths) and len(depths) == 9
    assert max(b - a for a, b in itertools.pairwise(depths)) <= 4
    assert limits.needs("2") == (WorkItem(LIMIT, 0),) and len(limits.needs("1.99")) == 2


@pytest.mark.parametrize("easing", ["0", "0.7"])
def test_where_frames_are_fewer_these_are_the_key_views(easing):
    ends = {"num_frames": 5, "easing": easing}
    inwards = payload(**ends)
    frames = [Zoom.of(inwards).delta(frame) for frame in range(5)]
    assert deltas(IterationLimits(inwards), "1e-9") == frames
    assert deltas(IterationLimits(payload(start_delta="1e-9", end_delta="2", **ends)), "1e-9") == frames
    assert (
        len(deltas(IterationLimits(payload(sampling="shared", **ends)), "1e-9")) == 9
    )  # strips lie between frames too


def test_a_view_that_is_silent_or_given_up_changes_nothing_around_it():
    values = [
        IterationLimit(1_000, True),
        SILENT,
        IterationLimit(5_000, True),
        IterationLimit(70_000, False, "too few"),
        IterationLimit(2_000, True),
        *[SILENT] * 4,
    ]
    limits = learned(values)
    keys = deltas(limits, "1e-9")
    assert [limits.of(key) for key in keys] == [1_000, 1_000, 5_000] + [70_000] * 6
    assert limits.of("1.5") == 1_000 and limits.of("0.01") == 5_000
    assert limits.given_up() == [(keys[k], values[k]) for k in (1, 3, 5, 6, 7, 8)]


def test_what_lies_above_never_pays_for_what_lies_below():
    limits = learned(
        [IterationLimit(1_000, True)] * 8 + [IterationLimit(16_000_000, False, "the most tried")]
    )
    keys = deltas(limits, "1e-9")
    assert {limits.of(key) for key in keys[:8]} == {1_000} and limits.of(keys[8]) == 16_000_000


def test_where_nobody_says_anything_there_is_a_default():
    limits = learned([SILENT] * 9)
    assert {limits.of(key) for key in deltas(limits, "1e-9")} == {FIRST_LIMIT}


def test_a_frame_asks_only_for_key_views_that_it_needs():
    """A frame right above a silent view learns from what lies above; nothing deeper is waited for."""
    limits = IterationLimits(payload())
    limits.learn(0, IterationLimit(3_000, True))
    limits.learn(1, SILENT)
    assert limits.needs("1.5") == (WorkItem(LIMIT, 0), WorkItem(LIMIT, 1)) and limits.of("1.5") == 3_000


@pytest.mark.parametrize("sampling", ["exact", "shared"])
def test_one_orbit_serves_any_limit_that_is_found(sampling):
    recipe = recipe_of(payload(end_delta="1e-30", sampling=sampling))
    unit = recipe.unit(WorkItem(REFERENCE, 0))
    assert (unit.limit, unit.radius, unit.gives_up) == (
        REFERENCE_STEPS,
        "1E-30",
        True,
    ) and unit.bits >= 99 + 64 + 6
    given = recipe_of(payload(end_delta="1e-30", sampling=sampling, maxiter=700)).unit(WorkItem(REFERENCE, 0))
    assert (given.limit, float(given.radius), given.gives_up) == (
        700,
        1e-30,
        False,
    )  # that limit is to be served


def test_a_given_limit_needs_no_view():
    limits = IterationLimits(payload(maxiter=700))
    assert limits.needs("1e-9") == () and limits.of("1e-9") == 700 and limits.given_up() == []
    assert recipe_of(payload(maxiter=700, end_delta="1e-3")).needs(WorkItem(FRAME, 0)) == ()


@pytest.mark.parametrize("sampling", ["exact", "shared"])
@pytest.mark.parametrize("maxiter", ["auto", 700])
def test_an_even_mapping_needs_all_key_views_and_changes_no_limit(sampling, maxiter):
    """Every frame is coloured by the whole zoom's curve; strips serve both mappings, as their limits are the same."""
    even, root = (
        recipe_of(payload(mapping=name, sampling=sampling, maxiter=maxiter)) for name in ("even", "root")
    )
    keys = [WorkItem(LIMIT, key) for key in range(9)]
    first = even.limits.needs("2")
    assert list(first) == keys == list(even.limits.curve_needs()) and not root.limits.curve_needs()
    for key in keys:
        counts = tuple(10.0 * (key.index + 1) + k for k in range(33))
        for recipe in (even, root):
            recipe.learn(key, IterationLimit(1000 * (key.index + 1), True, counts=counts))
    for delta in ("2", "1e-4", "1e-9"):
        assert even.limits.of(delta) == root.limits.of(delta)
    assert even.limits.unit(0).given == (None if maxiter == "auto" else maxiter)
    assert len(even.limits.curve()) > 9 and root.limits.curve() == ()
    item = WorkItem(FRAME if sampling == "exact" else STRIP, 0)
    assert even.unit(item).style.curve == even.limits.curve() and root.unit(item).style.curve == ()


def test_few_frames_have_the_colours_of_many():
    """A preview of a zoom, exact or shared, is coloured like the zoom."""
    asked = [("exact", 3), ("exact", 300), ("shared", 3), ("shared", 300)]
    found = [IterationLimits(payload(mapping="even", sampling=how, num_frames=n)) for how, n in asked]
    first = [limits.unit(item.index) for limits in found[:1] for item in limits.curve_needs()]
    assert len(first) == 9
    for limits in found[1:]:
        assert [limits.unit(item.index) for item in limits.curve_needs()] == first


def test_a_curve_of_a_deep_zoom_needs_a_bounded_number_of_key_views():
    """Its frames need them before the first is shown; limits wait for those of shallower views alone."""
    for maxiter in ("auto", 700):
        limits = IterationLimits(payload(mapping="even", maxiter=maxiter, end_delta="1e-1000"))
        count = len(limits._items)
        keys = [item.index for item in limits.curve_needs()]
        assert count > 800 and len(keys) == MOST_VIEWS and keys[0] == 0 and keys[-1] == count - 1
        assert set(limits.needs("2")) == set(limits.curve_needs())
        needed = set(limits.needs("1e-400")) - set(limits.curve_needs())
        assert (
            (len(needed) > 200 and max(needed).index < count // 2) if maxiter == "auto" else needed == set()
        )
        for key in keys:
            limits.learn(key, IterationLimit(1000, True, counts=tuple(100.0 * key + k for k in range(33))))
        assert len(limits.curve()) > 9

"""Which key views a job has, and what follows from their limits; nothing is rendered."""

import itertools
import json
from decimal import Decimal

import pytest

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
def test_an_even_mapping_needs_views_of_its_own_and_changes_no_limit(sampling, maxiter):
    """Every frame is coloured by the whole zoom's curve; strips serve both mappings, as their limits are the same."""
    even, root = (
        recipe_of(payload(mapping=name, sampling=sampling, maxiter=maxiter)) for name in ("even", "root")
    )
    own = even.limits.curve_needs()
    keys = 0 if maxiter == "auto" else 9
    assert len(own) == 17 and own[0].index == 9 - keys and not root.limits.curve_needs()
    assert set(own) <= set(even.limits.needs("2"))
    for item in {*own, *even.limits.needs("1e-9")}:
        counts = tuple(10.0 * (item.index + 1) + k for k in range(33))
        for recipe in (even, root):
            recipe.learn(item, IterationLimit(1000 * (item.index + 1), True, counts=counts))
    for delta in ("2", "1e-4", "1e-9"):
        assert even.limits.of(delta) == root.limits.of(delta)
    unit = even.limits.unit(own[0].index)
    assert unit.counts_alone and unit.given == (None if maxiter == "auto" else maxiter)
    assert len(even.limits.curve()) > 9 and root.limits.curve() == ()
    item = WorkItem(FRAME if sampling == "exact" else STRIP, 0)
    assert even.unit(item).style.curve == even.limits.curve() and root.unit(item).style.curve == ()


def views_of_curve(**fields):
    limits = IterationLimits(payload(mapping="even", **fields))
    return [limits.unit(item.index).view for item in limits.curve_needs()]


def test_colours_follow_from_the_place_and_how_deep_it_is():
    """Neither the number of frames, nor the size, the sampling or the start changes them: a still has a film's."""
    first = views_of_curve()
    for fields in (
        {"num_frames": 3, "sampling": "shared"},
        {"start_delta": "1e-9"},
        {"start_delta": "1e-5", "frame_width": 64},
        {"start_delta": "1e-9", "end_delta": "3"},
    ):
        assert views_of_curve(**fields) == first
    deeper = views_of_curve(end_delta="1e-12")
    assert deeper[: len(first) - 1] == first[:-1]  # the last one is as deep as the place


def test_a_curve_of_a_deep_zoom_needs_a_bounded_number_of_views():
    """Its frames need them before the first is shown; limits wait for those of shallower views alone."""
    for maxiter in ("auto", 700):
        limits = IterationLimits(payload(mapping="even", maxiter=maxiter, end_delta="1e-1000"))
        own = set(limits.curve_needs())
        assert len(own) < 370 and own <= set(limits.needs("2"))
        needed = set(limits.needs("1e-400")) - own
        assert 200 < len(needed) < 600 if maxiter == "auto" else needed == set()
        for item in own:
            limits.learn(
                item.index,
                IterationLimit(1000, True, counts=tuple(100.0 * item.index + k for k in range(33))),
            )
        assert len(limits.curve()) > 9
        assert limits.given_up() == []

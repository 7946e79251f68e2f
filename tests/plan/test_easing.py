import cmath
import itertools
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mandel.plan.arithmetic import log2_of
from mandel.plan.easing import eased
from mandel.plan.zoom import Zoom

SHARES = st.floats(0, 1)


@given(SHARES)
def test_without_easing_the_way_is_the_time(time):
    assert eased(time, 0.0) == pytest.approx(time, abs=1e-12)


@given(SHARES, SHARES, SHARES)
def test_it_runs_from_start_to_end_and_never_back(easing, a, b):
    assert eased(0.0, easing) == 0 and eased(1.0, easing) == 1
    assert eased(min(a, b), easing) <= eased(max(a, b), easing) + 1e-12
    assert eased(a, easing) + eased(1 - a, easing) == pytest.approx(1, abs=1e-12)


@given(st.floats(0.05, 1))
def test_it_starts_and_ends_slowly(easing):
    assert eased(1e-4, easing) < 1e-5
    assert eased(1 - 1e-4, easing) > 1 - 1e-5


def test_frames_of_an_eased_zoom_crowd_at_its_ends():
    zoom = Zoom("0", "0", "1", "1e-30", 31, 64, 64, ramps=(0.25, 0.25))
    depths = [log2_of(Decimal(zoom.delta(k))) for k in range(31)]
    steps = [a - b for a, b in itertools.pairwise(depths)]
    assert steps[0] < 0.2 * steps[15] and steps[-1] < 0.2 * steps[15]
    assert steps[14] == pytest.approx(steps[15])
    assert (zoom.delta(0), zoom.delta(30)) == ("1", "1e-30")


def test_rotation_turns_the_view_about_its_centre():
    zoom = Zoom("0.25", "0", "1", "1e-3", 4, 64, 48, rotation=90)
    turns = [zoom.view(k).turn for k in range(4)]
    assert turns[0] == 1 and turns[3] == pytest.approx(1j)
    assert cmath.phase(turns[1]) == pytest.approx(cmath.pi / 6)
    assert zoom.view(3).grid().turn == turns[3]


@given(SHARES, SHARES, SHARES, SHARES)
def test_both_ends_have_a_ramp_of_their_own(a, b, start, share):
    end = (1 - start) * share
    assert eased(0.0, start, end) == 0 and eased(1.0, start, end) == 1
    assert eased(min(a, b), start, end) <= eased(max(a, b), start, end) + 1e-12
    assert eased(a, start, end) + eased(1 - a, end, start) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("ramps", [(0.1, 0.7), (0.8, 0.05), (0.0, 0.4), (0.3, 0.7), (0.2, 0.2)])
def test_speed_is_continuous(ramps):
    """And so is acceleration: doubling the number of steps halves the largest change of speed between two of them."""
    jumps = []
    for count in (2_000, 4_000):
        ways = [eased(k / count, *ramps) for k in range(count + 1)]
        speeds = [(b - a) * count for a, b in itertools.pairwise(ways)]
        ends = [0.0] * (ramps[0] > 0) + speeds + [0.0] * (ramps[1] > 0)
        jumps.append(max(abs(b - a) for a, b in itertools.pairwise(ends)))
    assert jumps[1] < 0.6 * jumps[0] < 0.02
    assert max(speeds) == pytest.approx(1 / (1 - sum(ramps) / 2), rel=1e-3)


def test_equal_ramps_are_the_easing_of_before_bit_by_bit():
    """Films of before keep their frames."""

    def before(time, easing):
        ramp = easing / 2
        if time > 0.5:
            return 1 - before(1 - time, easing)
        if time >= ramp:
            return (time - ramp / 2) / (1 - ramp)
        return (time - ramp / math.pi * math.sin(math.pi * time / ramp)) / 2 / (1 - ramp)

    for easing, k in itertools.product((0.1, 0.3, 0.7, 1.0), range(301)):
        assert eased(k / 300, easing / 2, easing / 2) == before(k / 300, easing)


def test_ends_are_held():
    zoom = Zoom("0", "0", "1", "1e-8", 15, 64, 64, rotation=90, held=(2, 4))
    deltas = [zoom.delta(k) for k in range(15)]
    assert deltas[:3] == ["1"] * 3 and deltas[10:] == ["1e-8"] * 5
    assert [Decimal(delta) for delta in deltas[2:11]] == [Decimal(f"1e-{k}") for k in range(9)]
    assert zoom.angle(2) == 0 and zoom.view(10).turn == zoom.view(14).turn
    assert Zoom("0", "0", "1", "1e-8", 1, 64, 64).delta(0) == "1"

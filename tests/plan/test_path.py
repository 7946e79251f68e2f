import cmath
import itertools
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mandel.plan.arithmetic import log2_of
from mandel.plan.path import eased
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
    zoom = Zoom("0", "0", "1", "1e-30", 31, 64, 64, easing=0.5)
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

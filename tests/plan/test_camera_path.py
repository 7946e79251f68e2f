"""A path of the camera: position and speed never jump, at any depth; legs are the curves of van Wijk and Nuij."""

import json
import math
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mandel.payload.payload import parse
from mandel.payload.stops import frames_of
from mandel.plan.camera_path import MOST_KEY_TIMES, CameraPath
from mandel.plan.zoom_and_pan import Curve

SIDE = 1000  # pixels
SHORT, EXACT = (Context(prec=digits, Emin=-(10**6), Emax=10**6) for digits in (40, 2_000))


def path_of(stops, fps=30):
    payload = parse({"path": json.dumps(stops), "fps": str(fps), "frame_width": SIDE, "frame_height": SIDE})
    return CameraPath(payload.path, frames_of(payload.path, Fraction(payload.fps)), SIDE, SIDE)


def moved(a, b):
    """How far b's view is from a's: of the centre, of the corner by zooming, and by turning; all in pixels of a's."""
    scale, ratio = Decimal(a.delta), SHORT.divide(Decimal(b.delta), Decimal(a.delta))
    centre = [
        float(SHORT.divide(EXACT.subtract(Decimal(at_b), Decimal(at_a)), scale))
        + float(ratio) * shift_b
        - shift_a
        for at_a, at_b, shift_a, shift_b in (
            (a.re, b.re, a.shift.real, b.shift.real),
            (a.im, b.im, a.shift.imag, b.shift.imag),
        )
    ]
    zoomed = float(ratio.ln(SHORT))
    turned = math.atan2((b.turn / a.turn).imag, (b.turn / a.turn).real)
    return tuple(SIDE * part for part in (*centre, zoomed, turned))


coordinate = st.integers(-2 * 10**6, 2 * 10**6).map(lambda k: f"{k}e-6")
# Two points may be alike in many digits.
near = st.tuples(st.integers(-9, 9), st.integers(1, 320)).map(lambda p: f"{p[0]}e-{p[1]}")
delta = st.tuples(st.integers(1, 9), st.integers(0, 300)).map(lambda p: f"{p[0]}e-{p[1]}")


@st.composite
def random_path(draw):
    stops, point = [], None
    for number in range(draw(st.integers(2, 4))):
        kind = draw(st.sampled_from(["new", "same", "near"])) if number else "new"
        if kind == "new":
            point = [Decimal(draw(coordinate)), Decimal(draw(coordinate))]
        elif kind == "near":
            with localcontext() as context:
                context.prec = 1_000
                point = [part + Decimal(draw(near)) for part in point]
        easing, hold = draw(st.sampled_from(["0", "0.3", "1"])), "0"
        if easing != "0":
            hold = draw(st.sampled_from(["0", "1.5"]))
        stop = {"point": f"{point[0]},{point[1]}", "delta": draw(delta), "easing": easing, "hold": hold}
        stop["rotation"] = str(draw(st.integers(-90, 90)))
        stops.append(stop | ({"time": str(draw(st.integers(2, 40)))} if number else {}))
    return stops


DEEP = "-1.76877883,-0.00173889"
HARD = [
    # From everything to a place half of its extent away: the two terms of the curve cancel.
    [{"point": "0,0", "delta": "2"}, {"point": "1,0", "delta": "1e-300", "time": 30}],
    # From a deep place to another: the curve rises and goes down.
    [{"point": "0,0", "delta": "1e-300"}, {"point": "1,1", "delta": "1e-300", "time": 30}],
    # A little aside.
    [{"point": "0,0", "delta": "1e-9"}, {"point": "1e-20,0", "delta": "1e-9", "time": 3}],
    [{"point": "0,0", "delta": "1e-9"}, {"point": "1e-20,0", "delta": "1.0000001e-9", "time": 3}],
    # Passed without slowing down, back the way it came, and turned.
    [
        {"point": DEEP, "delta": "1", "easing": 0},
        {"point": DEEP, "delta": "1e-9", "easing": 0, "time": 5, "rotation": 30},
        {"point": "0.3,0.1", "delta": "1e-2", "time": 20, "easing": 0},
        {"point": "0.3,0.1", "delta": "1e-30", "time": 4},
    ],
]


@given(random_path())
@example(HARD[0])
@example(HARD[1])
@example(HARD[2])
@example(HARD[3])
@example(HARD[4])
@settings(max_examples=60, deadline=None)
def test_position_and_speed_never_jump(stops):
    path = path_of(stops)
    ways = [
        max(leg.curve.length, abs(leg.angles[1] - leg.angles[0])) / (leg.last - leg.first)
        for leg in path._legs
    ]
    fastest = max(*ways, 1e-3)  # extents a frame, but for easing
    step, last = min(1e-4 / fastest, 1e-3), path.num_frames - 1
    times = {float(frame) for pair in path._frames for frame in pair} | set(path.key_times(20.0))
    times |= {
        path._time(leg, leg.curve.ends[0] / leg.curve.length) for leg in path._legs if leg.curve.direction
    }
    for time in times:
        if step < time < last - step:  # else the film begins or ends
            views = [path.view(time + k * step) for k in (-1, 0, 1)]
            speeds = [[part / step for part in moved(a, b)] for a, b in pairwise(views)]  # pixels a frame
            most = SIDE * fastest
            assert all(abs(part) < 4 * most for speed in speeds for part in speed)
            assert all(abs(one - other) < 0.01 * most for one, other in zip(*speeds, strict=True))


@given(random_path())
@example(HARD[0])
@example(HARD[1])
@settings(max_examples=40, deadline=None)
def test_stops_are_reached_and_centres_stay_near_their_reference_points(stops):
    path = path_of(stops)
    for (reached, left), stop in zip(path._frames, path._stops, strict=True):
        for frame in (reached, left):
            view = path.view(frame)
            assert (view.re, view.im, view.delta, view.shift) == (stop.re, stop.im, stop.delta, 0)
            assert view.turn == pytest.approx(
                complex(math.cos(r := math.radians(float(stop.rotation))), math.sin(r))
            )
    for frame in range(0, path.num_frames, max(1, path.num_frames // 50)):
        view, reference_point = path.view(frame), path.deepest(path.reference_point(frame))
        assert (view.re, view.im) == (reference_point.re, reference_point.im)
        assert abs(view.shift) < 0.75
        # A delta between stops is told by 40 digits, and as a logarithm by a double.
        assert Decimal(view.delta) > Decimal(path.deepest(path.reference_point(frame)).delta) * Decimal(
            "0.999999999"
        )


def test_reference_points_are_counted_from_the_last_stop():
    path = path_of(HARD[4])
    assert [path.reference_point(frame) for frame in (0, 100, path.num_frames - 1)] == [2, 2, 0]
    assert path.last_frame(2) == path._frames[2][0] and path.last_frame(0) == path.num_frames - 1


def test_a_leg_is_the_curve_of_van_wijk_and_nuij():
    """Against the formulas of the paper, where doubles can compute them."""
    w0, w1, u1, rho = 0.3, 0.02, 1.7, math.sqrt(2)
    b0 = (w1**2 - w0**2 + rho**4 * u1**2) / (2 * w0 * rho**2 * u1)
    b1 = (w1**2 - w0**2 - rho**4 * u1**2) / (2 * w1 * rho**2 * u1)
    r0, r1 = (math.log(-b + math.sqrt(b * b + 1)) for b in (b0, b1))
    curve = Curve.between(("0", "0", str(w0)), (str(u1), "0", str(w1)))
    assert curve.length == pytest.approx(r1 - r0)
    for share in (0.1, 0.4, 0.5, 0.6, 0.9):
        s = share * (r1 - r0) / rho
        u = w0 / rho**2 * (math.cosh(r0) * math.tanh(rho * s + r0) - math.sinh(r0))
        w = w0 * math.cosh(r0) / math.cosh(rho * s + r0)
        place = curve.at(share)
        found = (w1 if place.from_end else w0) * math.exp(place.depth)
        assert found == pytest.approx(w)
        assert (u1 if place.from_end else 0) + place.centre.real * found == pytest.approx(u)


def test_between_deep_places_the_camera_rises_until_both_are_near():
    path = path_of(HARD[1])
    deltas = [Decimal(path.delta(frame)) for frame in range(path.num_frames)]
    top = deltas.index(max(deltas))
    assert 1 < deltas[top] < 4 and top == (path.num_frames - 1) / 2
    assert deltas[:top] == sorted(deltas[:top]) and deltas[top:] == sorted(deltas[top:], reverse=True)


def test_stops_of_one_point_are_a_plain_zoom():
    path = path_of(
        [{"point": DEEP, "delta": "1e-3", "easing": "0"}, {"point": DEEP, "delta": "1e-300", "time": 10}]
    )
    assert {(view.re + "," + view.im, view.shift) for view in map(path.view, range(301))} == {(DEEP, 0j)}
    assert path.delta(0) == "0.001" and path.delta(300) == "1E-300"


def test_a_passed_stop_is_passed_and_a_held_one_is_held():
    path = path_of(
        [
            {"point": "0,0", "delta": "1"},
            {"point": "0.1,0", "delta": "0.01", "time": 4, "easing": 0},
            {"point": "0.1,0", "delta": "1e-6", "time": 4, "hold": 2},
            {"point": "0.1,0.3", "delta": "1e-6", "time": 4},
        ]
    )
    speed = [math.hypot(*moved(path.view(k), path.view(k + 1))) for k in range(path.num_frames - 1)]
    assert speed[119] > 30 and speed[120] > 30
    assert speed[240:300] == [0] * 60
    assert 0 < speed[239] < 1 and 0 < speed[300] < 1


def test_a_way_of_any_length_has_a_bounded_number_of_key_times():
    """The driver looks at them all before it begins a job, and does nothing for other jobs meanwhile."""
    there, back = ({"point": point, "delta": delta} for point, delta in (("0,1", "1e-19000"), ("0,0", "1e3")))
    path = path_of([back, *[stop | {"time": 9} for stop in (there, back, there, back)]])
    whole = sum(leg.curve.length for leg in path._legs)
    times = path.key_times(2.0)
    assert whole / 2 > 4 * MOST_KEY_TIMES and len(times) <= MOST_KEY_TIMES + 2 * len(path._legs)
    assert {float(reached) for reached in path._reached} <= set(times)

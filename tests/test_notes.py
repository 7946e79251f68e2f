"""Notes on single frames, and on many."""

import json
import random
from functools import reduce

import pytest

from mandel import notes

BASE = {"flat": False, "reached": 0.2, "late": 0.0, "maxiter": 1000, "auto": False}
FLAT = {**BASE, "flat": True, "reached": 0.0, "delta": "1.00e-3", "decimals": 2}


@pytest.mark.parametrize(
    "reached, late, short",
    [
        (0.2, 0.0, False),
        (0.2, 0.009, False),
        (0.2, 0.01, True),
        (0.8, 0.2, True),
        (0.001, 0.5, False),
        (1.0, 0.0, False),
    ],
)
def test_a_limit_seems_too_low_where_as_many_samples_escaped_late_as_would_be_seen(reached, late, short):
    told = notes.of_frame(7, BASE | {"reached": reached, "late": late})
    assert told["reached"] == {"frame": 7, "share": reached, "maxiter": 1000}
    assert ("short" in told) == short and "flat" not in told


def test_a_frame_of_which_only_its_picture_is_known():
    assert notes.of_frame(7, {"flat": False}) == {}


def test_many_frames_in_any_order():
    found = {}
    for frame in range(100):
        found[frame] = BASE | {
            "reached": round(0.1 + frame / 1000, 3),
            "late": round(0.03 - frame / 10000, 4) * (40 <= frame != 50),
        }
    for frame in range(80, 100):
        found[frame] = FLAT | {
            "delta": f"1.00e-{frame}",
            "reached": float(frame > 89),
            "maxiter": 1000 + frame,
        }
    order = list(found)
    random.Random(1).shuffle(order)
    one_by_one = reduce(notes.merged, (notes.of_frame(frame, found[frame]) for frame in order), {})
    halves = [
        reduce(notes.merged, (notes.of_frame(f, found[f]) for f in half), {})
        for half in (order[:50], order[50:])
    ]
    assert notes.merged(*halves) == one_by_one == json.loads(json.dumps(one_by_one))
    assert one_by_one["reached"]["share"] == 1.0 and one_by_one["reached"]["frame"] >= 90
    assert one_by_one["short"] == {
        "frames": 39,
        "first": 40,
        "last": 79,
        "frame": 40,
        "share": 0.14,
        "missing": 0.026,
        "maxiter": 1000,
        "auto": False,
    }
    assert one_by_one["flat"] == {
        "frames": 20,
        "first": 80,
        "last": 99,
        "deltas": ["1.00e-80", "1.00e-99"],
        "inside": 10,
        "maxiter": 1099,
        "auto": False,
        "decimals": 2,
    }


def test_limits_given_up_are_those_of_whoever_knows_more():
    one, two = ({"gave_up": {"views": n, "delta": "1", "maxiter": n, "reason": ""}} for n in (1, 2))
    assert notes.merged(one, two) == notes.merged(two, one) == two


def test_decimals():
    assert [notes.decimals(*point) for point in (("-2", "0"), ("1.25", "-1e-130"), ("0.5", "3"))] == [
        0,
        130,
        1,
    ]

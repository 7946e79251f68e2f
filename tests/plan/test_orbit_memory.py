"""A reference orbit ends where it has no more to tell, and is refused where it outgrows its memory."""

import json

import pytest

from mandel.driver.recipes.choose import recipe_of
from mandel.driver.recipes.recipe import REFERENCE, WorkItem
from mandel.errors import RenderError
from mandel.payload.payload import parse
from mandel.plan.orbit_memory import OrbitRoom, announcement
from mandel.plan.reference import reference_orbit
from mandel.protocol.strict_json import loads


def orbit(room=None, **fields):
    payload = parse(
        loads(json.dumps({"num_frames": 2, "frame_width": 64, "frame_height": 36} | fields).encode())
    )
    unit = recipe_of(payload).unit(WorkItem(REFERENCE, 0))
    return reference_orbit(unit.re, unit.im, unit.bits, unit.limit, None, unit.radius, unit.gives_up, room)


ENDLESS = {"point": "-1.9,0", "start_delta": "1e-30", "end_delta": "1e-30", "maxiter": 2_000_000_000}


@pytest.mark.parametrize("sampling", ["exact", "shared"])
def test_an_orbit_without_end_ends_where_nothing_more_is_to_be_told(sampling):
    """At 70 bytes a step it took the machine's memory; |dz/dc| passes 1e30 after some hundred steps."""
    room = OrbitRoom(10**6)
    assert room.steps(200) > 4_096
    found = orbit(room, sampling=sampling, **ENDLESS)
    assert found.period and found.last < 1_000 and found.serves(found.bits, 2_000_000_000)


def test_what_is_said_before_it_is_computed():
    """Every deep film's log had "would take 7e-05 GB"."""
    assert announcement(1_000) == "computes its reference orbit, 1,000 steps at most"
    assert announcement(64_000_000).endswith("64,000,000 steps at most, which take up to 4.5 GB")


def test_one_that_does_not_end_is_refused_at_its_bound_in_words():
    told = []
    room = OrbitRoom(10 * 2**20, workers=2)
    most = room.steps(104)
    with pytest.raises(RenderError) as caught:
        reference_orbit("-0.75", "0", 104, 2 * 10**9, lambda *at: told.append(at), "1e-9", room=room)
    error = caught.value
    assert (error.code, error.field, error.limit) == ("JOB_TOO_BIG", "maxiter", most)
    assert f"{most:,}" in error.message and "2 workers" in error.message
    assert most - 4_096 <= told[-1][0] < most and most * (70 + 2 * 144) <= room.bytes
    assert reference_orbit("-0.75", "0", 104, most, room=room).last == most  # what it said can be had


def test_deeper_samples_and_more_workers_leave_shorter_orbits():
    assert (
        OrbitRoom(10**9, 1).steps(100) > OrbitRoom(10**9, 1).steps(2_000) > OrbitRoom(10**9, 8).steps(2_000)
    )

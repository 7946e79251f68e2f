"""What CPUs and GPUs leave to each other."""

import json
import random

import pytest

from mandel.cluster.job import Job
from mandel.cluster.pace import frames_together, unwise
from mandel.cluster.recipe import FRAME, SEGMENT, STRIP, Grade, Item
from mandel.payload import parse
from mandel.protocol.strict_json import loads
from mandel.settings import Limits

SLOTS = {"cpu": 16, "gpu": 3}


def job(tmp_path, pace=None, **fields) -> Job:
    fields = {"num_frames": 240, "frame_width": 3840, "frame_height": 2160, **fields}
    made = Job("j", parse(loads(json.dumps(fields).encode()), Limits()), tmp_path, {})
    made.pace = dict(pace or {})
    return made


def running(count: int, item: str = FRAME) -> dict[str, int]:
    return {item: count}


def test_slots_of_one_kind_do_everything(tmp_path):
    assert unwise(job(tmp_path), "cpu", {"cpu": 2}, running(9)) == frozenset()


def test_a_cpu_makes_one_item_of_each_kind_to_be_measured(tmp_path):
    own = job(tmp_path)
    assert unwise(own, "gpu", SLOTS, running(9)) == frozenset()
    assert unwise(own, "cpu", SLOTS, {}) == frozenset()
    assert unwise(own, "cpu", SLOTS, running(1)) == {Grade(FRAME), Grade(FRAME, True)}
    assert unwise(own, "cpu", SLOTS, running(1, STRIP)) == {Grade(STRIP), Grade(STRIP, True)}


def test_cpus_that_encode_do_not_render(tmp_path):
    """4K on a fast GPU, as measured: 16 ms a frame there, 470 ms on a core, 100 ms to encode."""
    own = job(
        tmp_path, {(Grade(FRAME), "gpu"): 0.016, (Grade(FRAME), "cpu"): 0.47, (Grade(SEGMENT), "cpu"): 0.1}
    )
    assert Grade(FRAME) in unwise(own, "cpu", SLOTS, {})
    own.pace[Grade(FRAME), "gpu"] = (
        0.16  # now the GPU is what all wait for: 19 frames a second, two cores to encode
    )
    allowed = next(n for n in range(99) if Grade(FRAME) in unwise(own, "cpu", SLOTS, running(n)))
    assert allowed == pytest.approx(14.1 * 0.47 / 0.57, abs=1)


def test_cpus_that_would_add_little_do_not_render(tmp_path):
    """4K: of 16 cores 15 encode what the GPU renders; a frame would take the last one as long as 180 take the GPU."""
    own = job(
        tmp_path, {(Grade(FRAME), "gpu"): 0.015, (Grade(FRAME), "cpu"): 0.9, (Grade(SEGMENT), "cpu"): 0.075}
    )
    assert Grade(FRAME) in unwise(own, "cpu", SLOTS, {})
    own.pace[Grade(SEGMENT), "cpu"] = 0.01  # even all that do not encode
    assert Grade(FRAME) in unwise(own, "cpu", SLOTS, {})
    own.pace[Grade(FRAME), "cpu"] = 0.06
    assert Grade(FRAME) not in unwise(own, "cpu", SLOTS, {})


def test_gpus_that_wait_for_busy_cpus_are_as_fast_as_before(tmp_path):
    """Else CPUs would render because they are busy, and be busier (seen: 8.7 s in place of 4.5)."""
    own = job(tmp_path, {(Grade(FRAME), "cpu"): 0.6, (Grade(SEGMENT), "cpu"): 0.1})
    for _ in range(3):
        own.note_pace(Item(FRAME, 0), "gpu", 0.015)
        for _ in range(9):
            own.note_pace(Item(FRAME, 0), "gpu", 0.03)
        assert own.pace[Grade(FRAME), "gpu"] > 0.025
        assert Grade(FRAME) in unwise(own, "cpu", SLOTS, {})
    for _ in range(99):  # it is slower for good
        own.note_pace(Item(FRAME, 0), "gpu", 0.3)
    assert Grade(FRAME) not in unwise(own, "cpu", SLOTS, {})


def test_what_shallow_strips_take_says_nothing_of_deep_ones(tmp_path):
    """A core that took 0.1 s for each may take 20 s for the first one that needs perturbation."""
    own = job(
        tmp_path,
        {(Grade(STRIP), "gpu"): 0.05, (Grade(STRIP), "cpu"): 0.1},
        sampling="shared",
        frame_width=640,
        frame_height=360,
        end_delta="1e-20",
        num_frames=2000,
        maxiter=500,
    )
    own.look_ahead(19, 1 << 30)
    assert unwise(own, "cpu", SLOTS, running(9, STRIP)) & {Grade(STRIP), Grade(STRIP, True)} == {
        Grade(STRIP, True)
    }
    own.note_pace(Item(STRIP, 0), "cpu", 0.1)
    assert (Grade(STRIP, True), "cpu") not in own.pace
    own.note_pace(Item(STRIP, 100), "cpu", 20.0)
    assert own.pace[Grade(STRIP, True), "cpu"] == 20.0


def test_a_strip_that_is_made_too_late_is_left_to_the_gpu(tmp_path):
    own = job(
        tmp_path,
        {(Grade(STRIP), "gpu"): 0.1, (Grade(STRIP), "cpu"): 10.0},
        sampling="shared",
        frame_width=640,
        frame_height=360,
        end_delta="1e-6",
    )
    own.look_ahead(19, 1 << 30)
    assert own.needs_ahead >= 19
    assert Grade(STRIP) in unwise(own, "cpu", SLOTS, {}) and Grade(STRIP) not in unwise(own, "gpu", SLOTS, {})
    own.pace[Grade(STRIP), "gpu"] = 3.0
    assert Grade(STRIP) not in unwise(own, "cpu", SLOTS, {})


@pytest.mark.parametrize("seed", range(200))
def test_somebody_always_takes_an_item(seed, tmp_path):
    """Whatever was measured, and however little is left: else the last frame waits for ever."""
    rng = random.Random(seed)
    grades = [Grade(item, deep) for item in (FRAME, STRIP, SEGMENT) for deep in (False, True)]
    paces = {
        (grade, kind): 10 ** rng.uniform(-3, 2) for grade in grades for kind in SLOTS if rng.random() < 0.9
    }
    own = job(tmp_path, paces, num_frames=rng.choice((1, 2, 5, 100)))
    slots = {"cpu": rng.randint(1, 64), "gpu": rng.randint(1, 12)}
    for grade in grades[:4]:
        # Tasks end sooner or later, so those that run now must not be what others wait for.
        assert any(grade not in unwise(own, kind, slots, {}) for kind in slots), (grade, paces, slots)


def test_short_frames_share_a_call_and_the_last_ones_do_not(tmp_path):
    own = job(tmp_path, {(Grade(FRAME), "cpu"): 0.04}, num_frames=50)
    assert frames_together(own, "cpu", {"cpu": 2}) == 3
    assert frames_together(own, "cpu", {"cpu": 16}) == 1
    own.pace[Grade(FRAME), "cpu"] = 0.3
    assert frames_together(own, "cpu", {"cpu": 2}) == 1
    own = job(tmp_path, {(Grade(FRAME), "cpu"): 0.001}, num_frames=7)
    assert frames_together(own, "cpu", {"cpu": 2}) == 1


def test_strips_are_made_ahead_for_every_slot_and_no_frame_before_its_turn(tmp_path):
    own = job(
        tmp_path,
        num_frames=6000,
        sampling="shared",
        frame_width=320,
        frame_height=180,
        end_delta="1e-9",
        maxiter=500,
    )

    def strips() -> list[Item]:
        out = []
        while (given := own.next("cpu")) is not None:
            out.append(given[0])
        return out

    assert {item.kind for item in strips()} <= {STRIP}
    before = own.held_bytes
    own.look_ahead(10, 1 << 40)
    more = strips()
    assert {item.kind for item in more} == {STRIP} and len(more) >= 5
    assert own.held_bytes > before
    own.look_ahead(10, 0)
    assert own.held_bytes == before


def test_a_frame_is_alone_once_it_failed(tmp_path):
    own = job(tmp_path)
    assert own.is_alone(Item(SEGMENT, 0)) and not own.is_alone(Item(FRAME, 4))
    own.attempts[Item(FRAME, 4)] = 1
    assert own.is_alone(Item(FRAME, 4))

"""What CPUs and GPUs leave to each other."""

import json
import random

import pytest

from mandel.driver.jobs.cpu_gpu_split import items_per_batch, left_to_others
from mandel.driver.jobs.job_run import JobRun
from mandel.driver.recipes.recipe import FRAME, REFERENCE, SEGMENT, STRIP, CostClass, WorkItem
from mandel.payload.payload import parse
from mandel.protocol.strict_json import loads
from mandel.settings import PayloadLimits

SLOTS = {"cpu": 16, "gpu": 3}


def job(tmp_path, recent_seconds=None, **fields) -> JobRun:
    fields = {"num_frames": 240, "frame_width": 3840, "frame_height": 2160, **fields}
    made = JobRun("j", parse(loads(json.dumps(fields).encode()), PayloadLimits()), tmp_path, {})
    for (cost_class, kind), seconds in (recent_seconds or {}).items():
        takes(made, cost_class, kind, seconds)
    return made


def takes(job: JobRun, cost_class: CostClass, kind: str, seconds: float) -> None:
    """Such items have taken so long for a while, whatever they took before."""
    for _ in range(99):
        job.timings.record(cost_class, kind, seconds)


def running(count: int, item: str = FRAME) -> dict[str, int]:
    return {item: count}


def test_slots_of_one_kind_do_everything(tmp_path):
    assert left_to_others(job(tmp_path), "cpu", {"cpu": 2}, running(9)) == frozenset()


def test_a_cpu_makes_one_item_of_each_kind_to_be_measured(tmp_path):
    own = job(tmp_path)
    assert left_to_others(own, "gpu", SLOTS, running(9)) == frozenset()
    assert left_to_others(own, "cpu", SLOTS, {}) == frozenset()
    assert left_to_others(own, "cpu", SLOTS, running(1)) == {CostClass(FRAME), CostClass(FRAME, True)}
    assert left_to_others(own, "cpu", SLOTS, running(1, STRIP)) == {CostClass(STRIP), CostClass(STRIP, True)}


def test_cpus_that_encode_do_not_render(tmp_path):
    """4K on a fast GPU, as measured: 16 ms a frame there, 470 ms on a core, 100 ms to encode."""
    own = job(
        tmp_path,
        {(CostClass(FRAME), "gpu"): 0.016, (CostClass(FRAME), "cpu"): 0.47, (CostClass(SEGMENT), "cpu"): 0.1},
    )
    assert CostClass(FRAME) in left_to_others(own, "cpu", SLOTS, {})
    # Now the GPU is what all wait for: 19 frames a second, two cores to encode.
    takes(own, CostClass(FRAME), "gpu", 0.16)
    allowed = next(n for n in range(99) if CostClass(FRAME) in left_to_others(own, "cpu", SLOTS, running(n)))
    assert allowed == pytest.approx(14.1 * 0.47 / 0.57, abs=1)


def test_cpus_that_would_add_little_do_not_render(tmp_path):
    """4K: of 16 cores 15 encode what the GPU renders; a frame would take the last one as long as 180 take the GPU."""
    own = job(
        tmp_path,
        {
            (CostClass(FRAME), "gpu"): 0.015,
            (CostClass(FRAME), "cpu"): 0.9,
            (CostClass(SEGMENT), "cpu"): 0.075,
        },
    )
    assert CostClass(FRAME) in left_to_others(own, "cpu", SLOTS, {})
    takes(own, CostClass(SEGMENT), "cpu", 0.01)  # even all that do not encode
    assert CostClass(FRAME) in left_to_others(own, "cpu", SLOTS, {})
    takes(own, CostClass(FRAME), "cpu", 0.06)
    assert CostClass(FRAME) not in left_to_others(own, "cpu", SLOTS, {})


def test_gpus_that_wait_for_busy_cpus_are_as_fast_as_before(tmp_path):
    """Else CPUs would render because they are busy, and be busier (seen: 8.7 s in place of 4.5)."""
    own = job(tmp_path, {(CostClass(FRAME), "cpu"): 0.6, (CostClass(SEGMENT), "cpu"): 0.1})
    for _ in range(3):
        own.record_seconds(WorkItem(FRAME, 0), "gpu", 0.015)
        for _ in range(9):
            own.record_seconds(WorkItem(FRAME, 0), "gpu", 0.03)
        assert own.timings.mean(CostClass(FRAME), "gpu") > 0.025
        assert CostClass(FRAME) in left_to_others(own, "cpu", SLOTS, {})
    for _ in range(99):  # it is slower for good
        own.record_seconds(WorkItem(FRAME, 0), "gpu", 0.3)
    assert CostClass(FRAME) not in left_to_others(own, "cpu", SLOTS, {})


def test_what_shallow_strips_take_says_nothing_of_deep_ones(tmp_path):
    """A core that took 0.1 s for each may take 20 s for the first one that needs perturbation."""
    own = job(
        tmp_path,
        {(CostClass(STRIP), "gpu"): 0.05, (CostClass(STRIP), "cpu"): 0.1},
        sampling="shared",
        frame_width=640,
        frame_height=360,
        end_delta="1e-20",
        num_frames=2000,
        maxiter=500,
    )
    own.frontier.prefetch(19, 1 << 30)
    assert left_to_others(own, "cpu", SLOTS, running(9, STRIP)) & {
        CostClass(STRIP),
        CostClass(STRIP, True),
    } == {CostClass(STRIP, True)}
    own.record_seconds(WorkItem(STRIP, 0), "cpu", 0.1)
    assert own.timings.mean(CostClass(STRIP, True), "cpu") is None
    own.record_seconds(WorkItem(STRIP, 100), "cpu", 20.0)
    assert own.timings.mean(CostClass(STRIP, True), "cpu") == 20.0


def test_a_strip_that_is_made_too_late_is_left_to_the_gpu(tmp_path):
    own = job(
        tmp_path,
        {(CostClass(STRIP), "gpu"): 0.1, (CostClass(STRIP), "cpu"): 10.0},
        sampling="shared",
        frame_width=640,
        frame_height=360,
        end_delta="1e-6",
    )
    own.frontier.prefetch(19, 1 << 30)
    assert own.frontier.needs_ahead >= 19
    assert CostClass(STRIP) in left_to_others(own, "cpu", SLOTS, {}) and CostClass(
        STRIP
    ) not in left_to_others(own, "gpu", SLOTS, {})
    takes(own, CostClass(STRIP), "gpu", 3.0)
    assert CostClass(STRIP) not in left_to_others(own, "cpu", SLOTS, {})


@pytest.mark.parametrize("seed", range(200))
def test_somebody_always_takes_an_item(seed, tmp_path):
    """Whatever was measured, and however little is left: else the last frame waits for ever."""
    rng = random.Random(seed)
    cost_classes = [CostClass(item, deep) for item in (FRAME, STRIP, SEGMENT) for deep in (False, True)]
    paces = {
        (cost_class, kind): 10 ** rng.uniform(-3, 2)
        for cost_class in cost_classes
        for kind in SLOTS
        if rng.random() < 0.9
    }
    own = job(tmp_path, paces, num_frames=rng.choice((1, 2, 5, 100)))
    slots = {"cpu": rng.randint(1, 64), "gpu": rng.randint(1, 12)}
    for cost_class in cost_classes[:4]:
        # Tasks end sooner or later, so those that run now must not be what others wait for.
        assert any(cost_class not in left_to_others(own, kind, slots, {}) for kind in slots), (
            cost_class,
            paces,
            slots,
        )


def test_short_items_share_a_call_and_the_last_frames_do_not(tmp_path):
    first = WorkItem(FRAME, 0)
    own = job(tmp_path, {(CostClass(FRAME), "cpu"): 0.04}, num_frames=50)
    assert items_per_batch(own, first, "cpu", 2) == 3
    assert items_per_batch(own, first, "cpu", 16) == 1
    assert items_per_batch(own, WorkItem(STRIP, 0), "cpu", 2) == 1, "what they take is not known"
    takes(own, CostClass(FRAME), "cpu", 0.3)
    takes(own, CostClass(STRIP), "cpu", 0.01)
    assert items_per_batch(own, first, "cpu", 2) == 1
    assert items_per_batch(own, WorkItem(STRIP, 0), "cpu", 2) == 8
    own = job(tmp_path, {(CostClass(kind), "cpu"): 0.001 for kind in (FRAME, REFERENCE)}, num_frames=7)
    assert items_per_batch(own, first, "cpu", 2) == 1
    assert items_per_batch(own, WorkItem(REFERENCE, 0), "cpu", 1) == 1


def test_strips_are_made_ahead_for_every_slot_and_no_frame_before_its_turn(tmp_path):
    own = job(
        tmp_path,
        num_frames=6000,
        sampling="shared",
        frame_width=320,
        frame_height=180,
        end_delta="1e-9",
        maxiter=500,
        mapping="root",
    )

    def strips() -> list[WorkItem]:
        out = []
        while (given := own.next("cpu")) is not None:
            out.append(given[0])
        return out

    assert {item.kind for item in strips()} <= {STRIP}
    before = own.held_bytes
    own.frontier.prefetch(10, 1 << 40)
    more = strips()
    assert {item.kind for item in more} == {STRIP} and len(more) >= 5
    assert own.held_bytes > before
    own.frontier.prefetch(10, 0)
    assert own.held_bytes == before


def test_a_frame_is_alone_once_it_failed(tmp_path):
    own = job(tmp_path)
    assert not own.attempts.is_alone(WorkItem(FRAME, 4))
    own.attempts.failed(WorkItem(FRAME, 4), "node", 0.0)
    assert own.attempts.is_alone(WorkItem(FRAME, 4))

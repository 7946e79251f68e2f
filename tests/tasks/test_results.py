"""What a worker returns is looked at before it is kept: a wrong one costs its task an attempt, nobody else anything."""

from pathlib import Path

import numpy as np
import pytest

from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.policy import DEFAULT_POLICY
from mandel.driver.jobs.scheduler import Scheduler
from mandel.errors import RenderError
from mandel.plan.iteration_limit import IterationLimit
from mandel.protocol import control
from mandel.tasks.executor import Outcome
from mandel.tasks.results import check_segment
from mandel.video.encode import encode_segment
from mandel.worker import functions
from tests.driver.test_scheduler import Events, Faulty, payload
from tests.support.local_executor import LocalExecutor
from tests.support.video import stream

WIDTH, HEIGHT = 64, 36


def segment(frames: int, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    noise = np.random.default_rng(1)
    pictures = [noise.integers(16, 235, (height * 3 // 2, width), np.uint8) for _ in range(frames)]
    return encode_segment(pictures, width, height, "25")


GOOD = segment(9)
WRONG = {
    "None": None,
    "dict": {},
    "text": "video",
    "float": np.zeros(9),
    "empty": np.zeros(0, np.uint8),
    "junk": np.frombuffer(bytes(5000), np.uint8),
    "huge": np.zeros(10 << 20, np.uint8),
    "half": np.frombuffer(GOOD[: len(GOOD) // 2], np.uint8),
    "tail": np.frombuffer(GOOD[:-40], np.uint8),
    "size": np.frombuffer(segment(9, 32, 36), np.uint8),
    "more": np.frombuffer(segment(10), np.uint8),
}


class Lying(Faulty):
    """Returns ``wrong`` in place of the first ``times`` segments."""

    def __init__(self, wrong, times):
        super().__init__(lambda task: None)
        self.wrong, self.times, self.told = wrong, times, 0

    def _spoilt(self, outcome):
        if self.tasks[outcome.ticket].function == "segment" and self.told < self.times and not outcome.error:
            self.told += 1
            return Outcome(outcome.ticket, self.wrong, outcome.info)
        return outcome


def drive(executor, tmp_path, **fields):
    events = Events()
    scheduler = events.scheduler = Scheduler(executor, events)
    try:
        scheduler.add(JobRun("j", payload(**fields), tmp_path, {}))
        while scheduler.busy:
            scheduler.step(0.05)
    finally:
        scheduler.close()
        executor.close()
    return events


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_segment_is_made_again(name, tmp_path):
    executor = Lying(WRONG[name], 1)
    events = drive(executor, tmp_path)
    assert executor.told == 1
    (video,) = events.of("video")
    assert stream(Path(video["path"])).frames == 9
    assert len(events.of("segment")) == len(JobRun("j", payload(), tmp_path, {}).segments)


def test_a_worker_that_always_returns_wrong_segments_fails_the_job_and_ends_nothing(tmp_path):
    (failed,) = drive(Lying(None, 1000), tmp_path).of("failed")
    assert (
        failed["code"] == "BAD_RESULT" and f"failed {DEFAULT_POLICY.max_attempts} times" in failed["message"]
    )


@pytest.mark.parametrize(
    "info",
    [
        {},
        {"node": 1},
        {"node": "n", "host": "h", "seconds": None, "cpu_seconds": 0.0},
        {"node": "n", "host": "h", "seconds": float("nan"), "cpu_seconds": 0.0},
    ],
)
@pytest.mark.parametrize("function", ["frame", "segment"])
def test_wrong_facts_cost_an_attempt(function, info, tmp_path):
    wrong = []

    class Odd(Faulty):
        def _spoilt(self, outcome):
            if self.tasks[outcome.ticket].function == function and not wrong:
                wrong.append(outcome)
                return Outcome(outcome.ticket, outcome.handle, dict(info))
            return outcome

    assert drive(Odd(lambda task: None), tmp_path).of("video") and wrong


@pytest.mark.parametrize(
    "function, result",
    [
        ("frame", None),
        ("frame", np.zeros((54, 64), np.float32)),
        ("strip", np.zeros(4, np.uint8)),
        ("limit", "many"),
        ("limit", 1000),
        ("limit", IterationLimit("many", True)),
        ("limit", IterationLimit(-1, True)),
        ("limit", IterationLimit(1000, "no")),
        ("limit", IterationLimit(1000, False, None)),
        ("reference", {}),
        ("segment", b"bytes"),
    ],
)
def test_a_task_that_returns_another_type_has_failed(monkeypatch, function, result):
    monkeypatch.setitem(functions.FUNCTIONS, function, lambda unit, slot: (result, {}))
    job = f"{function}-{result!r}".replace(
        " ", ""
    )  # each its own, or a task is handed back for the failure before it
    returned, facts = functions.run(function, None, functions.Slot(), label=f"{job} 1")
    assert returned is None and facts["error"]["code"] == "BAD_RESULT"


def test_a_segment_is_decoded(tmp_path):
    path = tmp_path / "segment"
    path.write_bytes(GOOD)
    check_segment(path, 9, WIDTH, HEIGHT)
    for wrong in (GOOD[: len(GOOD) // 2], GOOD[:-40], b"", segment(8), segment(9, 32, 36), GOOD + GOOD):
        path.write_bytes(wrong)
        with pytest.raises(RenderError) as error:
            check_segment(path, 9, WIDTH, HEIGHT)
        assert error.value.code == "BAD_SEGMENT"


class Store(Events):
    """Keeps segments as the supervisor does, and forgets those that cannot be used."""

    def __init__(self, kept: dict[int, Path]):
        super().__init__()
        self.kept = kept

    def __call__(self, said):
        super().__call__(said)
        event = control.as_json(said)
        if event["event"] == "segment":
            self.kept[event["index"]] = Path(event["path"]).with_name("final-" + Path(event["path"]).name)
        if event["event"] == "spoilt":
            self.kept.pop(event["index"]).unlink(missing_ok=True)


@pytest.mark.parametrize("damage", ["junk", "half", "gone"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_stored_segment_that_cannot_be_joined_is_thrown_away_and_made_again(number, damage, tmp_path):
    """Its digest is right, as it was made of the damaged bytes."""
    p = payload(num_frames=18)
    kept: dict[int, Path] = {}

    def go():
        executor, store = LocalExecutor(), Store(kept)
        scheduler = store.scheduler = Scheduler(executor, store)
        try:
            scheduler.add(JobRun("j", p, tmp_path, dict(kept)))
            while scheduler.busy:
                scheduler.step(0.05)
        finally:
            scheduler.close()
            executor.close()
        assert store.of("video"), store.of("failed")
        return store, store.of("video")[0]["sha256"]

    _first, digest = go()
    assert len(kept) == 3
    data = kept[number].read_bytes()
    kept[number].write_bytes({"junk": bytes(3000), "half": data[: len(data) // 2], "gone": b""}[damage])
    if damage == "gone":
        kept[number].unlink()
    second, again = go()
    assert again == digest
    assert [event["index"] for event in second.of("spoilt")] == [number]
    assert len(second.of("frame")) == 6, "the others are not rendered again"

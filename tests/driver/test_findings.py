"""What a job's frames give away, as the scheduler tells it."""

import json
from functools import reduce
from pathlib import Path

import numpy as np
import pytest

from mandel import notes
from mandel.device.context import device_context
from mandel.driver.files.disk_cache import Cache
from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.policy import DEFAULT_POLICY, SchedulingPolicy
from mandel.driver.jobs.scheduler import Scheduler
from mandel.driver.recipes.recipe import VIDEO_BAILOUT
from mandel.payload.payload import Payload, parse
from mandel.plan.iteration_limit import IterationLimit
from mandel.plan.strip_plan import StripPlan
from mandel.plan.zoom import Zoom
from mandel.protocol import control
from mandel.protocol.strict_json import loads
from mandel.render.frame import FrameRenderer
from mandel.worker import functions
from tests.support.local_executor import LocalExecutor

SMALL = {
    "num_frames": 6,
    "frame_width": 96,
    "frame_height": 54,
    "maxiter": 200,
    "point": "-0.75,0.1",
    "start_delta": 2.5,
    "end_delta": 0.01,
}
# Nine decimals are too few for that.
FAR = {"point": "-1.338238635,-0.057237059", "start_delta": "1e-3", "end_delta": "1e-25", "maxiter": 2000}


def payload(**fields) -> Payload:
    return parse(loads(json.dumps(SMALL | fields).encode()))


class Life:
    """One life of a driver that renders a job."""

    def __init__(self, folder: Path, p: Payload, policy: SchedulingPolicy = DEFAULT_POLICY):
        self.events, self.executor = [], LocalExecutor(2)
        self.scheduler = Scheduler(self.executor, self._take, policy=policy)
        folder.mkdir(exist_ok=True)
        self.job = JobRun("j", p, folder, {}, cache=Cache(folder / "cache"), policy=policy)
        self.scheduler.add(self.job)

    def _take(self, said: control.Event) -> None:
        event = json.loads(control.encode(said))
        self.events.append(event)
        if event["event"] == "segment":
            self.scheduler.adopted("j", event["index"], Path(event["path"]))

    def run(self, until=lambda: False) -> "Life":
        while self.scheduler.busy and not until():
            self.scheduler.step(0.05)
        return self

    def end(self, drain: float = 0.0) -> None:
        self.scheduler.drain(drain)
        self.scheduler.close()
        self.executor.close()

    def of(self, event: str) -> list[dict]:
        return [it for it in self.events if it["event"] == event]

    @property
    def found(self) -> dict[int, dict]:
        return {it["frame"]: it["found"] for it in self.of("frame") + self.of("kept")}

    @property
    def notes(self) -> dict:
        return reduce(notes.merged, (it["notes"] for it in self.of("segment")), {})


@pytest.fixture
def lives(tmp_path):
    started = []

    def start(policy: SchedulingPolicy = DEFAULT_POLICY, **fields) -> Life:
        started.append(Life(tmp_path / "job", payload(**fields), policy))
        return started[-1]

    yield start
    for life in started:
        life.end()


def counts(p: Payload, frame: int) -> np.ndarray:
    renderer = FrameRenderer(device_context("cpu"))
    return renderer.raw(Zoom.of(p).view(frame), p.maxiter, VIDEO_BAILOUT)[0]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"supersampling": 2, "supersampling_mode": "adaptive"},
        {
            "point": "-1.7490812690053707442832620219208639942586460813548838,0",
            "start_delta": "1e-15",
            "end_delta": "5.414e-21",
            "maxiter": 1000,
        },
    ],
)
def test_shares_of_exact_frames(lives, fields):
    life = lives(**fields).run()
    assert set(life.found) == set(range(6))
    for frame, found in life.found.items():
        count, limit = counts(life.job.payload, frame), life.job.payload.maxiter
        assert found["maxiter"] == limit and not found["flat"] and not found["auto"]
        assert found["reached"] == round(float((count > limit).mean()), 4)
        assert found["late"] == round(float(((count > limit // 2) & (count <= limit)).mean()), 4)
    assert life.notes == reduce(notes.merged, (notes.of_frame(*it) for it in life.found.items()))
    assert life.notes["reached"]["share"] > 0.1


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"frame_width": 180, "frame_height": 320},
        {"rotation": 100, "start_delta": 1e-3, "end_delta": 4},
    ],
)
def test_shares_of_frames_made_from_strips(lives, fields):
    """As those of exact frames, about: their pixels are means of many samples, and count where all are black."""
    life = lives(sampling="shared", **{"frame_width": 320, "frame_height": 180} | fields).run()
    for frame, found in life.found.items():
        count, limit = counts(life.job.payload, frame), life.job.payload.maxiter
        assert found["maxiter"] == limit and not found["flat"]
        share = (count > limit).mean()
        assert share - 0.1 < found["reached"] < share + 0.003
        late = ((count > limit // 2) & (count <= limit)).mean()
        assert late / 3 - 0.002 < found["late"] < 3 * late + 0.002


def test_the_areas_of_strips_are_those_of_their_pixels():
    strips = StripPlan(zoom := Zoom("0", "0", "2", "1e-3", 9, 160, 90), 1.1)
    for frame in (0, 4, 8):
        x, y = np.meshgrid(np.arange(1600) / 10 - 79.95, np.arange(900) / 10 - 44.95)
        row = strips.origin(frame) - strips.around / (2 * np.pi) * np.log(np.hypot(x, y))
        found, seen = strips.areas(frame), np.floor(row / strips.rows)
        assert sum(found.values()) == pytest.approx(1)
        assert all(share == pytest.approx((seen == strip).mean(), abs=2e-3) for strip, share in found.items())
    assert zoom.num_frames == 9


@pytest.mark.parametrize("sampling", ["exact", "shared"])
def test_flat_frames(lives, sampling):
    life = lives(**FAR, sampling=sampling).run()
    flat = [frame for frame, found in life.found.items() if found["flat"]]
    assert sorted(flat) == list(range(min(flat), 6)) and 0 < min(flat) < 4
    told, zoom = life.notes["flat"], Zoom.of(life.job.payload)
    assert (told["frames"], told["first"], told["last"], told["inside"], told["decimals"]) == (
        len(flat),
        min(flat),
        5,
        0,
        9,
    )
    assert [float(it) for it in told["deltas"]] == pytest.approx(
        [float(zoom.delta(k)) for k in (min(flat), 5)], rel=0.01
    )


def test_frames_inside_of_the_set(lives):
    life = lives(point="-0.1,0.1", start_delta=1e-2, end_delta=1e-4).run()
    assert life.notes["flat"]["inside"] == life.notes["flat"]["frames"] == 6
    assert life.notes["reached"]["share"] == 1


def test_limits_given_up(lives, monkeypatch):
    asked = []

    def given_up(renderer, view, reference=None, given=None):
        asked.append(view)
        return IterationLimit(500, False, "as ordered")

    monkeypatch.setattr(functions, "view_limit", given_up)
    life = lives(maxiter="auto").run()
    assert asked
    told = {"gave_up": {"views": len(asked), "delta": "2.50e+0", "maxiter": 500, "reason": "as ordered"}}
    assert life.of("limit")[-1]["notes"] == told and life.notes["gave_up"] == told["gave_up"]
    assert len(life.of("limit")) == len(asked) and all(found["auto"] for found in life.found.values())


def test_kept_pictures_bring_what_was_found_of_them(lives):
    keep_all = SchedulingPolicy(
        checkpoint_seconds=0.0, checkpoint_queue=100, checkpoint_bytes_per_second=1e12
    )
    first = lives(keep_all, num_frames=20)
    first.run(lambda: len(first.of("frame")) > 2)
    first.end(20)
    second = lives(keep_all, num_frames=20).run()
    restored = {it["frame"]: it["found"] for it in second.of("kept")}
    assert restored and all(first.found.get(frame, found) == found for frame, found in restored.items())
    assert restored.keys() & first.found.keys() and None not in restored.values()
    assert set(second.found) == set(range(20))
    assert second.notes == reduce(notes.merged, (notes.of_frame(*it) for it in second.found.items()))

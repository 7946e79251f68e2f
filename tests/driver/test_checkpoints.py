"""Pictures that were rendered outlive their driver, and are rendered once."""

import hashlib
import json
from pathlib import Path

import pytest

from mandel.driver.files.disk_cache import Cache
from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.policy import DEFAULT_POLICY, SchedulingPolicy
from mandel.driver.jobs.scheduler import Scheduler
from mandel.payload.payload import parse
from mandel.protocol import control
from mandel.protocol.strict_json import loads
from mandel.settings import PayloadLimits
from tests.support.local_executor import LocalExecutor

FIELDS = {"num_frames": 20, "frame_width": 64, "frame_height": 36, "maxiter": 200}
PAYLOAD = parse(loads(json.dumps(FIELDS).encode()), PayloadLimits())
# One frame a call: a driver that ends after two frames has never made all of them.
KEEP_ALL = SchedulingPolicy(
    max_batch=1, checkpoint_seconds=0.0, checkpoint_queue=100, checkpoint_bytes_per_second=1e12
)


class Life:
    """One life of a driver that renders the job, its files in ``folder``."""

    def __init__(self, folder: Path, policy: SchedulingPolicy = DEFAULT_POLICY):
        self.events, self.executor = [], LocalExecutor(2)
        self.cache = folder / "cache"
        self.scheduler = Scheduler(self.executor, self._take, policy=policy)
        self.scheduler.add(JobRun("j", PAYLOAD, folder, {}, cache=Cache(self.cache), policy=policy))

    def _take(self, said: control.Event) -> None:
        event = control.as_json(said)
        self.events.append(event)
        if event["event"] == "segment":
            self.scheduler.adopted("j", event["index"], Path(event["path"]))

    def frames(self, event: str) -> list[int]:
        return [e["frame"] for e in self.events if e["event"] == event]

    def run(self, until=lambda: False) -> str | None:
        """Goes on to the end, or until ``until``; the video's digest."""
        while self.scheduler.busy and not until():
            self.scheduler.step(0.05)
        videos = [Path(e["path"]).read_bytes() for e in self.events if e["event"] == "video"]
        return hashlib.sha256(videos[0]).hexdigest() if videos else None

    def end(self, drain: float) -> None:
        self.scheduler.drain(drain)
        self.scheduler.close()
        self.executor.close()


@pytest.fixture
def calm(tmp_path):
    life = Life(tmp_path / "calm")
    (tmp_path / "calm").mkdir()
    digest = life.run()
    life.end(0)
    return digest


@pytest.mark.parametrize("damage", [False, True])
def test_what_is_rendered_is_kept_while_its_segment_is_open(tmp_path, calm, damage):
    first = Life(tmp_path, KEEP_ALL)
    first.run(lambda: len(first.frames("frame")) > 1)
    first.end(20)
    pictures = list(first.cache.glob("*.yuv"))
    assert pictures
    if damage:
        pictures[0].write_bytes(pictures[0].read_bytes()[:-1] + b"x")
        pictures[-1].write_bytes(b"")
    second = Life(tmp_path, KEEP_ALL)
    assert second.run() == calm
    assert len(second.frames("kept")) >= len(pictures) - 2 * damage
    assert not set(second.frames("kept")) & set(second.frames("frame"))
    second.end(20)
    assert not list(second.cache.glob("*.yuv")), "durable segments need no pictures"


def test_a_stop_keeps_what_is_cheap_to_keep_and_dear_to_render(tmp_path, calm):
    first = Life(tmp_path, SchedulingPolicy(max_batch=1, checkpoint_seconds_at_stop=0.0))
    first.run(lambda: len(first.frames("frame")) > 1)
    first.end(20)
    second = Life(tmp_path)
    assert second.run() == calm and second.frames("kept")
    second.end(0)


def test_pictures_that_cost_nothing_are_not_kept(tmp_path):
    first = Life(tmp_path, SchedulingPolicy(checkpoint_seconds=1e6, checkpoint_seconds_at_stop=1e6))
    first.run(lambda: len(first.frames("frame")) > 1)
    first.end(0)
    assert not list(first.cache.glob("*.yuv"))

"""The cache of reference orbits: whole or absent, bounded, used."""

import os

import pytest

from mandel.driver.files.disk_cache import Cache
from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.policy import SchedulingPolicy
from mandel.driver.jobs.scheduler import Scheduler
from mandel.payload.payload import parse
from mandel.plan.reference import Reference
from mandel.protocol import control
from mandel.protocol.strict_json import loads
from mandel.settings import PayloadLimits
from mandel.tasks.units import ReferenceUnit
from tests.support.local_executor import LocalExecutor


def test_what_is_put_is_got(tmp_path):
    cache = Cache(tmp_path / "cache")
    key = Cache.key(ReferenceUnit("0", "1", 100, 1000))
    assert cache.get(key) is None
    cache.put(key, b"orbit")
    assert cache.get(key) == b"orbit"
    assert Cache.key(ReferenceUnit("0", "1", 101, 1000)) != key


def test_the_oldest_go_first(tmp_path):
    cache = Cache(tmp_path, most=250)
    for age, name in enumerate("abc"):
        cache.put(name, bytes(100))
        os.utime(tmp_path / name, (1000 + age, 1000 + age))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "c"]
    assert cache.get("b")  # used now, so c is the oldest
    cache.put("d", bytes(100))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "d"]


def test_a_disk_that_refuses_is_no_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    cache = Cache(tmp_path / "file" / "cache")
    cache.put("a", b"x")
    assert cache.get("a") is None


@pytest.mark.parametrize("damage", [False, True])
def test_a_second_job_takes_the_orbit_from_the_cache(tmp_path, damage):
    policy = SchedulingPolicy(checkpoint_seconds=0.0)
    cache, made = Cache(tmp_path / "cache"), []

    class Watching(LocalExecutor):
        def submit(self, batch):
            made.extend(task.function for task in batch)
            return super().submit(batch)

    def run(frames):
        fields = (
            b'{"num_frames": %d, "frame_width": 32, "frame_height": 32, "maxiter": 3000, "point": "0,1", '
            b'"start_delta": "1e-40", "end_delta": "1e-50"}'
        ) % frames
        executor, events = Watching(), []
        own = Scheduler(executor, lambda event: events.append(control.as_json(event)), policy=policy)
        own.add(JobRun("j", parse(loads(fields), PayloadLimits()), tmp_path, {}, cache=cache))
        while not any(event["event"] == "segment" for event in events):
            own.step(0.1)
        own.drain(20)
        own.close()
        executor.close()

    def orbit():
        (found,) = [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".yuv"]
        return found

    run(2)
    assert made.count("reference") == 1
    assert Reference.from_bytes(orbit().read_bytes()).last > 0
    if damage:
        orbit().write_bytes(orbit().read_bytes()[:-50] + bytes(50))
    run(3)
    assert made.count("reference") == (2 if damage else 1)

"""While one job's files are stored or proven, all others go on: no thread that others wait for works on the disk."""

import json
import sys
import threading
from pathlib import Path

import pytest

from mandel.payload.payload import parse
from mandel.protocol.strict_json import loads
from mandel.service.jobs.registry import Registry
from mandel.service.supervision.supervisor import Supervisor
from mandel.store.states import CANCELLED, DONE
from mandel.store.store import Store
from tests.service.heads import SMALL, expected_video
from tests.support.processes import wait_for


class Stuck:
    """Work on the disk that does not end, for one job, until it is freed."""

    def __init__(self, work, job: str):
        self._work, self._job = work, job
        self.hit, self.free = threading.Event(), threading.Event()

    def __call__(self, job, *arguments):
        if job == self._job and not self.free.is_set():
            self.hit.set()
            assert self.free.wait(60)
        return self._work(job, *arguments)


class Works:
    """A register of two jobs, with a stand-in driver that has them."""

    def __init__(self, folder: Path, monkeypatch):
        self.orders = folder / "orders"
        self.orders.mkdir()
        monkeypatch.setenv("STAND_IN", str(self.orders))
        self.store = Store(folder / "DB")
        payloads = [parse(loads(json.dumps(SMALL | {"maxiter": maxiter}).encode())) for maxiter in (11, 12)]
        for payload in payloads:
            text = json.dumps(payload.canonical())
            self.store.add(payload.job_id(), payload.canonical(), text, SMALL["num_frames"])
        self.first, self.second = (payload.job_id() for payload in payloads)
        self.registry = Registry(self.store, 0, 100, 100)
        command = [sys.executable, str(Path(__file__).with_name("stand_in_driver.py"))]
        self.supervisor = Supervisor(self.registry, command, 20)

    def job(self, name: str):
        return self.registry.find(name)

    def rendered(self, name: str) -> list[int]:
        lines = (self.orders / "rendered").read_text().splitlines()
        return [int(line.split()[1]) for line in lines if line.startswith(name)]

    def is_said(self, name: str) -> bool:
        return (self.orders / "rendered").exists() and bool(self.rendered(name))

    def is_done(self, name: str) -> bool:
        return self.job(name).state == DONE and self.store.names.job(name).exists()

    def video(self, name: str) -> bytes:
        (path,) = self.store.names.job(name).rglob("video.mp4")
        return path.read_bytes()

    def close(self) -> None:
        self.registry.close()
        self.supervisor.stop(5)
        self.store.close()


@pytest.fixture
def works(tmp_path, monkeypatch):
    works = Works(tmp_path, monkeypatch)
    yield works
    works.close()


def test_frames_count_and_cancels_go_out_while_a_segment_is_stored(works, monkeypatch):
    first, second = works.first, works.second
    stuck = Stuck(works.store.add_segment, first)
    monkeypatch.setattr(works.store, "add_segment", stuck)
    works.supervisor.start()
    try:
        assert stuck.hit.wait(60)
        wait_for(lambda: works.job(second).done == 5, 20, "the other job's frames count")
        works.registry.cancel(second)
        lie = works.orders / "new"
        lie.write_text(json.dumps({"event": "frame", "job": first, "frame": 99}))
        lie.rename(works.orders / "say")
        wait_for(lambda: not (works.orders / "say").exists(), 20, "the driver says nonsense of the first job")
    finally:
        stuck.free.set()
    wait_for(lambda: works.is_done(first), 60, "the first job is done")
    assert works.video(first) == expected_video(first)
    # What was said before the nonsense is stored before the job is taken from the driver.
    assert [works.rendered(first).count(frame) for frame in range(5)] == [1] * 5
    wait_for(lambda: not works.registry.cancelling, 20, "the driver has let the other go")
    assert works.job(second).state == CANCELLED
    wait_for(lambda: not list(works.store.names.tmp.iterdir()), 20, "nothing is left of either")


def test_a_driver_that_says_more_than_can_be_stored_is_replaced(works, monkeypatch):
    first, second = works.first, works.second
    monkeypatch.setattr(works.supervisor, "_storing_room", threading.Semaphore(20))
    stuck = Stuck(works.store.add_segment, first)
    monkeypatch.setattr(works.store, "add_segment", stuck)
    works.supervisor.start()
    try:
        assert stuck.hit.wait(60)
        wait_for(lambda: works.is_said(second), 20, "the other job is heard of")
        chatter = works.orders / "new"
        said = json.dumps({"event": "unneeded", "job": first, "strips": []})
        chatter.write_text("\n".join([said] * 30))
        chatter.rename(works.orders / "say")
        wait_for(lambda: works.supervisor._driver is None, 20, "the head hears no more of this driver")
    finally:
        stuck.free.set()
    for name in (first, second):
        wait_for(lambda name=name: works.is_done(name), 60, "another driver makes both")
        assert works.video(name) == expected_video(name)
    assert works.supervisor.facts["starts"] == 2


def test_jobs_go_on_while_the_segments_of_another_are_proven(works, monkeypatch):
    first, second = works.first, works.second
    (works.orders / "hold").touch()
    stuck = Stuck(works.store.segments, second)
    monkeypatch.setattr(works.store, "segments", stuck)
    works.supervisor.start()
    try:
        assert stuck.hit.wait(60)
        (works.orders / "hold").unlink()
        wait_for(
            lambda: works.is_done(first), 60, "the first job is done, whose segments the driver was told of"
        )
        works.registry.cancel(second)
        assert works.registry.cancelling == {second}
    finally:
        stuck.free.set()
    wait_for(lambda: not works.registry.cancelling, 20, "the other is not begun any more")
    assert works.job(second).state == CANCELLED and works.rendered(second) == []
    works.registry.retry(second)
    wait_for(lambda: works.is_done(second), 60, "asked for again it is made")
    assert works.video(second) == expected_video(second)
    wait_for(lambda: not list(works.store.names.tmp.iterdir()), 20, "nothing is left of either")

"""A job that cannot be begun: it ends clearly, and whatever happens to it meanwhile, the others go on."""

import json
import sys
import threading
from pathlib import Path

import pytest

from mandel.errors import StoreError
from mandel.payload.payload import parse
from mandel.protocol import control
from mandel.protocol.strict_json import loads
from mandel.service.jobs.job import RUNNING
from mandel.service.jobs.registry import Registry
from mandel.service.jobs.suspects import MOST_DEATHS
from mandel.service.supervision.supervisor import Supervisor
from mandel.store.states import CANCELLED, DONE, FAILED, PAUSED, QUEUED
from mandel.store.store import Store
from tests.service.heads import SMALL
from tests.store.scenario import SEGMENTS, put
from tests.support import processes

PAYLOAD = parse(loads(json.dumps(SMALL).encode()))
STAND_IN = Path(__file__).with_name("stand_in_driver.py")
JOB, CANONICAL = PAYLOAD.job_id(), PAYLOAD.canonical()


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "DB")
    yield store
    store.close()


def begun(store, job: str = JOB, payload: dict = CANONICAL):
    """Register and supervisor of one job that was handed out; and what the driver is told of it."""
    store.add(job, payload, json.dumps(payload), SMALL["num_frames"])
    registry = Registry(store, 0, 100, 100)
    supervisor = Supervisor(registry, [], 20)
    found = registry.next()

    def begin() -> control.Order | None:
        supervisor._begin(found, None)
        return supervisor._outbox.popleft() if supervisor._outbox else None

    return registry, begin, found


def fail_after(store, monkeypatch, action) -> None:
    """The disk fails while a job is begun, just after ``action``."""

    def segments(job):
        action(job)
        raise StoreError("DISK_FAILED", "as ordered")

    monkeypatch.setattr(store, "segments", segments)


def test_a_job_cancelled_while_it_cannot_be_begun_is_let_go(store, monkeypatch):
    registry, begin, job = begun(store)
    fail_after(store, monkeypatch, registry.cancel)
    assert begin() is None and job.state == CANCELLED and not registry.cancelling
    again = registry.retry(JOB)
    assert [registry.next(), registry.next(), registry.next()] == [control.Cancel(job=JOB), again, None]


def test_a_job_paused_while_it_cannot_be_begun_rests(store, monkeypatch):
    registry, begin, job = begun(store)
    fail_after(store, monkeypatch, registry.pause)
    assert begin() is None and job.state == PAUSED == store.get(JOB).state and not registry.cancelling
    assert registry.resume(JOB).state == QUEUED


@pytest.mark.parametrize("payload, code", [(CANONICAL, "OLD_ENGINE"), (CANONICAL | {"colour": 1}, "BAD_JOB")])
def test_a_job_of_an_older_version_ends_clearly(store, payload, code):
    old = "0" * 64
    registry, begin, job = begun(store, old, payload)
    path, sha256 = put(store, SEGMENTS[0])
    store.add_segment(old, 0, path, 5, sha256)
    assert begin() is None and store.get(old).state == FAILED
    assert job.error.code == code and "send its payload again" in job.error.message
    assert store.evict(0, idle=-1) == [old] and not store.names.job(old).exists()
    assert registry.next() is None


def test_a_job_that_no_driver_was_told_of_is_not_to_blame(store, monkeypatch, tmp_path):
    """Its segments are proven for long; meanwhile driver after driver talks nonsense and is replaced."""
    mark = processes.new_mark()
    for name, value in (
        (processes.VARIABLE, mark),
        ("STAND_IN", str(tmp_path)),
        ("PYTHONPATH", str(STAND_IN.parents[2])),
    ):
        monkeypatch.setenv(name, value)
    entered, go_on, segments = threading.Event(), threading.Event(), store.segments

    def slowly(job):
        entered.set()
        assert go_on.wait(300)
        return segments(job)

    monkeypatch.setattr(store, "segments", slowly)
    registry = Registry(store, 0, 100, 100)
    supervisor = Supervisor(registry, [sys.executable, str(STAND_IN)], 60)
    supervisor.start()
    try:
        job = registry.ask(PAYLOAD)
        assert entered.wait(120) and job.state == RUNNING
        for _ in range(MOST_DEATHS + 1):
            pid = supervisor.facts["pid"]
            (tmp_path / "new").write_text("nonsense")
            (tmp_path / "new").rename(tmp_path / "say")
            processes.wait_for(
                lambda pid=pid: supervisor.facts["pid"] != pid and supervisor.facts["state"] == "ready",
                120,
                "another driver",
            )
            assert not (tmp_path / "say").exists(), "it was said"
        go_on.set()
        processes.wait_for(lambda: not job.live, 120, "it ends")
        assert job.state == DONE and job.error is None
    finally:
        go_on.set()
        registry.close()
        supervisor.stop(5)
        processes.end_all(mark)


def test_a_job_of_this_version_is_begun(store):
    _registry, begin, _job = begun(store)
    told = begin()
    assert isinstance(told, control.Render) and told.job == JOB and told.payload == CANONICAL
    assert (told.segments, told.source, told.strips) == ([], None, [])

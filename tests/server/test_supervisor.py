"""A job that cannot be begun: it ends clearly, and whatever happens to it meanwhile, the others go on."""

import json

import pytest

from mandel.errors import StoreError
from mandel.payload import parse
from mandel.protocol.strict_json import loads
from mandel.server.register import Register
from mandel.server.supervisor import Supervisor
from mandel.store.states import CANCELLED, FAILED, PAUSED, QUEUED
from mandel.store.store import Store
from tests.server.heads import SMALL
from tests.store.scenario import SEGMENTS, put

PAYLOAD = parse(loads(json.dumps(SMALL).encode()))
JOB, CANONICAL = PAYLOAD.job_id(), PAYLOAD.canonical()


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "DB")
    yield store
    store.close()


def begun(store, job: str = JOB, payload: dict = CANONICAL):
    """Register and supervisor of one job that was handed out; and what the driver is told of it."""
    store.add(job, payload, json.dumps(payload), SMALL["num_frames"])
    register = Register(store, 0, 100, 100)
    supervisor = Supervisor(register, [], 20)
    found = register.next()
    return register, lambda: supervisor._order(found, None), found


def fail_after(store, monkeypatch, action) -> None:
    """The disk fails while a job is begun, just after ``action``."""

    def segments(job):
        action(job)
        raise StoreError("DISK_FAILED", "as ordered")

    monkeypatch.setattr(store, "segments", segments)


def test_a_job_cancelled_while_it_cannot_be_begun_is_let_go(store, monkeypatch):
    register, begin, job = begun(store)
    fail_after(store, monkeypatch, register.cancel)
    assert begin() is None and job.state == CANCELLED and not register.letting_go
    again = register.retry(JOB)
    assert [register.next(), register.next(), register.next()] == [{"do": "cancel", "job": JOB}, again, None]


def test_a_job_paused_while_it_cannot_be_begun_rests(store, monkeypatch):
    register, begin, job = begun(store)
    fail_after(store, monkeypatch, register.pause)
    assert begin() is None and job.state == PAUSED == store.get(JOB).state and not register.letting_go
    assert register.resume(JOB).state == QUEUED


@pytest.mark.parametrize("payload, code", [(CANONICAL, "OLD_ENGINE"), (CANONICAL | {"colour": 1}, "BAD_JOB")])
def test_a_job_of_an_older_version_ends_clearly(store, payload, code):
    old = "0" * 64
    register, begin, job = begun(store, old, payload)
    path, sha256 = put(store, SEGMENTS[0])
    store.add_segment(old, 0, path, 5, sha256)
    assert begin() is None and store.get(old).state == FAILED
    assert job.error.code == code and "send its payload again" in job.error.message
    assert store.evict(0, idle=-1) == [old] and not store.names.job(old).exists()
    assert register.next() is None


def test_a_job_of_this_version_is_begun(store):
    _register, begin, _job = begun(store)
    told = begin()
    assert (
        told["do"] == "render"
        and told["job"] == JOB
        and told["payload"] == CANONICAL
        and told["segments"] == {}
    )

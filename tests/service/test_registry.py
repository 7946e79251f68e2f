"""What the register says of jobs that no driver has: paused, cancelled, asked for again."""

import hashlib
import json

import pytest

from mandel.payload.payload import parse
from mandel.protocol import control
from mandel.service.jobs.registry import Registry
from mandel.store.store import Store
from tests.store.scenario import SEGMENTS, put

PAYLOAD = parse({"num_frames": 10})
JOB = PAYLOAD.job_id()


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "DB")
    store.add(JOB, PAYLOAD.canonical(), PAYLOAD.text(), 10)
    path, sha256 = put(store, SEGMENTS[0])
    store.add_segment(JOB, 0, path, 5, sha256)
    yield store
    store.close()


@pytest.fixture
def registry(store):
    return Registry(store, 0, 100, 100)


def ask(registry, **fields):
    return registry.ask(PAYLOAD, **fields)


def test_finished_segments_show_whoever_left_the_job_alone(store, registry):
    assert registry.find(JOB).progress()["done"] == 5  # as after a restart
    registry.cancel(JOB)
    assert registry.find(JOB).progress()["done"] == 5
    assert [row["done"] for row in json.loads(registry.list())] == [5]
    assert registry.retry(JOB).progress()["done"] == 5


def test_a_pause_says_how_many_frames_are_rendered_again(registry):
    job = registry.next()
    job.begin(job.segments)
    for number in (5, 6, 9):
        job.frame(number, "node", 1)
    assert "again" not in registry.describe(job)
    for _ in range(2):
        registry.pause(JOB)
        assert (job.progress()["done"], registry.describe(job)["again"]) == (5, 3)
    registry.resume(JOB)
    assert registry.next() == control.Cancel(job=JOB)
    registry.cancel_confirmed(JOB)
    registry.next().begin(job.segments)
    assert "again" not in job.progress()


def test_a_pause_does_not_change_when_a_job_was_asked_for(store, registry):
    began = store.get(JOB).asked
    registry.pause(JOB)
    registry.resume(JOB)
    assert store.get(JOB).asked == began
    registry.cancel(JOB)
    ask(registry)
    assert store.get(JOB).asked > began


def test_segments_of_another_map_are_not_gone_on_with(store, registry):
    registry.cancel(JOB)
    assert ask(registry, source="f" * 64).progress()["done"] == 0
    assert store.segments(JOB) == [] and store.get(JOB).source == "f" * 64
    registry.cancel(JOB)
    assert ask(registry).source == "f" * 64


def test_lists_show_what_a_job_is_called_how_long_it_lasts_and_its_look(store, registry):
    other = parse({"num_frames": 90, "fps": "30", "palette": "ember"})
    registry.ask(other, name="Into the valley")
    ask(registry, name="short")
    ask(registry, name="shorter")  # which renames it
    ask(registry)  # and this says nothing
    rows = {row["job"]: row for row in json.loads(registry.list())}
    shown = [[rows[job][field] for field in ("name", "length", "look")] for job in (JOB, other.job_id())]
    assert shown == [
        ["shorter", None, None],
        ["Into the valley", 3.0, "evening, ember"],
    ]  # the first was stored without
    assert registry.describe(registry.find(JOB))["name"] == "shorter"
    assert registry.describe(registry.find(other.job_id()))["look"] == "evening, ember"
    assert store.get(other.job_id()).name == "Into the valley"


def test_jobs_that_run_or_wait_are_counted_but_for_one(registry):
    other = parse({"num_frames": 90})
    registry.ask(other)
    assert registry.at_work(JOB) == registry.at_work(other.job_id()) == 1 and registry.at_work("") == 2
    registry.pause(other.job_id())
    assert (registry.at_work(JOB), registry.at_work("")) == (0, 1)


def test_a_list_says_what_of_a_job_is_kept_strips(store, registry):
    assert "kept" not in json.loads(registry.list())[0]
    path = store.new_tmp(JOB) / "strip-0"
    path.write_bytes(b"x" * 5_000)
    store.strips.add(JOB, 0, 0, path, hashlib.sha256(b"x" * 5_000).hexdigest())
    (row,) = json.loads(registry.list())
    assert row["kept"] == registry.describe(registry.find(JOB))["kept"] == 8192 < row["bytes"]

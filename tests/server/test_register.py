"""What the register says of jobs that no driver has: paused, cancelled, asked for again."""

import json

import pytest

from mandel.server.register import Register
from mandel.store.store import Store
from tests.store.scenario import JOB, SEGMENTS, put


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "DB")
    store.add(JOB, {"num_frames": 10}, '{"num_frames":10}', 10)
    path, sha256 = put(store, SEGMENTS[0])
    store.add_segment(JOB, 0, path, 5, sha256)
    yield store
    store.close()


@pytest.fixture
def register(store):
    return Register(store, 0, 100, 100)


def ask(register, **fields):
    return register.ask(JOB, {"num_frames": 10}, '{"num_frames":10}', 10, **fields)


def test_finished_segments_show_whoever_left_the_job_alone(store, register):
    assert register.find(JOB).progress()["done"] == 5  # as after a restart
    register.cancel(JOB)
    assert register.find(JOB).progress()["done"] == 5
    assert [row["done"] for row in json.loads(register.list())] == [5]
    assert register.retry(JOB).progress()["done"] == 5


def test_a_pause_says_how_many_frames_are_rendered_again(register):
    job = register.next()
    job.begin(job.segments)
    for number in (5, 6, 9):
        job.frame(number, "node", 1)
    assert "again" not in register.describe(job)
    for _ in range(2):
        register.pause(JOB)
        assert (job.progress()["done"], register.describe(job)["again"]) == (5, 3)
    register.resume(JOB)
    assert register.next() == {"do": "cancel", "job": JOB}
    register.let_go(JOB)
    register.next().begin(job.segments)
    assert "again" not in job.progress()


def test_segments_of_another_map_are_not_gone_on_with(store, register):
    register.cancel(JOB)
    assert ask(register, source="f" * 64).progress()["done"] == 0
    assert store.segments(JOB) == [] and store.get(JOB).source == "f" * 64
    register.cancel(JOB)
    assert ask(register).source == "f" * 64

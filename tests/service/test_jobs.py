"""The table of states, and what a job tells of its progress."""

import threading

import pytest

from mandel.errors import MandelError
from mandel.payload.payload import Payload
from mandel.service.jobs.job import LIVE, RUNNING, TABLE, Job, after
from mandel.store.states import CANCELLED, DONE, FAILED, QUEUED
from mandel.store.store import Record

EVENTS = {event for row in TABLE.values() for event in row}


def job(frames: int = 10) -> Job:
    return Job(threading.RLock(), Record("0" * 64, {}, frames, QUEUED, 0.0, None, {}), Payload)


def apply(job: Job, *events: str) -> Job:
    with job.changed:
        for event in events:
            job.apply(event)
    return job


@pytest.mark.parametrize(
    "events, state",
    [
        (["start"], RUNNING),
        (["start", "finish"], DONE),
        (["start", "requeue", "start", "finish", "damage"], QUEUED),
        (["start", "fail", "ask"], QUEUED),
        (["cancel", "cancel", "ask", "cancel"], CANCELLED),
        (["start", "cancel", "ask"], QUEUED),
        (["start", "finish", "cancel", "ask"], DONE),
        (["fail", "cancel"], FAILED),
    ],
)
def test_lives(events, state):
    assert apply(job(), *events).state == state


def test_every_other_event_is_refused():
    for state, row in TABLE.items():
        for event in EVENTS - set(row):
            with pytest.raises(MandelError) as caught:
                after(state, event)
            assert caught.value.code == "BAD_TRANSITION"


def test_asking_again_makes_live_whatever_is_not_done():
    assert all(after(state, "ask") in (*LIVE, DONE) for state in TABLE)
    assert all("cancel" in row for row in TABLE.values())


def test_progress_counts_each_frame_once_and_finished_segments():
    running = apply(job(frames=10), "start")
    running.begin({0: 4})
    for frame in (4, 5, 5, 6):
        running.frame(frame, "a", 1)
    told = running.progress()
    assert (told["done"], told["frames"], told["segments"], running.nodes["a"]) == (7, 10, 1, 3)
    assert told["rate"] > 0
    assert apply(running, "finish").progress()["done"] == 10


def test_the_time_left_is_what_the_driver_said_last_and_is_forgotten_with_it():
    running = apply(job(frames=10), "start")
    running.begin({})
    assert running.progress()["seconds_left"] is None
    running.left = [3.0, 5.0]
    assert running.progress()["seconds_left"] == [3.0, 5.0]
    assert apply(running, "requeue").progress()["seconds_left"] is None
    apply(running, "start")
    running.begin({})
    assert running.progress()["seconds_left"] is None


def test_frames_that_were_kept_count_as_done_and_say_nothing_of_the_rate():
    running = apply(job(frames=10), "start")
    running.begin({0: 4})
    for frame in (4, 5, 5):
        running.restored(frame)
    running.frame(5, "a", 1)  # its picture was lost after all
    told = running.progress()
    assert (told["done"], told["rate"], running.nodes["a"]) == (6, None, 1)


def test_progress_of_a_queued_job_knows_no_rate():
    told = job().progress()
    assert told["state"] == QUEUED and told["rate"] is None and told["seconds_left"] is None

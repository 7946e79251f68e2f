"""Eviction: what goes first, what stays."""

import hashlib
import time

import pytest

from mandel.errors import StoreError
from mandel.store.states import CANCELLED, DONE, QUEUED
from mandel.store.store import Store

SIZE = 1000


@pytest.fixture
def store(tmp_path):
    own = Store(tmp_path / "DB")
    yield own
    own.close()


def file(store, name: str) -> tuple:
    data = name.encode() * (SIZE // len(name))
    data += bytes(SIZE - len(data))
    path = store.names.tmp / name
    path.write_bytes(data)
    return path, hashlib.sha256(data).hexdigest()


def make(store, digit: str, done: bool = True) -> str:
    """A job of a segment and, if it is done, a video; ``SIZE`` bytes each."""
    job = digit * 64
    store.add(job, {}, "{}", 1)
    path, sha256 = file(store, f"{digit}-segment")
    store.add_segment(job, 0, path, 1, sha256)
    if done:
        path, sha256 = file(store, f"{digit}-video")
        store.finish(job, path, None, 1, sha256, {})
    return job


def test_nothing_goes_while_there_is_room(store):
    make(store, "a")
    assert store.evict(2 * SIZE, idle=0) == []
    assert store.segments("a" * 64)


def test_segments_of_done_jobs_go_before_videos_and_the_oldest_before_the_newest(store):
    jobs = [make(store, digit) for digit in "abc"]
    assert store.evict(4 * SIZE, idle=0) == []
    assert [len(store.segments(job)) for job in jobs] == [0, 0, 1]
    assert store.evict(2 * SIZE, idle=0) == [jobs[0]]
    assert store.get(jobs[0]) is None and not store.names.job(jobs[0]).exists()
    for job in jobs[1:]:
        store.open(job).file.close()


def test_pinned_unfinished_and_recent_jobs_stay(store):
    pinned, unfinished, ended = make(store, "a"), make(store, "b", done=False), make(store, "c")
    store.set_wish(pinned, "pinned", True)
    assert store.evict(0) == []
    assert store.evict(0, idle=0) == [ended]
    assert store.get(pinned).state == DONE and store.get(unfinished).state == QUEUED
    store.open(pinned).file.close()
    assert store.segments(unfinished)
    store.set_wish(pinned, "pinned", False)
    store.touch(pinned)
    assert store.evict(0, idle=30) == []


def test_a_clock_that_was_wrong_keeps_nothing_for_ever(store, monkeypatch):
    job, now = make(store, "a"), time.time()
    monkeypatch.setattr(time, "time", lambda: now - 1e6)
    assert store.evict(0) == [job]


def test_an_evicted_job_is_made_again(store):
    job = make(store, "a")
    store.evict(0, idle=0)
    with pytest.raises(StoreError):
        store.open(job)
    assert make(store, "a") == job
    store.open(job).file.close()


def test_a_start_after_an_eviction_finds_nothing_amiss(store):
    make(store, "a"), make(store, "b")
    store.evict(SIZE, idle=0)
    store.close()
    store.__init__(store.names.root)
    assert str(store.recovery) == "nothing to recover"


def test_jobs_without_files_are_forgotten_with_the_others_of_their_age(store):
    jobs = []
    for digit in "ab":
        cancelled = digit.replace("a", "c").replace("b", "d") * 64
        store.add(cancelled, {}, "{}", 1)
        store.set_state(cancelled, CANCELLED)
        jobs += [cancelled, make(store, digit)]
    assert store.evict(SIZE, idle=0) == jobs[:2]
    assert not store.names.job(jobs[0]).exists() and store.get(jobs[2]) is not None

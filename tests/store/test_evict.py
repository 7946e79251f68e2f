"""Eviction: what goes first, what stays, and that nothing under DB/ is free."""

import hashlib
import os
import sqlite3
import threading
import time
from contextlib import contextmanager

import pytest

from mandel.errors import StoreError
from mandel.store.evict import MOST_PINNED
from mandel.store.states import CANCELLED, DONE, QUEUED
from mandel.store.store import Store
from mandel.store.usage import of_folder

SIZE = 100_000


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
    """A job with a video, or, if it is not done, a segment; ``SIZE`` bytes."""
    job = digit * 64
    store.add(job, {}, "{}", 1)
    path, sha256 = file(store, f"{digit}-data")
    if done:
        store.finish(job, path, None, 1, sha256, {})
    else:
        store.add_segment(job, 0, path, 1, sha256)
    return job


def cancelled(store, number: int, payload: str = "{}") -> str:
    job = f"{number:064x}"
    store.add(job, {}, payload, 1)
    store.set_state(job, CANCELLED)
    return job


def test_nothing_goes_while_there_is_room(store):
    job = make(store, "a")
    assert store.evict(store.usage().total, idle=0) == store.evict(None, idle=0) == []
    assert store.get(job).state == DONE


def test_the_oldest_goes_before_the_newest(store):
    jobs = [make(store, digit) for digit in "abc"]
    assert store.evict(store.usage().total - SIZE, idle=0) == [jobs[0]]
    assert store.get(jobs[0]) is None and not store.names.job(jobs[0]).exists()
    assert not list(store.names.tmp.iterdir())
    for job in jobs[1:]:
        store.open(job).file.close()


def test_pinned_unfinished_and_recent_jobs_stay(store):
    pinned, unfinished, ended = make(store, "a"), make(store, "b", done=False), make(store, "c")
    store.pin(pinned, True, None)
    most = 2 * store.bytes(pinned)  # of which pinned jobs may take a half
    assert store.evict(most) == []
    assert store.evict(most, idle=0) == [ended]
    assert store.get(pinned).state == DONE and store.get(unfinished).state == QUEUED
    store.open(pinned).file.close()
    assert store.segments(unfinished)
    store.pin(pinned, False, None)
    store.touch(pinned)
    assert store.evict(0, idle=30) == []
    assert store.evict(0, idle=0) == [pinned]


def test_a_clock_that_was_wrong_keeps_nothing_for_ever(store, monkeypatch):
    job, now = make(store, "a"), time.time()
    monkeypatch.setattr(time, "time", lambda: now - 1e6)
    assert store.evict(0) == [job]


def test_an_evicted_job_is_made_again(store):
    job = make(store, "a")
    store.evict(0, idle=0)
    with pytest.raises(StoreError) as caught:
        store.open(job)
    assert caught.value.code == "NO_JOB"  # and not that it was damaged
    assert make(store, "a") == job
    store.open(job).file.close()


def test_a_start_after_an_eviction_finds_nothing_amiss(store):
    make(store, "a"), make(store, "b")
    store.evict(store.usage().total - 1, idle=0)
    store.close()
    store.__init__(store.names.root)
    assert str(store.recovery) == "nothing to recover"


def test_jobs_without_files_are_forgotten_with_the_others_of_their_age(store):
    jobs = [cancelled(store, 1), make(store, "a"), cancelled(store, 2), make(store, "b")]
    assert store.evict(store.usage().total - SIZE, idle=0) == jobs[:2]
    assert not store.names.job(jobs[0]).exists() and store.get(jobs[2]) is not None


def test_payloads_of_cancelled_jobs_count(store):
    """62 KB of digits each, rendered and cancelled, cost the disk what they cost."""
    jobs = [cancelled(store, number, '{"point":"' + "1" * 62_000 + '"}') for number in range(40)]
    gone = store.evict(1_000_000, idle=0)
    assert gone == jobs[: len(gone)] and 25 < len(gone) < 40
    assert store.usage().total <= 1_000_000


@pytest.mark.parametrize("part", ["cache", "lost", "tmp", "."])
def test_everything_under_the_folder_counts(store, part):
    job, before = make(store, "a"), store.usage().total
    folder = store.names.root / part
    folder.mkdir(exist_ok=True)
    (folder / ("e" * 64)).write_bytes(bytes(50_000))
    assert store.usage().total - before >= 50_000
    now = sum(path.lstat().st_size for path in store.names.root.rglob("*"))
    assert now <= store.usage().total
    if part == "cache":  # which the driver misses only for a while
        assert store.evict(before, idle=-1) == [] and not list(store.names.cache.iterdir())
        assert store.get(job) is not None
    else:
        assert store.evict(before, idle=0) == [job]


def test_the_cache_s_newest_stay_and_its_oldest_go(store):
    for number in range(4):
        path = store.names.cache / f"{number:064x}"
        path.write_bytes(bytes(8192))
        os.utime(path, (1000 + number, 1000 + number))
    (store.names.cache / "of nobody").write_bytes(b"x")
    store.evict(store.usage().total - 8193)
    assert sorted(path.name for path in store.names.cache.iterdir()) == [
        f"{2:064x}",
        f"{3:064x}",
        "of nobody",
    ]


def test_jobs_are_forgotten_by_number_and_those_without_a_video_first(store):
    videos = [make(store, digit) for digit in "ab"]
    jobs = [cancelled(store, number) for number in range(5)]
    assert store.evict(None, idle=0, ended=4) == jobs[:3]
    assert store.evict(None, idle=0, ended=1) == jobs[3:] + videos[:1]


def test_jobs_without_a_video_are_forgotten_by_age(store, monkeypatch):
    old, video = cancelled(store, 1), make(store, "a")
    later = time.time() + 31 * 86_400
    monkeypatch.setattr(time, "time", lambda: later)
    young = cancelled(store, 2)
    assert store.evict(None) == [old]
    assert store.get(young) and store.get(video)


def test_a_few_are_forgotten_in_a_turn_and_the_lock_is_free_in_between(store):
    jobs = [cancelled(store, number) for number in range(20)]
    held = []

    class Hold:
        def __enter__(self):
            held.append(len([job for job in jobs if store.names.job(job).exists()]))

        def __exit__(self, *_):
            pass

    assert store.evict(0, idle=0, few=8, hold=Hold()) == jobs[:8]
    assert held == list(range(20, 12, -1))  # once for each
    assert store.evict(0, idle=0, few=8) == jobs[8:16]
    assert store.evict(0, idle=0, few=8) == jobs[16:]


def test_a_job_asked_for_while_others_go_stays(store):
    """What was so when the candidates were chosen is looked at again when their time comes."""
    jobs = [cancelled(store, number) for number in range(3)]

    class Asking:
        def __enter__(self):
            store.set_state(jobs[1], QUEUED)

        def __exit__(self, *_):
            pass

    assert store.evict(0, idle=0, hold=Asking()) == [jobs[0], jobs[2]]
    assert store.get(jobs[1]).state == QUEUED and store.names.payload(jobs[1]).exists()


def test_pins_are_limited_in_words(store):
    jobs = [make(store, digit) for digit in "abc"]
    most = 5 * store.bytes(jobs[0])
    for job in jobs[:2]:
        store.pin(job, True, most)
        store.pin(job, True, most)  # again is fine
    with pytest.raises(StoreError) as caught:
        store.pin(jobs[2], True, most)
    assert (
        caught.value.code == "TOO_MANY_PINS"
        and "50%" in caught.value.message
        and "unpin" in caught.value.message
    )
    store.pin(jobs[2], True, None)  # no limit
    with sqlite3.connect(store.names.index) as db:
        for number in range(MOST_PINNED):
            db.execute(
                "INSERT INTO jobs (id, payload, frames, state, asked, pinned) VALUES (?, '', 1, 'failed', 0, 1)",
                (f"{number:064x}",),
            )
    db.close()
    with pytest.raises(StoreError) as caught:
        store.pin("e" * 64, True, None)
    assert str(MOST_PINNED) in caught.value.message


def test_pins_do_not_make_the_limit_void(store):
    """Jobs pinned while they were small grow beyond what pins may take: the longest unused of them go."""
    jobs = [make(store, digit) for digit in "abcd"]
    for job in jobs:
        store.pin(job, True, None)
    most = 4 * store.bytes(jobs[0]) + 1
    gone = store.evict(most - 1, idle=0)
    assert gone == jobs[:2] and store.usage().pinned <= most / 2


def test_the_folder_is_counted_as_a_disk_does(store):
    make(store, "a")
    cancelled(store, 1)
    on_disk = of_folder(store.names.root)
    assert abs(store.usage().total - on_disk) <= 16 * 4096  # folders, at most: of jobs, by prefix


def test_a_job_is_deleted_files_and_all(store):
    job = make(store, "a")
    gone = store.delete(job)
    assert gone.parent == store.names.tmp and store.get(job) is None and not store.names.job(job).exists()
    assert store.delete(job) is None
    store.add("b" * 64, {}, "{}", 1, source=job)
    with pytest.raises(StoreError) as caught:
        store.delete(job)
    assert caught.value.code == "IN_USE"


def test_eviction_and_acceptance_at_the_same_time(store):
    """Jobs come while others go: no row without a payload, no folder without a row."""
    for number in range(100):
        cancelled(store, number)
    turns = threading.Thread(target=lambda: [store.evict(0, idle=0, few=8) for _ in range(20)])
    turns.start()
    added = [cancelled(store, 1000 + number) for number in range(20)]
    turns.join()
    store.close()
    store.__init__(store.names.root)
    assert store.recovery.forgotten == store.recovery.rebuilt == 0
    assert all(store.get(job) is None or store.names.payload(job).exists() for job in added)


@pytest.mark.parametrize("code", ["DISK_FULL", "INDEX_FAILED"])
def test_a_full_disk_lets_jobs_be_deleted_and_another_trouble_loses_nothing(store, monkeypatch, code):
    job, hit = make(store, "a"), []
    write = store._index.write

    @contextmanager
    def failing(label):
        with write(label) as db:
            yield db
            if label == "discard" and not hit:
                hit.append(label)
                raise StoreError(code, "as ordered")

    monkeypatch.setattr(store._index, "write", failing)
    if code == "DISK_FULL":
        assert not store.delete(job).exists() and store.get(job) is None
    else:
        with pytest.raises(StoreError):
            store.delete(job)
        store.open(job).file.close()
    assert hit

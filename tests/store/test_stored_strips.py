"""Raw strips in the store: proven like files, counted, and evicted in their turn."""

import hashlib
import shutil
from collections import namedtuple

import pytest

from mandel.errors import StoreError
from mandel.store.states import CANCELLED, DONE
from mandel.store.store import Store

JOB, OTHER = "a" * 64, "b" * 64
DATA = b"samples" * 100


@pytest.fixture
def store(tmp_path):
    own = Store(tmp_path / "DB")
    own.add(JOB, {}, "{}", 1)
    yield own
    own.close()


def put(store, number: int, job: str = JOB, data: bytes = DATA, base: int = 0) -> None:
    path = store.new_tmp(job) / "file"
    path.write_bytes(data)
    store.strips.add(job, number, base, path, hashlib.sha256(data).hexdigest())


def test_strips_are_stored_replaced_and_removed(store):
    for number in (-1, 0, 7):
        put(store, number)
    put(store, 7, data=DATA * 2, base=3)
    strips = store.strips.of(JOB)
    assert [(s.number, s.base, s.bytes) for s in strips] == [(-1, 0, 700), (0, 0, 700), (7, 3, 1400)]
    assert [s.path.read_bytes() for s in strips] == [DATA, DATA, DATA * 2]
    assert strips[2].sha256 == hashlib.sha256(DATA * 2).hexdigest() and store.strips.bytes(JOB) == 3 * 4096
    assert store.bytes(JOB) == 3 * 4096 + 3 * 4096
    store.strips.remove(JOB, [0, 99])
    assert [s.number for s in store.strips.of(JOB)] == [-1, 7] and not strips[1].path.exists()
    store.strips.remove(JOB)
    assert not store.strips.of(JOB) and not store.names.strips(JOB).exists()


def test_a_strip_that_is_not_what_was_written_is_refused(store):
    path = store.new_tmp(JOB) / "file"
    path.write_bytes(DATA)
    with pytest.raises(StoreError) as failure:
        store.strips.add(JOB, 1, 0, path, "0" * 64)
    assert failure.value.code == "DIGEST_MISMATCH" and not store.strips.of(JOB)
    assert not list(store.names.strips(JOB).iterdir())


def test_the_last_room_is_left_to_segments(store, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**12, 10**12 - 10**8, 10**8)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(StoreError) as failure:
        put(store, 1)
    assert failure.value.code == "DISK_FULL"
    assert not [path for path in store.names.tmp.rglob("*") if path.is_file()]


def test_what_a_crash_left_without_a_row_goes_and_the_rest_is_found(tmp_path):
    store = Store(tmp_path / "DB")
    store.add(JOB, {}, "{}", 1)
    put(store, 1)
    store.add(OTHER, {}, "{}", 1)
    put(store, 1, OTHER)
    store.set_state(OTHER, CANCELLED)
    for job in (JOB, OTHER):
        store.names.strip(job, 2).write_bytes(b"renamed and not committed")
    store.close()
    again = Store(tmp_path / "DB")
    try:
        assert again.recovery.strips == 1 and "1 strip" in str(again.recovery)
        for job in (JOB, OTHER):
            assert [s.number for s in again.strips.of(job)] == [1]
            assert [path.name for path in again.names.strips(job).iterdir()] == ["00001.strip"]
    finally:
        again.close()


def test_strips_are_evicted_before_jobs_but_not_those_in_use(store):
    put(store, 1)
    assert store.evict(0, idle=0) == [] and store.strips.of(JOB)  # unfinished
    store.set_state(JOB, DONE)
    store.add(OTHER, {}, "{}", 1, source=JOB)
    assert store.get(OTHER).source == JOB
    assert store.evict(0, idle=0) == [] and store.strips.of(JOB)  # being recoloured
    store.set_state(OTHER, CANCELLED)
    taken = store.usage().total
    assert store.evict(taken, idle=0) == [] and store.strips.of(JOB)  # there is room
    assert store.evict(taken - 1, idle=0) == []
    assert not store.strips.of(JOB) and not store.names.strips(JOB).exists()


def test_a_disk_that_does_not_remove_strips_is_told_as_such(store):
    """Not as an OSError: that would end the driver, and with it what all jobs have in hand."""
    put(store, 0)
    folder = store.names.strips(JOB)
    shutil.rmtree(folder)
    folder.write_bytes(b"no folder")
    with pytest.raises(StoreError) as caught:
        store.strips.remove(JOB, [0])
    assert caught.value.code == "DISK_FAILED" and [strip.number for strip in store.strips.of(JOB)] == [0]

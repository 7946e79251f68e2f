"""The store in one process: what it keeps, what it refuses, what it repairs."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from mandel.errors import MandelError, StoreError
from mandel.payload.job_id import is_job_id
from mandel.store.names import POSTER, Names
from mandel.store.states import CANCELLED, DONE, FAILED, QUEUED
from mandel.store.store import Store
from tests.store import scenario
from tests.store.scenario import JOB, OTHER


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "DB")
    yield store
    store.close()


def reopen(store: Store) -> Store:
    store.close()
    store.__init__(store.names.root)
    return store


def test_a_job_from_start_to_end(store):
    scenario.complete(store)
    record = store.get(JOB)
    assert (record.state, record.frames, record.payload, record.report) == (
        DONE,
        10,
        {"num_frames": 10},
        {"seconds": 1.0},
    )
    with store.open(JOB).file as video, store.open(JOB, POSTER).file as poster:
        assert (video.read(), poster.read()) == (scenario.VIDEO, scenario.POSTER)
    names = store.names
    assert names.payload(JOB).read_text() == '{"num_frames":10}'
    assert names.job(JOB).parent.name == JOB[:2]
    # Its pictures lie once on the disk.
    assert sorted(path.name for path in names.job(JOB).iterdir()) == [
        "payload.json",
        "poster.png",
        "strips",
        "video.json",
        "video.mp4",
    ]
    assert store.segments(JOB) == [] and store.stored_frames(JOB) == {}


def test_the_queue_is_ordered_by_age_and_survives(store):
    for job in (OTHER, JOB):
        store.add(job, {}, "{}", 1)
    store = reopen(store)
    assert [record.id for record in store.queue()] == [OTHER, JOB]
    store.set_state(OTHER, CANCELLED)
    store.set_state(OTHER, QUEUED)
    assert [record.id for record in store.queue()] == [JOB, OTHER]
    assert [row["id"] for row in store.table(1)] == [OTHER]


def test_a_failure_keeps_its_error(store):
    store.add(JOB, {}, "{}", 1)
    store.set_state(JOB, FAILED, MandelError("FRAME_FAILED", "no luck", field="x", limit=3))
    assert reopen(store).get(JOB).error.as_dict() == {
        "code": "FRAME_FAILED",
        "message": "no luck",
        "field": "x",
        "limit": 3,
    }
    assert store.count() == {FAILED: 1}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def empty(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("damage", [flip, truncate, empty, Path.unlink])
def test_a_damaged_file_is_never_given_out(store, damage):
    scenario.complete(store)
    store.open(JOB).file.close()
    for kind in ("video", "poster"):
        damage(store.names.file(JOB, kind))
    for kind in ("video", "poster"):
        with pytest.raises(StoreError) as caught:
            store.open(JOB, kind)
        assert caught.value.code == "DAMAGED"
    store.discard_video(JOB)
    assert store.get(JOB).state == QUEUED and not store.names.file(JOB, "video").exists()
    scenario.complete(store)
    with store.open(JOB).file as file:
        assert file.read() == scenario.VIDEO


@pytest.mark.parametrize("damage", [flip, truncate, empty, Path.unlink])
def test_a_damaged_segment_is_never_given_out(store, damage):
    store.add(JOB, {}, "{}", 10)
    for number, data in enumerate(scenario.SEGMENTS):
        path, sha256 = scenario.put(store, data)
        store.add_segment(JOB, number, path, 5, sha256)
    damage(store.names.file(JOB, "segment", 0))
    assert [segment.number for segment in store.segments(JOB)] == [1]
    assert store.stored_frames(JOB) == {1: 5}


def test_damage_found_at_the_start(store):
    scenario.complete(store)
    truncate(store.names.file(JOB, "video"))
    store = reopen(store)
    assert store.recovery.damaged == 1 and store.recovery.lost == 0
    assert store.get(JOB).state == QUEUED and not store.names.file(JOB, "video").exists()


def test_a_flipped_bit_is_found_after_a_restart(store):
    scenario.complete(store)
    flip(store.names.file(JOB, "video"))
    with pytest.raises(StoreError):
        reopen(store).open(JOB)


def test_what_has_no_row_is_removed_at_the_start(store):
    store.add(JOB, {}, "{}", 10)
    segments = store.names.file(JOB, "segment", 0).parent
    segments.mkdir()
    (segments / "00000.h264").write_bytes(b"renamed, not committed")
    store.names.payload(OTHER).parent.mkdir(parents=True)
    store.names.payload(OTHER).write_text('{"num_frames":3}')
    left_over = store.new_tmp(JOB)
    (left_over / "file").write_text("x")
    store = reopen(store)
    assert store.recovery.removed == 2 and store.recovery.unfinished == 2
    assert not (segments / "00000.h264").exists() and not list(store.names.tmp.iterdir())
    assert store.names.payload(JOB).exists()
    # A payload was durable and its row was not: the job is taken on.
    assert (store.get(OTHER).state, store.get(OTHER).frames) == (QUEUED, 3)


def test_a_file_that_is_not_what_its_writer_wrote(store):
    store.add(JOB, {}, "{}", 10)
    path, _ = scenario.put(store, b"data")
    with pytest.raises(StoreError) as caught:
        store.add_segment(JOB, 0, path, 5, "0" * 64)
    assert caught.value.code == "DIGEST_MISMATCH" and store.segments(JOB) == []
    with pytest.raises(StoreError) as caught:
        store.add_segment(JOB, 0, path.with_name("missing"), 5, "0" * 64)
    assert caught.value.code == "DISK_FAILED"


def test_a_second_store_is_refused_in_words(store):
    code = f"from mandel.store.store import Store; Store({str(store.names.root)!r})"
    second = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    assert f"is in use by another server (process {os.getpid()})" in second.stderr


def test_a_second_store_is_refused_even_if_somebody_removed_the_lock(store):
    store.names.lock.unlink()
    with pytest.raises(StoreError) as caught:
        Store(store.names.root)
    assert caught.value.code == "DB_LOCKED"


def test_what_a_driver_left_half_written_in_its_cache_is_removed(store):
    for name in ("tmpabcdef_8", "f" * 64):
        (store.names.cache / name).write_text("x")
    store = reopen(store)
    assert [path.name for path in store.names.cache.iterdir()] == ["f" * 64]


def test_a_folder_that_cannot_be_one(tmp_path):
    (tmp_path / "DB").write_text("a file")
    with pytest.raises(StoreError) as caught:
        Store(tmp_path / "DB")
    assert caught.value.code == "DB_NOT_WRITABLE" and "--db" in caught.value.message


def test_an_index_of_a_newer_version(store):
    with sqlite3.connect(store.names.index) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        db.execute("PRAGMA user_version=99")
    db.close()
    store.close()
    with pytest.raises(StoreError) as caught:
        Store(store.names.root)
    assert caught.value.code == "INDEX_TOO_NEW"
    with sqlite3.connect(store.names.index) as db:
        db.execute(f"PRAGMA user_version={version}")
    db.close()
    store.__init__(store.names.root)


def test_an_index_that_is_none(store):
    scenario.complete(store)
    store.close()
    store.names.index.write_bytes(b"no database at all" * 100)
    store.__init__(store.names.root)
    assert [path.name for path in store.names.lost.iterdir()] == ["000-index.sqlite3"]
    with store.open(JOB).file as file:
        assert file.read() == scenario.VIDEO


@pytest.mark.parametrize(
    "text", ["", "0" * 63, "0" * 65, "A" * 64, "../" + "0" * 61, "0" * 64 + "\n", 7, None]
)
def test_no_text_of_a_client_becomes_a_path(text):
    assert not is_job_id(text)
    with pytest.raises((ValueError, TypeError)):
        Names(Path("/nowhere")).job(text)

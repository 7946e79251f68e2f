"""Whose folder DB/ is: one of others is refused and not touched, one of the version before is taken over."""

import hashlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from mandel.errors import StoreError
from mandel.store.index import _steps
from mandel.store.names import Names
from mandel.store.states import CANCELLED, DONE
from mandel.store.store import Store
from tests.store.damages import FOREIGN, FRAMES, Made, foreign_files, videos


@pytest.mark.parametrize(
    "entries",
    [
        ("thesis.tex",),
        ("tmp/precious.txt", "jobs/2024/report/n.csv"),
        ("index.sqlite3",),
        ("lock", "tmp/a"),
        ("lock", "tmp/a", "jobs/2024/report/n.csv"),
        (".hidden",),
        ("cache/tmpabcdefgh",),
    ],
)
def test_a_folder_of_others_is_refused_and_not_touched(tmp_path, entries):
    for name in entries:
        (tmp_path / "X" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "X" / name).write_bytes(FOREIGN)
    before = {path: path.lstat().st_mode for path in (tmp_path / "X").rglob("*")}
    with pytest.raises(StoreError) as caught:
        Store(tmp_path / "X")
    assert (
        caught.value.code == "DB_NOT_OURS"
        and "--db" in caught.value.message
        and "touch" in caught.value.message
    )
    assert {path: path.lstat().st_mode for path in (tmp_path / "X").rglob("*")} == before
    assert foreign_files(tmp_path) == len(entries)


def test_a_lock_that_is_a_link_is_refused(tmp_path, made):
    shutil.copytree(made.root, tmp_path / "DB")
    (tmp_path / "DB" / "lock").unlink()
    (tmp_path / "precious").write_bytes(FOREIGN)
    (tmp_path / "DB" / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(StoreError) as caught:
        Store(tmp_path / "DB")
    assert (
        caught.value.code == "DB_NOT_OURS" and "lock" in caught.value.message and foreign_files(tmp_path) == 1
    )


@pytest.mark.parametrize("entries", [(), (".gitkeep",), ("lost+found",)])
def test_an_empty_folder_is_taken_and_closed_to_others(tmp_path, entries):
    root = tmp_path / "a" / "DB"
    root.mkdir(parents=True)
    for name in entries:
        (root / name).touch()
    store = Store(root)
    try:
        store.add("a" * 64, {}, '{"num_frames":1}', 1)
        assert root.stat().st_mode & 0o777 == 0o700 and store.names.marker.exists()
        for path in root.rglob("*"):
            if path.name not in entries:
                assert path.stat().st_mode & 0o077 == 0, path
    finally:
        store.close()


def older(root: Path, made: Made) -> None:
    """What the version before made of the same jobs: no marker, no proofs, payloads in the index, segments kept."""
    shutil.copytree(made.root, root)
    for path in (root / "mandel-db.txt", root / "index.sqlite3", *root.glob("jobs/*/*/video.json")):
        path.unlink()
    shutil.rmtree(root / "cache")
    for path in (*root.glob("tmp/*"), *root.glob("jobs/*/*/segments")):
        shutil.rmtree(path)
    (root / "lock").write_text("4711\n")
    root.chmod(0o755)
    names = Names(root)
    db = sqlite3.connect(names.index, isolation_level=None)
    for number, step in _steps().items():
        if number <= 4:
            db.executescript(step.read_text())
    db.execute("PRAGMA user_version=4")
    for job in (path.name for path in root.glob("jobs/*/*")):
        done = job in made.done
        db.execute(
            "INSERT INTO jobs (id, payload, frames, state, asked, report) VALUES (?, ?, ?, ?, 1e9, ?)",
            (job, names.payload(job).read_text(), FRAMES, DONE if done else CANCELLED, '{"seconds": 1.5}'),
        )
        if done:
            names.segments(job).mkdir()
            names.file(job, "segment", 0).write_bytes(bytes(50))
            for kind in ("video", "segment"):
                data = names.file(job, kind, 0).read_bytes()
                db.execute(
                    "INSERT INTO files VALUES (?, ?, 0, ?, ?, ?)",
                    (job, kind, FRAMES, len(data), hashlib.sha256(data).hexdigest()),
                )
    db.close()


def test_a_folder_of_the_version_before_is_taken_over(made, tmp_path, caplog):
    root = tmp_path / "DB"
    older(root, made)
    first = made.done[0]
    Names(root).payload(first).unlink()  # the index has it
    with caplog.at_level("INFO", "mandel"):
        store = Store(root)
    names = store.names
    try:
        assert "older version" in caplog.text and str(store.recovery) == "nothing to recover"
        assert root.stat().st_mode & 0o777 == 0o700
        for job in made.done:
            assert store.get(job).payload == json.loads(
                made.root.joinpath("jobs", job[:2], job, "payload.json").read_text()
            )
            store.open(job).file.close()
            assert store.bytes(job) == 4 * 4096 + -(-names.file(job, "video").stat().st_size // 4096) * 4096
        while store.thin():
            pass
        assert not list(root.glob("jobs/*/*/segments")) and videos(root, made.digests).total() == 5
    finally:
        store.close()
    (root / "index.sqlite3").unlink()
    store = Store(root)
    try:
        assert all(store.get(job).state == DONE for job in made.done)
    finally:
        store.close()


def test_an_older_folder_whose_index_is_gone_is_known_by_its_jobs(made, tmp_path):
    root = tmp_path / "DB"
    older(root, made)
    (root / "index.sqlite3").unlink()
    store = Store(root)
    try:
        assert all(store.get(job).state == DONE for job in made.done)
    finally:
        store.close()


def test_what_is_unknown_goes_to_lost_and_is_named(made, tmp_path, caplog):
    root = tmp_path / "DB"
    shutil.copytree(made.root, root)
    job = next(path for path in root.glob("jobs/*/*") if path.name in made.done)
    for path in (root / "tmp" / "precious.txt", root / "jobs" / "2024" / "n.csv", job / "holiday.jpg"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(FOREIGN)
    (root / "thesis.tex").write_bytes(FOREIGN)
    store = Store(root)
    store.close()
    assert store.recovery.lost == 3 and "3 unknown things moved to lost/" in str(store.recovery)
    for name in ("precious.txt", "2024", "holiday.jpg"):
        assert name in caplog.text and list((root / "lost").glob(f"*{name}"))
    assert foreign_files(root / "lost") == 3 and (root / "thesis.tex").exists()

"""Names of DB/ of another kind: a folder, pipe, socket or link in place of a file, a file in place of a folder."""

import hashlib
import json
import os
import shutil
import socket
import sqlite3
import tempfile
from pathlib import Path

import pytest

from mandel.errors import StoreError
from mandel.payload.payload import parse
from mandel.service.jobs.registry import Registry
from mandel.store.states import DONE, FAILED, QUEUED
from mandel.store.store import Store
from tests.store.damages import FOREIGN, foreign_files, payload

NOBODY = 65_534


def folder(path: Path) -> None:
    path.mkdir()
    (path / "thesis.tex").write_bytes(FOREIGN)


def file(path: Path) -> None:
    path.write_bytes(FOREIGN)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # its name must be short
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


def link(path: Path) -> None:
    path.symlink_to("/dev/null")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def replace(path: Path, kind) -> None:
    """Puts something of another kind in the place of ``path``."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    kind(path)


SIDE_FILES = [f"index.sqlite3{end}" for end in ("-wal", "-shm", "-journal")]
WRONG = [
    *[(name, kind) for name in SIDE_FILES for kind in (folder, pipe, unix_socket, link, loop)],
    *[("index.sqlite3", kind) for kind in (folder, pipe, unix_socket)],
    *[("lock", kind) for kind in (folder, pipe, unix_socket)],
    *[("mandel-db.txt", kind) for kind in (folder, pipe, unix_socket)],
    *[(f"renderer.log{end}", kind) for end in ("", ".1") for kind in (folder, pipe, link)],
    *[(name, kind) for name in ("tmp", "cache", "lost") for kind in (file, pipe, unix_socket)],
]


@pytest.mark.parametrize("name, kind", WRONG, ids=lambda value: getattr(value, "__name__", value))
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "killed"])
def test_what_has_the_name_of_ours_is_put_aside(made, tmp_path, name, kind, closed):
    root = tmp_path / "DB"
    shutil.copytree(made.root if closed else made.live, root)
    replace(root / name, kind)
    foreign, was = foreign_files(root), (root / name).lstat()
    for life in range(2):
        store = Store(root)
        try:
            assert store.recovery.lost == (life == 0)
            assert foreign_files(root) == foreign
            assert [os.path.samestat(one.lstat(), was) for one in store.names.lost.iterdir()] == [True]
            for job in made.done:
                assert store.get(job).state == DONE
                store.open(job).file.close()
            # It works, and not only for what was there.
            job = f"{life:064x}"
            store.add(job, payload(life), json.dumps(payload(life)), 4)
            assert store.get(job).state == QUEUED
            with pytest.raises(StoreError, match="in use"):
                Store(root)
        finally:
            store.close()


def test_jobs_that_are_no_folder_are_put_aside_and_their_jobs_told(made, tmp_path):
    root = tmp_path / "DB"
    shutil.copytree(made.root, root)
    replace(root / "jobs", file)
    store = Store(root)
    try:
        assert foreign_files(store.names.lost) == 1
        states = {row["id"]: row["state"] for row in store.table(100)}
        assert set(states.values()) == {FAILED}
        assert {store.get(job).error.code for job in states} == {"PAYLOAD_LOST", "FRAME_FAILED"}
    finally:
        store.close()


@pytest.mark.parametrize("name", ["jobs", "tmp", "cache", "lost", "lock", "index.sqlite3"])
def test_a_link_is_left_to_people_who_are_told_what_to_do(made, tmp_path, name):
    root = tmp_path / "DB"
    shutil.copytree(made.root, root)
    (root / "lost").mkdir(exist_ok=True)
    (root / name).rename(tmp_path / "elsewhere")
    (root / name).symlink_to(tmp_path / "elsewhere")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError) as caught:
        Store(root)
    assert caught.value.code == "DB_NOT_OURS" and f"{name} in it is a link" in caught.value.message
    assert "Put what it points to in its place" in caught.value.message
    assert sorted(tmp_path.rglob("*")) == before
    (root / name).unlink()
    (tmp_path / "elsewhere").rename(root / name)
    store = Store(root)
    store.close()
    assert store.recovery.lost == 0 and store.recovery.unfinished == 3


@pytest.mark.parametrize("name", ["tmp", "index.sqlite3", "mandel-db.txt"])
def test_a_folder_of_others_is_not_put_in_order(tmp_path, name):
    (tmp_path / "X").mkdir()
    os.mkfifo(tmp_path / "X" / name)
    (tmp_path / "X" / "thesis.tex").write_bytes(FOREIGN)
    with pytest.raises(StoreError) as caught:
        Store(tmp_path / "X")
    assert caught.value.code == "DB_NOT_OURS"
    assert sorted(os.listdir(tmp_path / "X")) == sorted((name, "thesis.tex"))


# -- payloads


def huge(path: Path) -> None:
    with path.open("wb") as sparse:
        sparse.truncate(1 << 40)


def nonsense(path: Path) -> None:
    path.write_text("[" * 100_000)


@pytest.mark.parametrize("kind", [folder, pipe, unix_socket, link, loop, huge, nonsense])
@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "before it starts"])
def test_a_payload_that_cannot_be_read_is_told_of_and_its_job_goes_on_when_it_comes_again(
    tmp_path, kind, running
):
    asked = parse({"num_frames": 10, "frame_width": 2, "frame_height": 2, "maxiter": 7})
    store = Store(tmp_path / "DB")
    try:
        job = Registry(store, 0, 100, 100).ask(asked).id
        data = store.new_tmp(job) / "segment"
        data.write_bytes(bytes(100))
        store.add_segment(job, 0, data, 2, hashlib.sha256(bytes(100)).hexdigest())
        if not running:
            store.close()
        replace(store.names.payload(job), kind)
        if not running:
            store = Store(tmp_path / "DB")
        registry = Registry(store, 0, 100, 100)
        if (live := registry.live(job)) is not None:
            with pytest.raises(StoreError) as caught:
                _ = live.payload  # as when it begins
            registry.fail(live, caught.value)
        assert store.get(job).state == FAILED and store.get(job).error.code == "PAYLOAD_LOST"
        assert "send it again" in store.get(job).error.message
        assert registry.ask(asked).state == QUEUED == store.get(job).state
        assert store.names.payload(job).read_text() == asked.text()
        assert [segment.number for segment in store.segments(job)] == [0]  # nothing is rendered twice
    finally:
        store.close()


def test_a_pipe_that_somebody_writes_to_is_no_payload(tmp_path):
    """Its reading end has nothing, and says neither that nor that it is over."""
    store = Store(tmp_path / "DB")
    try:
        store.add("a" * 64, payload(1), json.dumps(payload(1)), 4)
        replace(path := store.names.payload("a" * 64), pipe)
        writer = os.open(path, os.O_RDWR)
        try:
            assert store.get("a" * 64).payload is None
        finally:
            os.close(writer)
    finally:
        store.close()


@pytest.mark.parametrize("kind", [folder, pipe, link, huge])
def test_a_payload_that_the_index_has_is_taken_from_there(made, tmp_path, kind):
    root = tmp_path / "DB"
    shutil.copytree(made.root, root)
    job = next(iter({path.name for path in root.glob("jobs/*/*")} - set(made.done)))
    path = root / "jobs" / job[:2] / job / "payload.json"
    text = path.read_text()
    db = sqlite3.connect(root / "index.sqlite3")
    db.execute("UPDATE jobs SET payload = ?, state = ? WHERE id = ?", (text, QUEUED, job))
    db.commit()
    db.close()
    replace(path, kind)
    store = Store(root)
    try:
        assert store.get(job).state == QUEUED and store.payload(job) == json.loads(text)
    finally:
        store.close()


# -- while the service runs


def in_the_way(store: Store, job: str, what: str) -> None:
    names = store.names
    match what:
        case "segments is a file":
            file(names.segments(job))
        case "segments is a link":
            (names.root.parent / "elsewhere").mkdir()
            names.segments(job).symlink_to(names.root.parent / "elsewhere")
        case "segment is a folder":
            names.segments(job).mkdir()
            folder(names.file(job, "segment"))
        case "folder is a file":
            replace(names.job(job), file)
        case "prefix is a link":
            file(names.segments(job))
            folder(names.file(job, "video"))
            names.job(job).parent.rename(names.root.parent / "elsewhere")
            names.job(job).parent.symlink_to(names.root.parent / "elsewhere")
        case "tmp is a file":
            replace(names.tmp, file)
        case "tmp is gone":
            shutil.rmtree(names.tmp)
        case "video and proof are folders":
            folder(names.file(job, "video"))
            folder(names.proof(job))


@pytest.mark.parametrize(
    "what",
    [
        "segments is a file",
        "segments is a link",
        "segment is a folder",
        "folder is a file",
        "prefix is a link",
        "tmp is a file",
        "tmp is gone",
        "video and proof are folders",
    ],
)
def test_what_is_in_the_way_of_a_file_is_put_aside(tmp_path, mp4, what):
    job, text = "a" * 64, json.dumps(payload(1))
    store = Store(tmp_path / "DB")
    try:
        store.add(job, payload(1), text, 4)
        in_the_way(store, job, what)
        foreign = foreign_files(store.names.root)
        elsewhere = sorted((tmp_path / "elsewhere").rglob("*"))
        tmp = store.new_tmp(job)
        for name, data in (("segment", bytes(100)), ("video", mp4.read_bytes())):
            (tmp / name).write_bytes(data)
        store.add_segment(job, 0, tmp / "segment", 2, hashlib.sha256(bytes(100)).hexdigest())
        assert [segment.number for segment in store.segments(job)] == [0]
        store.keep_payload(job, text)
        assert store.payload(job) == payload(1)
        store.finish(job, tmp / "video", None, 4, hashlib.sha256(mp4.read_bytes()).hexdigest(), {})
        store.open(job).file.close()
        assert foreign_files(store.names.root) == foreign
        assert sorted((tmp_path / "elsewhere").rglob("*")) == elsewhere
    finally:
        store.close()


# -- closed to ourselves


@pytest.fixture
def plain_user(made):
    """A copy of a DB/ of a user who is not root, whom modes mean something to; his for the time of the test."""
    above = Path(tempfile.mkdtemp(prefix="mandel-"))
    shutil.copytree(made.live, above / "DB")
    root = os.geteuid() == 0
    try:
        if root:
            for path in (above, *above.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        if not os.access(above / "DB", os.R_OK | os.W_OK, effective_ids=True):
            pytest.skip(f"{above} is not in that user's reach")
        yield above / "DB"
    finally:
        if root:
            os.seteuid(0)
        for path in (above, *above.rglob("*")):
            if path.is_dir():
                path.chmod(0o700)
        shutil.rmtree(above)


@pytest.mark.parametrize(
    "name",
    [
        *SIDE_FILES[:2],
        "index.sqlite3",
        "lock",
        "jobs",
        "tmp",
        "cache",
        "jobs/*",
        "jobs/*/*",
        "*/*/*/*",
    ],
)
def test_what_is_closed_to_ourselves_is_opened(made, plain_user, name):
    paths = list(plain_user.glob(name))
    assert paths
    for path in paths:
        path.chmod(0)
    with pytest.raises(PermissionError):
        os.listdir(paths[0]) if paths[0].is_dir() else paths[0].read_bytes()
    store = Store(plain_user)
    try:
        assert store.recovery.lost == store.recovery.rebuilt == 0 and store.recovery.unfinished == 3
        for job in made.done:
            store.open(job).file.close()
    finally:
        store.close()

"""DB/ damaged in many ways: no video is removed, no traceback; the store opens, or says in words why not.

150 damages, or 1,000 with MANDEL_CHAOS=long.
"""

import hashlib
import json
import os
import random
import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from mandel.errors import MandelError, StoreError
from mandel.store.index import _steps
from mandel.store.names import Names
from mandel.store.states import CANCELLED, DONE, FAILED, PAUSED, QUEUED
from mandel.store.store import Store
from mandel.video import ffmpeg
from mandel.video.join import Joiner
from mandel.video.shape import frames_of
from tests.support.chaos import tell

LONG = os.environ.get("MANDEL_CHAOS") == "long"
DAMAGES = 1_000 if LONG else 150
FRAMES = 4
FOREIGN = b"a photograph, of which there is no copy"


@pytest.fixture(scope="module")
def mp4(tmp_path_factory) -> Path:
    """A real video, as the driver joins it."""
    folder = tmp_path_factory.mktemp("mp4")
    segment = folder / "0.h264"
    ffmpeg.run(["-f", "lavfi", "-i", f"testsrc=size=64x48:rate=20:duration={FRAMES / 20}", "-c:v", "libx264",
                "-pix_fmt", "yuv420p", "-x264-params", "aud=1:bframes=0:open-gop=0", f"file:{segment}"])
    joiner = Joiner(folder / "video.mp4", 64, 48, "20", FRAMES, 1)
    joiner.add(segment)
    video = joiner.finish()
    joiner.drop()
    return Path(video.path)


def payload(number: int) -> dict:
    return {"num_frames": FRAMES, "frame_width": 64, "maxiter": number + 1}


def videos(root: Path, wanted: set[str]) -> Counter:
    """Digests of those files under ``root`` that are one of the videos, wherever they lie."""
    found = Counter()
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            found[hashlib.sha256(path.read_bytes()).hexdigest()] += 1
    return Counter({digest: count for digest, count in found.items() if digest in wanted})


class Made:
    """A DB/ with jobs in each state, and what must not be lost of it."""

    def __init__(self, root: Path, mp4: Path):
        self.root, self.digests = root, set()
        store = Store(root)
        self.done = []
        for number in range(12):
            said = payload(number)
            job = hashlib.sha256(json.dumps(said).encode()).hexdigest()
            store.add(job, said, json.dumps(said, sort_keys=True, separators=(",", ":")), FRAMES)
            if number < 5:
                # Trailing boxes tell the videos apart.
                data = mp4.read_bytes() + (12).to_bytes(4, "big") + b"free" + number.to_bytes(4, "big")
                path = store.new_tmp(job) / "video"
                path.write_bytes(data)
                sha256 = hashlib.sha256(data).hexdigest()
                store.finish(job, path, None, FRAMES, sha256, {"seconds": 1.5})
                self.digests.add(sha256)
                self.done.append(job)
            else:
                path = store.new_tmp(job) / "segment"
                path.write_bytes(bytes(100))
                store.add_segment(job, 0, path, 2, hashlib.sha256(bytes(100)).hexdigest())
                store.set_state(job, (QUEUED, PAUSED, FAILED, CANCELLED)[number % 4],
                                MandelError("FRAME_FAILED", "no luck") if number % 4 == 2 else None)
        shutil.copytree(root, root.with_name("live"))  # as a kill leaves it, with its write-ahead log
        store.close()
        self.live = root.with_name("live")


@pytest.fixture(scope="module")
def made(tmp_path_factory, mp4) -> Made:
    return Made(tmp_path_factory.mktemp("made") / "DB", mp4)


# -- damages: of (random, folder); each says in a word what it was


def of_index(rng: random.Random, root: Path) -> str:
    """Of the index, of its log, or of a small file: bits, bytes, pages, the header, the length."""
    targets = [path for path in (*[root / "index.sqlite3"] * 6, root / "index.sqlite3-wal", root / "index.sqlite3-wal",
                                 root / "mandel-db.txt", root / "lock", *root.glob("jobs/*/*/*.json"))
               if path.is_file() and path.stat().st_size]
    if not targets:
        return "nothing"
    path = rng.choice(targets)
    data = bytearray(path.read_bytes())
    how = rng.choice(("bits", "bits", "cut", "page", "header", "bytes", "empty", "grown", "text"))
    if how == "bits":
        for _ in range(rng.choice((1, 3, 30))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif how == "cut":
        del data[rng.randrange(len(data)):]
    elif how == "page":
        at = rng.randrange(0, len(data), 4096)
        data[at:at + 4096] = bytes(len(data[at:at + 4096]))
    elif how == "header":
        data[:100] = rng.randbytes(min(100, len(data)))
    elif how == "bytes":
        for _ in range(200):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif how == "empty":
        data.clear()
    elif how == "grown":
        data += rng.randbytes(5000)
    else:  # what a row says, but still a row
        for old, new in rng.sample([(b"done", b"dome"), (b"done", b"fail"), (b'{"seconds', b'["seconds'),
                                    (b"queued", b"paused"), (b"video", b"vidio"), (b"num_frames", b"num_framez")], 2):
            data = data.replace(old, new)
    path.write_bytes(data)
    return f"{path.name.replace('index.sqlite3', 'index')} {how}"


def of_rows(rng: random.Random, root: Path) -> str:
    """An index that SQLite finds whole, with rows that this program did not write."""
    what = rng.choice((
        "DELETE FROM jobs", "DELETE FROM files", "DELETE FROM files WHERE kind = 'video'", "DROP TABLE files",
        "UPDATE jobs SET state = 'queued'", "UPDATE jobs SET state = 'gone'", "UPDATE jobs SET report = '{'",
        "UPDATE files SET bytes = bytes + 1", "UPDATE files SET sha256 = 'x'", "UPDATE files SET frames = 'x'",
        "UPDATE jobs SET frames = -1", "UPDATE jobs SET id = 'x' || id", "UPDATE files SET bytes = x'00ff'",
        "UPDATE jobs SET error = '[1]', state = 'failed'", "UPDATE jobs SET state = 'cancelled'", "DROP INDEX jobs_by_asked",
        "PRAGMA user_version=1", "PRAGMA user_version=1000", "PRAGMA user_version=0", "DROP TRIGGER file_added",
        "UPDATE jobs SET client = x'ff'", "UPDATE jobs SET client = CAST(x'ff' AS TEXT)", "UPDATE jobs SET asked = 'now'",
        "UPDATE jobs SET asked = 1e300", "UPDATE files SET job = 'x' || job", "UPDATE jobs SET source = 'x'",
        "DELETE FROM jobs WHERE state = 'done'", "ALTER TABLE jobs ADD COLUMN foreign_one INTEGER",
    ))
    if not (root / "index.sqlite3").is_file():
        return "nothing"
    db = sqlite3.connect(root / "index.sqlite3")
    try:
        db.execute("PRAGMA foreign_keys=" + rng.choice(("ON", "OFF")))
        db.execute(what)
        db.commit()
    except sqlite3.Error:
        what = "nothing"  # the foreign keys forbid it, or it is damaged already
    db.close()
    return what


def of_names(rng: random.Random, root: Path) -> str:
    """Files and folders gone, renamed, or links; with what is of others among them."""
    outside = root.parent / "outside"
    jobs = sorted(root.glob("jobs/*/*"))
    what = rng.choice(("index gone", "wal gone", "shm gone", "all of the index gone", "marker gone", "lock gone",
                       "file renamed", "job renamed", "folder a link", "file a link", "foreign files", "jobs a link",
                       "lock a link", "index a link", "index a folder", "payload gone", "proof gone", "prefix renamed",
                       "tmp a link", "cache a link", "lost a file", "marker a link", "payload a folder"))
    job = rng.choice(jobs)
    link = {"folder a link": job, "jobs a link": root / "jobs", "lock a link": root / "lock", "tmp a link": root / "tmp",
            "index a link": root / "index.sqlite3", "cache a link": root / "cache", "marker a link": root / "mandel-db.txt",
            "file a link": rng.choice(sorted(path for path in job.rglob("*") if path.is_file()))}
    if what in link:
        target = outside / f"moved {len(list(outside.iterdir()))}"
        if not os.path.lexists(link[what]):
            return "nothing"
        os.rename(link[what], target)
        if what == "folder a link":
            (target / "holiday.jpg").write_bytes(FOREIGN)
        link[what].symlink_to(target)
    elif what == "file renamed":
        path = rng.choice(sorted(path for path in job.rglob("*") if path.is_file()))
        path.rename(path.with_name(rng.choice(("video (copy).mp4", "00007.h264", "payload.json", ".x", "x\udcff"))))
    elif what == "job renamed":
        job.rename(job.with_name(rng.choice((job.name[:-1] + "0", "x" * 64, "report"))))
    elif what == "prefix renamed":
        job.parent.rename(root / "jobs" / rng.choice(("2024", "zz", "a")))
    elif what == "index a folder":
        (root / "index.sqlite3").unlink(missing_ok=True)
        (root / "index.sqlite3").mkdir()
    elif what == "payload a folder":
        (job / "payload.json").unlink(missing_ok=True)
        (job / "payload.json").mkdir(exist_ok=True)
    elif what == "lost a file":
        (root / "lost").write_bytes(FOREIGN)
    elif what == "foreign files":
        for path in (root / "tmp" / "precious.txt", root / "jobs" / "2024" / "report" / "n.csv", job / "holiday.jpg",
                     root / "cache" / "tmp notes", job.parent / "f.txt", root / "thesis.tex", job / "segments" / "mine.h264"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(FOREIGN)
    else:
        gone = {"index gone": ["index.sqlite3"], "wal gone": ["index.sqlite3-wal"], "shm gone": ["index.sqlite3-shm"],
                "all of the index gone": ["index.sqlite3", "index.sqlite3-wal", "index.sqlite3-shm"],
                "marker gone": ["mandel-db.txt"], "lock gone": ["lock"],
                "payload gone": [job.relative_to(root) / "payload.json"],
                "proof gone": [path.relative_to(root) for path in root.glob("jobs/*/*/video.json")]}[what]
        for name in gone:
            (root / name).unlink(missing_ok=True)
    return what


def foreign_files(folder: Path) -> int:
    return sum(path.read_bytes() == FOREIGN for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def test_no_damage_costs_a_video(made, tmp_path):
    ways, told, refused, served = Counter(), Counter(), Counter(), 0
    for number in range(DAMAGES):
        rng = random.Random(number)
        here = tmp_path / str(number)
        root = here / "DB"
        (here / "outside").mkdir(parents=True)
        shutil.copytree(made.live if rng.random() < 0.5 else made.root, root, symlinks=True)
        damages = [rng.choice((of_index, of_index, of_rows, of_names))(rng, root) for _ in range(rng.choice((1, 1, 2)))]
        ways.update(damage.split()[0] for damage in damages)
        before, foreign = videos(here, made.digests), foreign_files(here)
        outside = sorted(path for path in (here / "outside").rglob("*"))
        for life in range(2):  # what the first start made of it, the second understands
            try:
                store = Store(root)
            except StoreError as error:
                refused[error.code] += 1
                assert len(error.message) > 40 and str(root) in error.message or "index" in error.message, error.message
            else:
                try:
                    for job in made.done:
                        record = store.get(job)
                        if record is not None and record.state == DONE:
                            store.open(job).file.close()
                            served += 1
                    for row in store.table(1000):
                        store.get(row["id"])
                    told.update(row["state"] for row in store.table(1000))
                    if life == 0 and not any("link" in damage or "renamed" in damage or "gone" in damage
                                             for damage in damages):
                        assert store.recovery.damaged == 0, (number, damages)
                except StoreError as error:
                    pytest.fail(f"{number}, {damages}: {error.message}")
                finally:
                    store.close()
            assert videos(here, made.digests) == before, (number, damages)
            assert foreign_files(here) == foreign, (number, damages)
            assert sorted(path for path in (here / "outside").rglob("*")) == outside, (number, damages)
        shutil.rmtree(here)
    tell("damaged DB/", damages=DAMAGES, kinds=len(ways), videos_removed=0, tracebacks=0, videos_served=served,
         refused=dict(refused), states=dict(told))
    assert served > DAMAGES * 5  # of 10: the store does not lock itself up


@pytest.mark.parametrize("lost", [("index.sqlite3", "index.sqlite3-wal", "index.sqlite3-shm"), ("index.sqlite3-wal",)])
def test_a_lost_index_is_made_again_and_its_videos_are_served(made, tmp_path, lost):
    root = tmp_path / "DB"
    shutil.copytree(made.live, root)
    for name in lost:
        (root / name).unlink()
    store = Store(root)
    try:
        assert store.recovery.rebuilt and store.recovery.lost == 0
        for job in made.done:
            record = store.get(job)
            assert (record.state, record.frames, record.report) == (DONE, FRAMES, {"seconds": 1.5})
            with store.open(job).file as file:
                assert hashlib.sha256(file.read()).hexdigest() in made.digests
        others = {store.get(row["id"]).error.code for row in store.table(100) if row["state"] == FAILED}
        assert others == {"INDEX_LOST"}  # a clear failure, and no job that was cancelled begins again
    finally:
        store.close()


def test_a_video_whose_row_and_proof_are_lost_is_known_by_its_shape(made, tmp_path, mp4):
    root = tmp_path / "DB"
    shutil.copytree(made.root, root)
    (root / "index.sqlite3").unlink()
    for path in root.glob("jobs/*/*/video.json"):
        path.unlink()
    whole, cut, wrong = (Names(root).file(job, "video") for job in made.done[:3])
    data = cut.read_bytes()
    cut.write_bytes(data[:-5])
    wrong.write_bytes(b"no video at all")
    store = Store(root)
    try:
        assert store.get(made.done[0]).state == DONE
        with open(whole, "rb") as file:
            assert frames_of(file) == FRAMES
        store.open(made.done[0]).file.close()
        assert [store.get(job).state for job in made.done[1:3]] == [FAILED] * 2
        assert {path.read_bytes() for path in store.names.lost.iterdir()} == {data[:-5], b"no video at all"}
    finally:
        store.close()


@pytest.mark.parametrize("entries", [
    ("thesis.tex",), ("tmp/precious.txt", "jobs/2024/report/n.csv"), ("index.sqlite3",), ("lock", "tmp/a"),
    ("lock", "tmp/a", "jobs/2024/report/n.csv"), (".hidden",), ("cache/tmpabcdefgh",),
])
def test_a_folder_of_others_is_refused_and_not_touched(tmp_path, entries):
    for name in entries:
        (tmp_path / "X" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "X" / name).write_bytes(FOREIGN)
    before = {path: path.lstat().st_mode for path in (tmp_path / "X").rglob("*")}
    with pytest.raises(StoreError) as caught:
        Store(tmp_path / "X")
    assert caught.value.code == "DB_NOT_OURS" and "--db" in caught.value.message and "touch" in caught.value.message
    assert {path: path.lstat().st_mode for path in (tmp_path / "X").rglob("*")} == before
    assert foreign_files(tmp_path) == len(entries)


def test_a_lock_that_is_a_link_is_refused(tmp_path, made):
    shutil.copytree(made.root, tmp_path / "DB")
    (tmp_path / "DB" / "lock").unlink()
    (tmp_path / "precious").write_bytes(FOREIGN)
    (tmp_path / "DB" / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(StoreError) as caught:
        Store(tmp_path / "DB")
    assert caught.value.code == "DB_NOT_OURS" and "lock" in caught.value.message and foreign_files(tmp_path) == 1


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
        db.execute("INSERT INTO jobs (id, payload, frames, state, asked, report) VALUES (?, ?, ?, ?, 1e9, ?)",
                   (job, names.payload(job).read_text(), FRAMES, DONE if done else CANCELLED, '{"seconds": 1.5}'))
        if done:
            names.segments(job).mkdir()
            names.file(job, "segment", 0).write_bytes(bytes(50))
            for kind in ("video", "segment"):
                data = names.file(job, kind, 0).read_bytes()
                db.execute("INSERT INTO files VALUES (?, ?, 0, ?, ?, ?)",
                           (job, kind, FRAMES, len(data), hashlib.sha256(data).hexdigest()))
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
            assert store.get(job).payload == json.loads(made.root.joinpath(
                "jobs", job[:2], job, "payload.json").read_text())
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

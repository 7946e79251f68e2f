"""A DB/ with jobs in each state, and ways to damage it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sqlite3
from collections import Counter
from pathlib import Path

from mandel.errors import MandelError
from mandel.store.states import CANCELLED, FAILED, PAUSED, QUEUED
from mandel.store.store import Store

FRAMES = 4
FOREIGN = b"a photograph, of which there is no copy"


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
                store.set_state(
                    job,
                    (QUEUED, PAUSED, FAILED, CANCELLED)[number % 4],
                    MandelError("FRAME_FAILED", "no luck") if number % 4 == 2 else None,
                )
        shutil.copytree(root, root.with_name("live"))  # as a kill leaves it, with its write-ahead log
        store.close()
        self.live = root.with_name("live")


# -- damages: of (random, folder); each says in a word what it was


def of_index(rng: random.Random, root: Path) -> str:
    """Of the index, of its log, or of a small file: bits, bytes, pages, the header, the length."""
    targets = [
        path
        for path in (
            *[root / "index.sqlite3"] * 6,
            root / "index.sqlite3-wal",
            root / "index.sqlite3-wal",
            root / "mandel-db.txt",
            root / "lock",
            *root.glob("jobs/*/*/*.json"),
        )
        if path.is_file() and path.stat().st_size
    ]
    if not targets:
        return "nothing"
    path = rng.choice(targets)
    data = bytearray(path.read_bytes())
    how = rng.choice(("bits", "bits", "cut", "page", "header", "bytes", "empty", "grown", "text"))
    if how == "bits":
        for _ in range(rng.choice((1, 3, 30))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif how == "cut":
        del data[rng.randrange(len(data)) :]
    elif how == "page":
        at = rng.randrange(0, len(data), 4096)
        data[at : at + 4096] = bytes(len(data[at : at + 4096]))
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
        for old, new in rng.sample(
            [
                (b"done", b"dome"),
                (b"done", b"fail"),
                (b'{"seconds', b'["seconds'),
                (b"queued", b"paused"),
                (b"video", b"vidio"),
                (b"num_frames", b"num_framez"),
            ],
            2,
        ):
            data = data.replace(old, new)
    path.write_bytes(data)
    return f"{path.name.replace('index.sqlite3', 'index')} {how}"


def of_rows(rng: random.Random, root: Path) -> str:
    """An index that SQLite finds whole, with rows that this program did not write."""
    what = rng.choice(
        (
            "DELETE FROM jobs",
            "DELETE FROM files",
            "DELETE FROM files WHERE kind = 'video'",
            "DROP TABLE files",
            "UPDATE jobs SET state = 'queued'",
            "UPDATE jobs SET state = 'gone'",
            "UPDATE jobs SET report = '{'",
            "UPDATE files SET bytes = bytes + 1",
            "UPDATE files SET sha256 = 'x'",
            "UPDATE files SET frames = 'x'",
            "UPDATE jobs SET frames = -1",
            "UPDATE jobs SET id = 'x' || id",
            "UPDATE files SET bytes = x'00ff'",
            "UPDATE jobs SET error = '[1]', state = 'failed'",
            "UPDATE jobs SET state = 'cancelled'",
            "DROP INDEX jobs_by_asked",
            "PRAGMA user_version=1",
            "PRAGMA user_version=1000",
            "PRAGMA user_version=0",
            "DROP TRIGGER file_added",
            "UPDATE jobs SET client = x'ff'",
            "UPDATE jobs SET client = CAST(x'ff' AS TEXT)",
            "UPDATE jobs SET asked = 'now'",
            "UPDATE jobs SET asked = 1e300",
            "UPDATE files SET job = 'x' || job",
            "UPDATE jobs SET source = 'x'",
            "DELETE FROM jobs WHERE state = 'done'",
            "ALTER TABLE jobs ADD COLUMN foreign_one INTEGER",
        )
    )
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


def of_names(rng: random.Random, root: Path) -> str:  # noqa: C901, PLR0912
    """Files and folders gone, renamed, or links; with what is of others among them."""
    outside = root.parent / "outside"
    jobs = sorted(root.glob("jobs/*/*"))
    what = rng.choice(
        (
            "index gone",
            "wal gone",
            "shm gone",
            "all of the index gone",
            "marker gone",
            "lock gone",
            "file renamed",
            "job renamed",
            "folder a link",
            "file a link",
            "foreign files",
            "jobs a link",
            "lock a link",
            "index a link",
            "index a folder",
            "payload gone",
            "proof gone",
            "prefix renamed",
            "tmp a link",
            "cache a link",
            "lost a file",
            "marker a link",
            "payload a folder",
        )
    )
    job = rng.choice(jobs)
    link = {
        "folder a link": job,
        "jobs a link": root / "jobs",
        "lock a link": root / "lock",
        "tmp a link": root / "tmp",
        "index a link": root / "index.sqlite3",
        "cache a link": root / "cache",
        "marker a link": root / "mandel-db.txt",
        "file a link": rng.choice(sorted(path for path in job.rglob("*") if path.is_file())),
    }
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
        path.rename(
            path.with_name(rng.choice(("video (copy).mp4", "00007.h264", "payload.json", ".x", "x\udcff")))
        )
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
        for path in (
            root / "tmp" / "precious.txt",
            root / "jobs" / "2024" / "report" / "n.csv",
            job / "holiday.jpg",
            root / "cache" / "tmp notes",
            job.parent / "f.txt",
            root / "thesis.tex",
            job / "segments" / "mine.h264",
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(FOREIGN)
    else:
        gone = {
            "index gone": ["index.sqlite3"],
            "wal gone": ["index.sqlite3-wal"],
            "shm gone": ["index.sqlite3-shm"],
            "all of the index gone": ["index.sqlite3", "index.sqlite3-wal", "index.sqlite3-shm"],
            "marker gone": ["mandel-db.txt"],
            "lock gone": ["lock"],
            "payload gone": [job.relative_to(root) / "payload.json"],
            "proof gone": [path.relative_to(root) for path in root.glob("jobs/*/*/video.json")],
        }[what]
        for name in gone:
            (root / name).unlink(missing_ok=True)
    return what


def foreign_files(folder: Path) -> int:
    return sum(
        path.read_bytes() == FOREIGN for path in folder.rglob("*") if path.is_file() and not path.is_symlink()
    )

"""The store: jobs and their files, safe against a kill at any moment.

Order of every change: file in tmp, fsync, rename, fsync of the folder, commit
of the row. What has no row does not count; what has one is trusted only while
its size and SHA-256 are those of the row.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mandel.errors import MandelError, StoreError
from mandel.store import durable
from mandel.store.evict import IDLE_SECONDS, evict
from mandel.store.index import Index
from mandel.store.names import POSTER, SEGMENT, VIDEO, Names
from mandel.store.recovery import recover
from mandel.store.states import DONE, PAUSED, QUEUED
from mandel.store.strips import Strips

_LEAST_FREE = 64 << 20  # bytes: below this no new job is taken, so that running ones can end


@dataclass(frozen=True)
class Record:
    """A job as the index holds it; ``asked`` is in Unix seconds."""

    id: str
    payload: dict
    frames: int
    state: str
    asked: float
    error: MandelError | None
    report: dict
    priority: int = 0
    pinned: bool = False
    client: str = ""
    source: str | None = None


@dataclass(frozen=True)
class Segment:
    """A finished segment whose digest was proven."""

    number: int
    path: Path
    frames: int


@dataclass(frozen=True)
class StoredFile:
    """A proven file, open for reading; the digest is that of these very bytes."""

    file: BinaryIO
    bytes: int
    sha256: str


def _record(row) -> Record:
    error = MandelError.from_dict(json.loads(row["error"])) if row["error"] else None
    return Record(row["id"], json.loads(row["payload"]), row["frames"], row["state"], row["asked"], error,
                  json.loads(row["report"] or "{}"), row["priority"], bool(row["pinned"]),
                  row["client"], row["source"])


class Store:
    """Opens the folder ``root`` for this process alone and recovers what a crash left.

    Raises:
        StoreError: DB_NOT_WRITABLE, DB_LOCKED, or those of ``Index``.
    """

    def __init__(self, root: str | Path):
        self.names = Names(Path(root).resolve())
        self._verifying = [threading.Lock() for _ in range(16)]
        self._verified: dict[tuple[str, str], tuple] = {}
        self._folders = 0
        try:
            durable.make_folder(self.names.root)
            self._lock = open(self.names.lock, "a+")
            self._folder = os.open(self.names.root, os.O_RDONLY | os.O_DIRECTORY)
            durable.make_folder(self.names.jobs)
            durable.make_folder(self.names.tmp)
        except OSError as error:
            raise StoreError(
                "DB_NOT_WRITABLE",
                f"cannot write to {self.names.root}: {error.strerror or error}; "
                "make it writable or choose another folder with --db",
            ) from error
        self._take_lock()
        try:
            self._index = Index(self.names.index)
            durable.sync_folder(self.names.root)
            self.strips = Strips(self._index, self.names)
            self.recovery = recover(self._index, self.names, self.discard_video)
        except BaseException:
            self._unlock()
            raise

    def _unlock(self) -> None:
        self._lock.close()
        os.close(self._folder)

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)  # whoever removes the file gets no further
        except OSError:
            self._lock.seek(0)
            owner = self._lock.read().strip() or "unknown"
            self._unlock()
            raise StoreError(
                "DB_LOCKED",
                f"{self.names.root} is in use by another server (process {owner}); "
                "stop that one or choose another folder with --db",
            ) from None
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()

    def close(self) -> None:
        """Writes everything back and lets another server have the folder."""
        self._index.close()
        self._unlock()

    # -- jobs -------------------------------------------------------------

    def add(self, job: str, payload: dict, canonical: str, frames: int, priority: int = 0,
            client: str = "", source: str | None = None) -> Record:
        """Accepts a job, durably: after this returns no crash loses it.

        Args:
            source: the job whose strips it is made from, if it is another one.

        Raises:
            StoreError: DISK_FULL, DISK_FAILED.
        """
        now = time.time()
        with durable.disk_errors("accepting a job"):
            durable.write(self.names.tmp / f"{job}.json", self.names.payload(job), canonical.encode(), "job")
        with self._index.write("job") as db:
            db.execute("INSERT INTO jobs (id, payload, frames, state, asked, priority, client, source) "
                       "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                       (job, canonical, frames, QUEUED, now, priority, client, source))
        return Record(job, payload, frames, QUEUED, now, None, {}, priority, client=client, source=source)

    def check_space(self, need: int = 0) -> None:
        """Raises StoreError DISK_FULL when there is no room to take on a job of ``need`` bytes."""
        free, need = shutil.disk_usage(self.names.root).free, need + _LEAST_FREE
        if free < need:
            raise StoreError(
                "DISK_FULL",
                f"only {free >> 20} MiB free under {self.names.root}, {need >> 20} needed; "
                "free some and ask again",
                limit=need,
            )

    def set_state(self, job: str, state: str, error: MandelError | None = None) -> None:
        """Commits a job's new state; queueing and pausing put it at the end of the queue."""
        now = time.time()
        text = json.dumps(error.as_dict()) if error else None
        with self._index.write("state") as db:
            if state in (QUEUED, PAUSED):
                db.execute("UPDATE jobs SET state = ?, asked = ?, ended = NULL, error = NULL WHERE id = ?",
                           (state, now, job))
            else:
                db.execute("UPDATE jobs SET state = ?, ended = ?, error = ? WHERE id = ?",
                           (state, now, text, job))

    def get(self, job: str) -> Record | None:
        rows = self._index.read("SELECT * FROM jobs WHERE id = ?", job)
        return _record(rows[0]) if rows else None

    def set_wish(self, job: str, wish: str, value: int | str | None) -> None:
        """Commits a job's ``priority``, its ``client`` or ``source``, or whether it is ``pinned``."""
        column = {name: name for name in ("priority", "pinned", "client", "source")}[wish]
        with self._index.write("wish") as db:
            db.execute(f"UPDATE jobs SET {column} = ? WHERE id = ?", (value, job))

    def queue(self) -> list[Record]:
        """Unfinished jobs, oldest first; paused ones too."""
        return [_record(row) for row in self._index.read(
            "SELECT * FROM jobs WHERE state IN (?, ?) ORDER BY asked, id", QUEUED, PAUSED)]

    def latest(self, most: int) -> list[Record]:
        """The jobs last asked for, newest first."""
        return [_record(row) for row in self._index.read(
            "SELECT * FROM jobs ORDER BY asked DESC, id LIMIT ?", most)]

    def count(self) -> dict[str, int]:
        """How many jobs are in each state."""
        return dict(self._index.read("SELECT state, count(*) FROM jobs GROUP BY state"))

    # -- files ------------------------------------------------------------

    def new_tmp(self, job: str) -> Path:
        """A fresh folder under tmp; never used twice, so that a late writer meets nobody."""
        self._folders += 1
        folder = self.names.tmp / f"{job[:16]}-{self._folders}"
        with durable.disk_errors("making a temporary folder"):
            folder.mkdir()
        return folder

    def add_segment(self, job: str, number: int, tmp: Path, frames: int, sha256: str) -> None:
        """Adopts a closed segment.

        Args:
            tmp: the file, on the same file system as the store.
            sha256: what its writer says it wrote; must be what the disk holds.

        Raises:
            StoreError: DIGEST_MISMATCH, DISK_FULL, DISK_FAILED.
        """
        row = self._adopt(job, SEGMENT, number, tmp, frames, sha256)
        with self._index.write(SEGMENT) as db:
            db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", row)

    def finish(self, job: str, tmp: Path, poster: Path | None, frames: int, sha256: str,
               report: dict) -> None:
        """Adopts the video and the poster, and commits that the job is done.

        Args:
            report: how it was rendered, for people; JSON-ready.

        Raises:
            StoreError: DIGEST_MISMATCH, DISK_FULL, DISK_FAILED.
        """
        rows = [self._adopt(job, POSTER, 0, poster, 1, None)] if poster else []
        rows.append(self._adopt(job, VIDEO, 0, tmp, frames, sha256))
        with self._index.write(VIDEO) as db:
            db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", rows)
            db.execute("UPDATE jobs SET state = ?, ended = ?, error = NULL, report = ? WHERE id = ?",
                       (DONE, time.time(), json.dumps(report), job))

    def _adopt(self, job: str, kind: str, number: int, tmp: Path, frames: int, sha256: str | None) -> tuple:
        final = self.names.file(job, kind, number)
        with durable.disk_errors(f"storing a {kind}"):
            size, found = durable.adopt(tmp, final, kind)
        if sha256 is not None and found != sha256:
            durable.remove(final)
            raise StoreError("DIGEST_MISMATCH", f"{kind} {number} is not what its writer wrote")
        if kind == VIDEO:
            self._remember(job, kind, _mark(final.stat(), (size, found)))  # the digest was read from the file
        return job, kind, number, frames, size, found

    def stored_frames(self, job: str) -> dict[int, int]:
        """Frames of each finished segment, by number; what their digests say is not looked at."""
        return dict(self._index.read("SELECT number, frames FROM files WHERE job = ? AND kind = ?", job, SEGMENT))

    def segments(self, job: str) -> list[Segment]:
        """The finished segments that their digests prove; the others are removed, row and file."""
        proven = []
        for row in self._index.read("SELECT * FROM files WHERE job = ? AND kind = ? ORDER BY number",
                                    job, SEGMENT):
            path = self.names.file(job, SEGMENT, row["number"])
            try:
                with open(path, "rb") as file:
                    good = durable.digest(file) == (row["bytes"], row["sha256"])
            except OSError:
                good = False
            if good:
                proven.append(Segment(row["number"], path, row["frames"]))
            else:
                self.discard_segment(job, row["number"])
        return proven

    def discard_segment(self, job: str, number: int) -> None:
        """Removes a segment that cannot be used, row and file; fine if there is none."""
        with self._index.write("discard") as db:
            db.execute("DELETE FROM files WHERE job = ? AND kind = ? AND number = ?", (job, SEGMENT, number))
        with durable.disk_errors("removing a damaged segment"):
            durable.remove(self.names.file(job, SEGMENT, number))

    def forget_segments(self, job: str) -> None:
        """The finished segments count no more; new ones take their places."""
        with self._index.write("discard") as db:
            db.execute("DELETE FROM files WHERE job = ? AND kind = ?", (job, SEGMENT))

    def open(self, job: str, kind: str = VIDEO) -> StoredFile:
        """A video or poster, proven by its digest; the caller closes it.

        The whole file is read the first time, and again whenever its inode,
        size or times have changed.

        Raises:
            StoreError: DAMAGED when it is missing or not what was stored.
        """
        damaged = StoreError("DAMAGED", f"the stored {kind} is damaged and must be made again")
        rows = self._index.read("SELECT * FROM files WHERE job = ? AND kind = ?", job, kind)
        try:
            file = open(self.names.file(job, kind), "rb")
        except OSError:
            raise damaged from None
        try:
            if not rows or not self._proven(job, kind, file, (rows[0]["bytes"], rows[0]["sha256"])):
                raise damaged
        except BaseException:
            file.close()
            raise
        return StoredFile(file, rows[0]["bytes"], rows[0]["sha256"])

    def _proven(self, job: str, kind: str, file: BinaryIO, wanted: tuple[int, str]) -> bool:
        mark = _mark(stat := os.fstat(file.fileno()), wanted)
        with self._verifying[int(job[:1], 16)]:
            if self._verified.get((job, kind)) == mark:
                return True
            try:
                if stat.st_size != wanted[0] or durable.digest(file) != wanted:
                    return False
            except OSError:
                return False
            self._remember(job, kind, mark)
            return True

    def _remember(self, job: str, kind: str, mark: tuple) -> None:
        if len(self._verified) > 1000:
            self._verified.clear()
        self._verified[job, kind] = mark

    def touch(self, job: str) -> None:
        """Notes that a job's video is used; to the minute, as each note is a commit."""
        now = time.time()
        if self._index.read("SELECT 1 FROM jobs WHERE id = ? AND coalesce(used, 0) < ?", job, now - 60):
            with self._index.write("wish") as db:
                db.execute("UPDATE jobs SET used = ? WHERE id = ?", (now, job))

    def evict(self, most: int, idle: float = IDLE_SECONDS) -> list[str]:
        """Removes what is missed least; see ``mandel.store.evict``."""
        return evict(self._index, self.names, most, idle)

    def discard_video(self, job: str) -> None:
        """Forgets a damaged video and its poster and queues the job; good segments stay."""
        with self._index.write("discard") as db:
            db.execute("DELETE FROM files WHERE job = ? AND kind != ?", (job, SEGMENT))
            db.execute("UPDATE jobs SET state = ?, asked = ?, ended = NULL WHERE id = ?",
                       (QUEUED, time.time(), job))
        for kind in (VIDEO, POSTER):
            durable.remove(self.names.file(job, kind))


def _mark(stat: os.stat_result, wanted: tuple[int, str]) -> tuple:
    """What changes whenever a file does, and what it was proven to hold."""
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, wanted

"""The files of jobs: segments and videos. They are stored before they count, and proven before they are used."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mandel import plain_file
from mandel.errors import StoreError
from mandel.store import durable, proof
from mandel.store.index import Index
from mandel.store.lost import Lost
from mandel.store.names import POSTER, SEGMENT, VIDEO, Names
from mandel.store.proof import Content, Proof
from mandel.store.states import DONE, QUEUED
from mandel.video.shape import container_of

_log = logging.getLogger("mandel")

FileRow = tuple[str, str, int, int, int, str]  # job, kind, number, frames, bytes, SHA-256
Mark = tuple[int, int, int, int, Content]


@dataclass(frozen=True)
class StoredSegment:
    """A finished segment whose digest was proven."""

    number: int
    path: Path
    frames: int


@dataclass(frozen=True)
class StoredFile:
    """A proven file, open for reading. The digest was computed from the bytes of this open file."""

    file: BinaryIO
    bytes: int
    sha256: str

    @property
    def container(self) -> str:
        """The video's container: mp4, mov or mkv."""
        return container_of(os.pread(self.file.fileno(), 16, 0))


class Files:
    """The part of the store that keeps the files of jobs. The index has a row for each file that counts."""

    names: Names
    _index: Index
    _lost: Lost

    def __init__(self) -> None:
        self._verifying = [threading.Lock() for _ in range(16)]
        self._verified: dict[tuple[str, str], Mark] = {}
        self._folders = 0
        self._thick: set[str] = set()

    def new_tmp(self, job: str) -> Path:
        """A new folder under tmp. Its name is never used again, so a writer that comes late spoils nothing."""
        self._folders += 1
        folder = self.names.tmp / f"{job[:16]}-{self._folders}"
        with durable.disk_errors("making a temporary folder"):
            self._lost.make_way(folder)
            folder.mkdir(0o700)
        return folder

    def add_segment(
        self, job: str, number: int, tmp: Path, frames: int, sha256: str, notes: dict[str, Any] | None = None
    ) -> None:
        """Adopts a closed segment.

        Args:
            tmp: the file, on the same file system as the store.
            sha256: digest that the writer reports; the file on the disk must have it.
            notes: notes on its frames for people (mandel/notes.py); JSON-ready.

        Raises:
            StoreError: DIGEST_MISMATCH, DISK_FULL, DISK_FAILED.
        """
        row = self._adopt(job, SEGMENT, number, tmp, frames, sha256)
        with self._index.write(SEGMENT) as db:
            db.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, json.dumps(notes or {}))
            )

    def finish(
        self, job: str, tmp: Path, poster: Path | None, frames: int, sha256: str, report: dict[str, Any]
    ) -> None:
        """Adopts the video and the poster, and commits that the job is done.

        Args:
            report: facts for people about how it was rendered; JSON-ready.

        Raises:
            StoreError: DIGEST_MISMATCH, DISK_FULL, DISK_FAILED.
        """
        now = time.time()
        rows = [self._adopt(job, POSTER, 0, poster, 1, None)] if poster else []
        with durable.disk_errors("storing a video"):
            self._lost.make_way(self.names.proof(job))
            known = Proof(frames, tmp.stat().st_size, sha256, now, report)
            durable.write(
                self.names.tmp / f"{job}-video.json", self.names.proof(job), known.encode(), "proof"
            )
        rows.append(self._adopt(job, VIDEO, 0, tmp, frames, sha256))
        with self._index.write(VIDEO) as db:
            db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, NULL)", rows)
            db.execute(
                "UPDATE jobs SET state = ?, ended = ?, error = NULL, report = ? WHERE id = ?",
                (DONE, now, json.dumps(report), job),
            )
        self.drop_segments(job)

    def drop_segments(self, job: str) -> None:
        """Removes the segments of a job whose video is durable, so that pictures lie on the disk once. Never raises."""
        try:
            durable.check_no_links(self.names.root, self.names.segments(job))
            with self._index.write("thin") as db:
                if not db.execute(
                    "DELETE FROM files WHERE job = ? AND kind = ? AND job IN (SELECT id FROM jobs WHERE "
                    "state = ?)",
                    (job, SEGMENT, DONE),
                ).rowcount:
                    return
                with suppress(FileNotFoundError):
                    os.rename(self.names.segments(job), gone := self.names.new_gone())
            durable.remove(gone)
        except (StoreError, OSError) as error:  # ``thin`` tries again now and then
            _log.warning("job %s: its segments could not be removed: %s", job[:12], error)

    def thin(self) -> bool:
        """Proves the video of one done job that still has segments, and drops these.

        An older version or a full disk may have left them. Returns whether there was such a job.
        """
        rows = self._index.read(
            "SELECT DISTINCT job FROM files WHERE kind = ? AND job IN (SELECT id FROM jobs WHERE state = ?)",
            SEGMENT,
            DONE,
        )
        for row in rows:
            if (job := row["job"]) not in self._thick:
                self._thick.add(job)  # one look at each job is enough
                try:
                    self.open(job).file.close()
                    self.drop_segments(job)
                except StoreError:
                    pass  # the video is damaged: the segments serve to join it again
                return True
        return False

    def _adopt(self, job: str, kind: str, number: int, tmp: Path, frames: int, sha256: str | None) -> FileRow:
        final = self.names.file(job, kind, number)
        with durable.disk_errors(f"storing a {kind}"):
            self._lost.make_way(final)
            size, found = durable.adopt(tmp, final, kind, sha256)
        if kind == VIDEO:
            self._remember(job, kind, _mark(final.stat(), (size, found)))  # the digest was read from the file
        return job, kind, number, frames, size, found

    def stored_frames(self, job: str) -> dict[int, int]:
        """Number of frames of each finished segment, by segment number. Digests are not checked."""
        rows = self._index.read("SELECT number, frames FROM files WHERE job = ? AND kind = ?", job, SEGMENT)
        return {row["number"]: row["frames"] for row in rows}

    def notes(self, job: str) -> list[dict[str, Any]]:
        """The notes on each finished segment's frames (mandel/notes.py)."""
        rows = self._index.read("SELECT notes FROM files WHERE job = ? AND kind = ?", job, SEGMENT)
        known = []
        for row in rows:
            with suppress(ValueError):  # a damaged note is left out
                known.append(json.loads(row["notes"] or "{}"))
        return known

    def segments(self, job: str) -> list[StoredSegment]:
        """The finished segments whose digests are right. The others are removed, row and file."""
        proven = []
        for row in self._index.read(
            "SELECT * FROM files WHERE job = ? AND kind = ? ORDER BY number", job, SEGMENT
        ):
            path = self.names.file(job, SEGMENT, row["number"])
            try:
                with plain_file.reader(path) as file:
                    good = os.fstat(file.fileno()).st_size == row["bytes"] and (
                        durable.digest(file) == (row["bytes"], row["sha256"])
                    )
            except OSError:
                good = False
            if good:
                proven.append(StoredSegment(row["number"], path, row["frames"]))
            else:
                self.discard_segment(job, row["number"])
        return proven

    def discard_segment(self, job: str, number: int) -> None:
        """Removes a segment that cannot be used, row and file, if it exists."""
        path = self.names.file(job, SEGMENT, number)
        with self._index.write("discard") as db:
            db.execute("DELETE FROM files WHERE job = ? AND kind = ? AND number = ?", (job, SEGMENT, number))
        with durable.disk_errors("removing a damaged segment"):
            durable.check_no_links(self.names.root, path)
            durable.remove(path)

    def forget_segments(self, job: str) -> None:
        """Removes the rows of the finished segments. New segments will replace the files."""
        with self._index.write("discard") as db:
            db.execute("DELETE FROM files WHERE job = ? AND kind = ?", (job, SEGMENT))

    def open(self, job: str, kind: str = VIDEO) -> StoredFile:
        """Opens a video or poster, proven by its digest. The caller closes the file.

        The whole file is read the first time, and again whenever its inode,
        size or times have changed.

        Raises:
            StoreError: DAMAGED when it is missing or not what was stored; NO_JOB when there is no such job.
        """
        rows = self._index.read("SELECT bytes, sha256 FROM files WHERE job = ? AND kind = ?", job, kind)
        if not rows and not self._index.read("SELECT 1 FROM jobs WHERE id = ?", job):
            raise StoreError("NO_JOB", "there is no such job any more")
        wanted: list[Content] = [(row["bytes"], row["sha256"]) for row in rows]
        beside = proof.read(self.names, job) if kind == VIDEO else None
        if beside is not None and beside.content not in wanted:
            wanted.append(beside.content)
        damaged = StoreError("DAMAGED", f"the stored {kind} is damaged and must be made again")
        try:
            file = plain_file.reader(self.names.file(job, kind))
        except OSError:
            raise damaged from None
        try:
            for known in wanted:
                if self._proven(job, kind, file, known):
                    if known not in map(tuple, rows) and beside is not None:
                        self._correct(job, beside)
                    return StoredFile(file, *known)
        except BaseException:
            file.close()
            raise
        file.close()
        raise damaged

    def _correct(self, job: str, beside: Proof) -> None:
        """Corrects the index by the proof beside a video, which the video matches."""
        with self._index.write("discard") as db:
            db.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, 0, ?, ?, ?, NULL)",
                (job, VIDEO, beside.frames, *beside.content),
            )

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

    def _remember(self, job: str, kind: str, mark: Mark) -> None:
        if len(self._verified) > 1000:
            self._verified.clear()
        self._verified[job, kind] = mark

    def discard_video(self, job: str) -> None:
        """Forgets a damaged video and its poster and queues the job; good segments stay.

        A video that index and proof both contradict is removed. Otherwise it goes to lost/.
        """
        rows = self._index.read("SELECT bytes, sha256 FROM files WHERE job = ? AND kind = ?", job, VIDEO)
        beside = proof.read(self.names, job)
        with self._index.write("discard") as db:
            db.execute("DELETE FROM files WHERE job = ? AND kind != ?", (job, SEGMENT))
            db.execute("UPDATE jobs SET state = ?, ended = NULL WHERE id = ?", (QUEUED, job))
        with durable.disk_errors("removing a damaged video"):
            durable.check_no_links(self.names.root, self.names.file(job, VIDEO))
            if not (beside is not None and beside.witness and beside.content in map(tuple, rows)):
                self._lost.put(self.names.file(job, VIDEO), "is not the video that was stored there")
            for path in (self.names.file(job, VIDEO), self.names.file(job, POSTER), self.names.proof(job)):
                durable.remove(path)


def _mark(stat: os.stat_result, wanted: Content) -> Mark:
    """A key that changes whenever the file does: inode, size, times, and the size and digest that were proven."""
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, wanted

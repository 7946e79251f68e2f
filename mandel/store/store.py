"""The store: jobs and their files, safe against a kill at any moment.

Order of every change: file in tmp, fsync, rename, fsync of the folder, commit
of the row. A file without a row does not count. A file with a row is trusted
only while its size and SHA-256 are those of the row.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mandel.errors import MandelError, StoreError
from mandel.payload.job_id import is_beginning
from mandel.store import claim, durable, proof
from mandel.store.evict import IDLE_SECONDS, MOST_ENDED, MOST_PINNED, PINNED_SHARE, Evictor, Goal, forget
from mandel.store.files import Files
from mandel.store.index import Damaged, Index
from mandel.store.lost import Lost
from mandel.store.names import Names
from mandel.store.recovery import Recoverer, Recovery, base
from mandel.store.states import PAUSED, QUEUED
from mandel.store.stored_strips import BLOCKS, StoredStrips
from mandel.store.usage import Usage, usage

_log = logging.getLogger("mandel")

_LEAST_FREE = 64 << 20  # bytes on the disk, below which no new job is accepted, so that running ones can end


class Shown(NamedTuple):
    """What lists show of a job: what people call it, how many seconds its film lasts, its look in words."""

    name: str = ""
    seconds: float = 0.0
    look: str = ""  # in the column `palette`, as older versions knew palettes alone


_NOTHING_SHOWN = Shown()


@dataclass(frozen=True)
class Record:
    """A job as the index holds it. ``asked`` is in Unix seconds.

    ``payload`` comes from a file beside the job's video; None if it was not read or is lost.
    """

    id: str
    payload: dict[str, Any] | None
    frames: int
    state: str
    asked: float
    error: MandelError | None
    report: dict[str, Any]
    priority: int = 0
    pinned: bool = False
    client: str = ""
    source: str | None = None
    name: str = ""


def _record(row: sqlite3.Row, payload: dict[str, Any] | None = None) -> Record:
    try:
        error = MandelError.from_dict(json.loads(row["error"])) if row["error"] else None
        report = json.loads(row["report"] or "{}")
    except (ValueError, AttributeError) as trouble:
        raise StoreError(
            "INDEX_FAILED", "the index of DB/ is damaged; restart the service, which mends it"
        ) from trouble
    return Record(
        row["id"],
        payload,
        row["frames"],
        row["state"],
        row["asked"],
        error,
        report,
        row["priority"],
        bool(row["pinned"]),
        row["client"],
        row["source"],
        row["name"],
    )


class Store(Files):
    """Opens the folder ``root`` for this process alone and recovers what a crash left.

    Raises:
        StoreError: DB_NOT_OURS, DB_NOT_WRITABLE, DB_LOCKED, or those of ``Index``.
    """

    def __init__(self, root: str | Path):
        self.names = Names(Path(root).resolve())
        super().__init__()
        self._fds: tuple[int, ...] = ()
        self._lost = Lost(self.names)
        try:
            claim.claim(self.names)
            self._fds = claim.take(self.names, self._lost)
            for folder in (self.names.jobs, self.names.tmp, self.names.cache):
                durable.make_folder(folder)
            self._jobs_stat = self.names.jobs.stat()
            self.recovery = self._recover()
        except OSError as error:
            self._unlock()
            raise StoreError(
                "DB_NOT_WRITABLE",
                f"cannot write to {error.filename or self.names.root}: {error.strerror or error}; "
                "make it writable or choose another folder with --db",
            ) from error
        except BaseException:
            self._unlock()
            raise

    def _recover(self) -> Recovery:
        """Opens the index, or makes a new one if it is lost or damaged, and repairs what a crash left."""
        doubtful = not _has_bytes(self.names.index)
        for _ in range(2):
            index = None
            try:
                index = Index(self.names.index)
                found = Recoverer(index, self.names, self._lost, doubtful).run()
                durable.sync_folder(self.names.root)
                self._index, self.strips = index, StoredStrips(index, self.names, self._lost)
                return found
            except (
                Damaged,
                StoreError,
                sqlite3.Error,
                ValueError,
                TypeError,
                LookupError,
                OverflowError,
            ) as error:
                if index is not None:
                    index.close()
                if isinstance(error, StoreError) and (error.code != "INDEX_FAILED" or index is None):
                    raise  # nothing is damaged: the disk is full, say
                _log.warning(
                    "the index of DB/ is damaged (%s); it is made anew from the files beside the videos",
                    getattr(error, "message", error),
                )
            for path in self.names.index_files:
                self._lost.put(path, "is damaged")
            doubtful = True
        raise StoreError(
            "INDEX_FAILED",
            f"the index of {self.names.root} cannot be made anew; the videos are in jobs/*/*/video.mp4: "
            "copy those that you need and choose another folder with --db",
        )

    def _unlock(self) -> None:
        for fd in self._fds:
            os.close(fd)

    def close(self) -> None:
        """Closes the index and unlocks the folder."""
        self._index.close()
        self._unlock()

    # -- jobs -------------------------------------------------------------

    def add(
        self,
        job: str,
        payload: dict[str, Any],
        canonical: str,
        frames: int,
        priority: int = 0,
        client: str = "",
        source: str | None = None,
        shown: Shown = _NOTHING_SHOWN,
    ) -> Record:
        """Accepts a job. After this returns, no crash loses it.

        Args:
            source: id of another job whose strips this one is made from, if any.
            shown: what lists show of it.

        Raises:
            StoreError: DISK_FULL, DISK_FAILED.
        """
        now = time.time()
        self.keep_payload(job, canonical)
        with self._index.write("job") as db:
            db.execute(
                "INSERT INTO jobs (id, payload, frames, state, asked, priority, client, source, name, seconds, "
                "palette, bytes) VALUES (?, '', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(job, frames, QUEUED, now, priority, client, source, *shown),
                    base(len(canonical)),
                ),
            )
        return Record(
            job,
            payload,
            frames,
            QUEUED,
            now,
            None,
            {},
            priority,
            client=client,
            source=source,
            name=shown.name,
        )

    def keep_payload(self, job: str, canonical: str) -> None:
        """Writes a job's payload beside its video, unless it is there already. Raises StoreError."""
        data = canonical.encode()
        if proof.read_json(self.names.payload(job)) != data:
            with durable.disk_errors("accepting a job"):
                self._lost.make_way(self.names.payload(job))
                durable.write(self.names.tmp / f"{job}.json", self.names.payload(job), data, "job")

    def payload(self, job: str) -> dict[str, Any]:
        """The payload of a job. Raises StoreError PAYLOAD_LOST."""
        if (payload := proof.payload_of(self.names, job)) is None:
            raise proof.payload_lost()
        return payload

    def check_space(self, need: int = 0, lasting: int = 0, most: int | None = None) -> None:
        """Checks that there is room for one more job.

        Args:
            need: the most bytes that this and other unfinished jobs will take at a time, in addition to today's.
            lasting: the part of ``need`` that stays.
            most: the most bytes that DB/ may take. Bytes of unfinished jobs cannot be evicted.

        Raises:
            StoreError: DISK_FULL, DB_GONE.
        """
        self.check_there()
        need += _LEAST_FREE
        with durable.disk_errors("looking at the disk"):
            free = shutil.disk_usage(self.names.root).free
        if free < need:
            raise StoreError(
                "DISK_FULL",
                f"only {free >> 20} MiB free under {self.names.root}, {need >> 20} needed; "
                "free some and ask again",
                limit=need,
            )
        if most is not None and lasting:
            has = self._index.read(
                f"SELECT coalesce(sum(bytes), 0) FROM jobs WHERE state IN ('{QUEUED}', '{PAUSED}')"
            )
            if has[0][0] + lasting > most:
                raise StoreError(
                    "DISK_FULL",
                    f"the video would take {lasting >> 20} MiB at least, with those that are under way; "
                    f"{self.names.root} may take {most >> 20} MiB (--max-db-bytes), of which {has[0][0] >> 20} are "
                    "taken by unfinished jobs",
                    limit=most,
                )

    def check_there(self) -> None:
        """Raises StoreError DB_GONE if DB/ was removed, unmounted or replaced."""
        try:
            there = os.path.samestat(self.names.jobs.stat(), self._jobs_stat)
        except OSError:
            there = False
        if not there:
            raise StoreError(
                "DB_GONE",
                f"{self.names.root} is gone, or another one, below the running service: put it back, and "
                "restart the service",
            )

    def set_state(self, job: str, state: str, error: MandelError | None = None) -> None:
        """Commits a job's new state. An ended job that is queued was asked for again, now."""
        now = time.time()
        text = json.dumps(error.as_dict()) if error else None
        with self._index.write("state") as db:
            if state in (QUEUED, PAUSED):
                db.execute(
                    "UPDATE jobs SET asked = CASE WHEN state IN (?, ?) THEN asked ELSE ? END, state = ?, "
                    "ended = NULL, error = NULL WHERE id = ?",
                    (QUEUED, PAUSED, now, state, job),
                )
            else:
                db.execute(
                    "UPDATE jobs SET state = ?, ended = ?, error = ? WHERE id = ?", (state, now, text, job)
                )

    def get(self, job: str) -> Record | None:
        rows = self._index.read("SELECT * FROM jobs WHERE id = ?", job)
        return _record(rows[0], proof.payload_of(self.names, job)) if rows else None

    def resolve(self, beginning: str) -> list[str]:
        """Ids of jobs that begin with a prefix; two at most, which is enough to see that it is ambiguous."""
        if not is_beginning(beginning):
            return []
        return [
            row["id"]
            for row in self._index.read(
                "SELECT id FROM jobs WHERE id >= ? AND id < ? LIMIT 2", beginning, beginning + "g"
            )
        ]

    def table(self, most: int) -> list[sqlite3.Row]:
        """Rows of the jobs last asked for, newest first: id, state, frames, ready, asked, pinned, bytes, kept
        (of these, bytes of its strips), and those of ``Shown``.
        """
        return self._index.read(
            f"SELECT id, state, frames, ready, asked, pinned, bytes, (SELECT {BLOCKS} FROM strips WHERE job = jobs.id) "
            "AS kept, name, seconds, palette AS look FROM jobs ORDER BY asked DESC, id LIMIT ?",
            most,
        )

    def bytes(self, job: str) -> int:
        """Bytes that a job takes on the disk, in blocks of 4 KiB."""
        return next((row[0] for row in self._index.read("SELECT bytes FROM jobs WHERE id = ?", job)), 0)

    def usage(self) -> Usage:
        """The bytes that DB/ takes, by kind. Raises StoreError, OSError."""
        return usage(self._index, self.names)

    def set_wish(self, job: str, wish: str, value: int | str | None) -> None:
        """Commits one setting of a job: ``priority``, ``client``, ``source``, ``name`` or ``pinned``."""
        column = {name: name for name in ("priority", "pinned", "client", "source", "name")}[wish]
        with self._index.write("wish") as db:
            db.execute(f"UPDATE jobs SET {column} = ? WHERE id = ?", (value, job))

    def queue(self) -> list[Record]:
        """Unfinished jobs, paused ones included, oldest first."""
        return [
            _record(row)
            for row in self._index.read(
                "SELECT * FROM jobs WHERE state IN (?, ?) ORDER BY asked, id", QUEUED, PAUSED
            )
        ]

    def count(self) -> dict[str, int]:
        """The number of jobs in each state."""
        rows = self._index.read("SELECT state, count(*) AS jobs FROM jobs GROUP BY state")
        return {row["state"]: row["jobs"] for row in rows}

    def touch(self, job: str) -> None:
        """Records that a job's video is used, at most once a minute, as each record is a commit.

        On a full disk nothing is recorded, and nothing is raised.
        """
        now = time.time()
        try:
            if self._index.read("SELECT 1 FROM jobs WHERE id = ? AND coalesce(used, 0) < ?", job, now - 60):
                with self._index.write("wish") as db:
                    db.execute("UPDATE jobs SET used = ? WHERE id = ?", (now, job))
        except StoreError as error:
            _log.info("job %s: its use could not be noted: %s", job[:12], error.message)

    def pin(self, job: str, pinned: bool, most: int | None) -> None:
        """Pins a job, so that it is not evicted, or unpins it.

        Args:
            most: the most bytes that DB/ may take; None: no limit.

        Raises:
            StoreError: TOO_MANY_PINS, or as ``set_wish``.
        """
        if pinned:
            count, taken = self._index.read(
                "SELECT count(*), coalesce(sum(bytes), 0) FROM jobs WHERE pinned != 0 AND id != ?", job
            )[0]
            share = None if most is None else int(most * PINNED_SHARE)
            if count >= MOST_PINNED or (share is not None and taken + self.bytes(job) > share):
                allowed = f"{MOST_PINNED} jobs" + (
                    "" if share is None else f" and {share} bytes, {PINNED_SHARE:.0%} of what DB/ may hold"
                )
                raise StoreError(
                    "TOO_MANY_PINS",
                    f"{count} jobs of {taken} bytes are pinned and this one has {self.bytes(job)}; "
                    f"allowed are {allowed}: unpin some, or have a larger --max-db-bytes",
                    limit={"jobs": MOST_PINNED, "bytes": share},
                )
        self.set_wish(job, "pinned", int(pinned))

    def evict(
        self,
        most: int | None,
        idle: float = IDLE_SECONDS,
        ended: int = MOST_ENDED,
        few: int = -1,
        hold: AbstractContextManager[object] = nullcontext(),
    ) -> list[str]:
        """Makes room as ``Evictor`` does, until DB/ takes at most ``most`` bytes.

        Args:
            idle: seconds since its last use for which a job or file stays.
            ended: the most ended jobs that may stay.
            few: the most jobs to touch; -1: as many as needed.
            hold: see ``Evictor``.

        Returns:
            The ids of the jobs that were forgotten.
        """
        turn = Evictor(self._index, self.names, idle, hold)
        with durable.disk_errors("making room"):
            turn.run(Goal(most, ended, few))
        return turn.forgotten

    def delete(self, job: str) -> Path | None:
        """Forgets a job. Returns its folder, moved into tmp, which the caller removes; None if there is no such job.

        Raises:
            StoreError: IN_USE when another job is made from its strips.
        """
        used = self._index.read(
            "SELECT id FROM jobs WHERE source = ? AND state IN (?, ?) LIMIT 1", job, QUEUED, PAUSED
        )
        if used:
            raise StoreError("IN_USE", f"job {used[0]['id'][:12]} is made from its strips; cancel that first")
        with durable.disk_errors("deleting a job"):
            return forget(self._index, self.names, job)


def _has_bytes(path: Path) -> bool:
    try:
        return path.lstat().st_size > 0
    except OSError:
        return False

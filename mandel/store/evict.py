"""Makes room in DB/: removes first what is easiest to do without, and forgets old jobs."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from mandel.errors import StoreError
from mandel.store import durable
from mandel.store.index import Index
from mandel.store.names import SEGMENT, Names
from mandel.store.states import CANCELLED, DONE, FAILED, PAUSED, QUEUED
from mandel.store.usage import usage

IDLE_SECONDS = 60.0  # jobs used within this time stay: somebody may be about to fetch the video
MOST_ENDED = 10_000  # jobs that have ended, with a video or without
WITHOUT_VIDEO_SECONDS = 30 * 86_400.0  # failed and cancelled jobs are forgotten after this time
PINNED_SHARE = 0.5  # share of the bytes that DB/ may hold, for pinned jobs
MOST_PINNED = 1_000

_LAST = "max(coalesce(used, 0), asked, coalesce(ended, 0))"
# Jobs that may go: they have ended, no unfinished job needs their strips, and they were not used just now.
# A last use in the future, from a clock that was wrong, does not count.
_MAY_GO = f"""
    state IN ('{DONE}', '{FAILED}', '{CANCELLED}') AND pinned <= :pinned AND NOT {_LAST} BETWEEN :since AND :until
    AND id NOT IN (SELECT source FROM jobs WHERE source NOT NULL AND state IN ('{QUEUED}', '{PAUSED}'))
"""


@dataclass(frozen=True)
class Goal:
    """How much may stay in DB/.

    Attributes:
        bytes: bytes of all of DB/; None: no limit.
        ended: number of jobs that have ended.
        few: the most jobs to touch in each step; -1: as many as needed.
    """

    bytes: int | None
    ended: int = MOST_ENDED
    few: int = -1


class Evictor:
    """One turn of making room.

    Args:
        hold: lock to hold while a job is forgotten, so that nobody asks for the job at that moment.
    """

    def __init__(
        self,
        index: Index,
        names: Names,
        idle: float = IDLE_SECONDS,
        hold: AbstractContextManager[object] = nullcontext(),
    ):
        self._index, self._names, self._hold = index, names, hold
        now = time.time()
        self._bounds = {"since": now - idle, "until": now + idle, "pinned": 0}
        self.forgotten: list[str] = []
        self.freed = 0

    def run(self, goal: Goal) -> None:
        """Removes, the longest unused first, until ``goal`` is met:

        1. files of the cache;
        2. segments beside finished videos, which older versions kept;
        3. raw strips;
        4. whole jobs;
        5. pinned jobs, if all pinned ones together take more than their share.
        """
        self._forget_by_number(goal)
        if goal.bytes is None:
            return
        taken = usage(self._index, self._names)
        excess = taken.total - goal.bytes
        for step in (self._cache, self._segments, self._strips, self._jobs):
            if excess > self.freed and not self._had_enough(goal):
                step(excess, goal.few)
        pinned_excess = taken.pinned - int(goal.bytes * PINNED_SHARE)
        if excess > self.freed and pinned_excess > 0 and not self._had_enough(goal):
            self._bounds["pinned"] = 1
            self._jobs(min(excess, self.freed + pinned_excess), goal.few)

    def _had_enough(self, goal: Goal) -> bool:
        return 0 <= goal.few <= len(self.forgotten)

    def _forget_by_number(self, goal: Goal) -> None:
        old = self._index.read(
            f"SELECT id, bytes FROM jobs WHERE {_MAY_GO} AND state != '{DONE}' AND {_LAST} < :old LIMIT :few",
            **self._bounds,
            old=time.time() - WITHOUT_VIDEO_SECONDS,
            few=goal.few,
        )
        for row in old:
            self._forget(row)
        ended = self._index.read(
            f"SELECT count(*) FROM jobs WHERE state IN ('{DONE}', '{FAILED}', '{CANCELLED}')"
        )
        if (most := ended[0][0] - goal.ended) > 0:
            rows = self._index.read(
                f"SELECT id, bytes FROM jobs WHERE {_MAY_GO} ORDER BY state = '{DONE}', {_LAST} LIMIT :few",
                **self._bounds,
                few=most if goal.few < 0 else min(most, goal.few),
            )
            for row in rows:
                self._forget(row)

    def _cache(self, excess: int, few: int) -> None:
        """Removes files of the cache, which the driver can make again. Files used just now stay."""
        files = []
        try:
            for entry in os.scandir(self._names.cache):
                stat = entry.stat(follow_symlinks=False)
                if self._names.is_ours_in_cache(entry.name) and entry.is_file(follow_symlinks=False):
                    files.append((stat.st_mtime, stat.st_size, entry.path))
        except OSError:
            pass  # go on with the files seen so far
        for used, size, path in sorted(files):
            if excess > self.freed and not self._bounds["since"] <= used <= self._bounds["until"]:
                durable.remove(Path(path))
                self.freed += durable.room(size)

    def _segments(self, excess: int, few: int) -> None:
        self._parts(excess, few, "files", f"kind = '{SEGMENT}'", f"state = '{DONE}'", self._names.segments)

    def _strips(self, excess: int, few: int) -> None:
        self._parts(excess, few, "strips", "1", "1", self._names.strips)

    def _parts(
        self, excess: int, few: int, table: str, which: str, whose: str, folder: Callable[[str], Path]
    ) -> None:
        rows = self._index.read(
            f"SELECT id, (SELECT sum((bytes + 4095) / 4096 * 4096) FROM {table} WHERE job = id AND {which}) AS parts "
            f"FROM jobs WHERE {_MAY_GO} AND {whose} AND parts NOT NULL ORDER BY {_LAST} LIMIT :few",
            **self._bounds,
            few=few,
        )
        for row in rows:
            if excess > self.freed:
                # In this order: a row without its file is found by its digest, a file without a row would stay.
                durable.check_no_links(self._names.root, folder(row["id"]))
                durable.remove(folder(row["id"]))
                with self._index.write("discard") as db:
                    db.execute(f"DELETE FROM {table} WHERE job = ? AND {which}", (row["id"],))
                self.freed += row["parts"]

    def _jobs(self, excess: int, few: int) -> None:
        rows = self._index.read(
            f"SELECT id, bytes FROM jobs WHERE {_MAY_GO} ORDER BY {_LAST} LIMIT :few", **self._bounds, few=few
        )
        for row in rows:
            if excess > self.freed:
                self._forget(row)

    def _forget(self, row: sqlite3.Row) -> None:
        with self._hold:
            gone = forget(self._index, self._names, row["id"], _MAY_GO, self._bounds)
        if gone is not None:
            durable.remove(gone)
            self.freed += row["bytes"]
            self.forgotten.append(row["id"])


def forget(
    index: Index, names: Names, job: str, unless: str = "1", bounds: Mapping[str, float] | None = None
) -> Path | None:
    """Removes a job from the index, and moves its folder into tmp, in one step.

    Args:
        unless: SQL condition, with the values ``bounds``: the job is forgotten only if it holds at this moment.

    Returns:
        The moved folder, which the caller removes (that may take long); None if the job stays.

    Raises:
        StoreError: the index could not be changed.
    """
    gone, delete = names.new_gone(), f"DELETE FROM jobs WHERE id = :job AND ({unless})"
    values = {"job": job, **(bounds or {})}
    moved = False
    try:
        with index.write("discard") as db:
            if not db.execute(delete, values).rowcount:
                return None
            with suppress(FileNotFoundError):
                durable.check_no_links(names.root, names.job(job))
                os.rename(names.job(job), gone)
                moved = True
    except StoreError as error:
        if not moved:
            raise
        if error.code != "DISK_FULL":
            os.rename(gone, names.job(job))
            raise
        durable.remove(gone)  # no room even to commit: make room first
        with index.write("discard") as db:
            db.execute(delete, values)
    return gone

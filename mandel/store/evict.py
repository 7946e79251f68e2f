"""Makes room in DB/: removes what is missed least."""

from __future__ import annotations

import time

from mandel.store import durable
from mandel.store.index import Index
from mandel.store.names import SEGMENT, Names
from mandel.store.states import CANCELLED, DONE, FAILED, PAUSED, QUEUED

IDLE_SECONDS = 60.0  # somebody may be about to fetch the video of a job that was used since

_TAKEN = "SELECT (SELECT coalesce(sum(bytes), 0) FROM files) + (SELECT coalesce(sum(bytes), 0) FROM strips)"
_ENDED = """
    SELECT j.id, j.state, total(f.bytes) AS bytes, total(f.bytes * (f.kind = ?)) AS segments,
           total(f.bytes * (f.kind = 'strip')) AS strips,
           max(coalesce(j.used, 0), j.asked, coalesce(j.ended, 0)) AS last
    FROM jobs j LEFT JOIN (
        SELECT job, kind, bytes FROM files UNION ALL SELECT job, 'strip', bytes FROM strips
    ) f ON f.job = j.id
    WHERE j.state IN (?, ?, ?) AND NOT j.pinned AND NOT last BETWEEN ? AND ?
    AND j.id NOT IN (SELECT source FROM jobs WHERE source NOT NULL AND state IN (?, ?))
    GROUP BY j.id ORDER BY last
"""


def evict(index: Index, names: Names, most: int, idle: float = IDLE_SECONDS) -> list[str]:
    """Removes files until they take at most ``most`` bytes; ids of the jobs forgotten.

    First segments of done jobs, whose videos stay, then raw strips, then whole
    jobs that have ended, the longest unused first. Unfinished and pinned jobs,
    those whose strips an unfinished one is made from, and those used within
    ``idle`` seconds, stay; those used in the future, as a clock that was wrong may say,
    do not. Jobs without files go with the others of their age.
    """
    excess = index.read(_TAKEN)[0][0] - most
    if excess <= 0:
        return []
    now = time.time()
    jobs = index.read(_ENDED, SEGMENT, DONE, FAILED, CANCELLED, now - idle, now + idle, QUEUED, PAUSED)
    for row in jobs:
        if excess > 0 and row["state"] == DONE:
            # In this order: a row without its file is found by its digest, a file without a row would stay.
            durable.remove(names.file(row["id"], SEGMENT).parent)
            with index.write("discard") as db:
                db.execute("DELETE FROM files WHERE job = ? AND kind = ?", (row["id"], SEGMENT))
            excess -= row["segments"]
    for row in jobs:
        if excess > 0 and row["strips"]:
            durable.remove(names.strips(row["id"]))
            with index.write("discard") as db:
                db.execute("DELETE FROM strips WHERE job = ?", (row["id"],))
            excess -= row["strips"]
    forgotten = []
    for row in jobs:
        if excess > 0:
            with index.write("discard") as db:  # a folder without a row is removed at the next start
                db.execute("DELETE FROM jobs WHERE id = ?", (row["id"],))
            durable.remove(names.job(row["id"]))
            excess -= row["bytes"] - row["strips"] - (row["segments"] if row["state"] == DONE else 0)
            forgotten.append(row["id"])
    return forgotten

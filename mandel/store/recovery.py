"""Repairs the index and the files under DB/ after a crash or damage, when the store is opened.

A file without a row is removed if it can be made again and its name is one that
this program gives. A video is never removed: its row is made again from the
proof beside it, or the video goes to lost/.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from mandel import plain_file
from mandel.errors import StoreError
from mandel.payload.job_id import is_job_id
from mandel.store import durable, proof
from mandel.store.files import FileRow
from mandel.store.index import Index
from mandel.store.lost import Lost
from mandel.store.names import POSTER, SEGMENT, VIDEO, Names
from mandel.store.proof import Proof
from mandel.store.states import CANCELLED, DONE, FAILED, PAUSED, QUEUED

_log = logging.getLogger("mandel")

_STATES = (QUEUED, PAUSED, DONE, FAILED, CANCELLED)
_VIDEO_FILE = "video.mp4"


@dataclass(frozen=True)
class Recovery:
    """Counts of what a recovery found and did."""

    unfinished: int
    segments: int
    strips: int
    damaged: int
    removed: int
    rebuilt: int = 0
    forgotten: int = 0
    lost: int = 0

    def __str__(self) -> str:
        said = [
            f"{count} {what}"
            for count, what in (
                (
                    self.unfinished,
                    f"unfinished {'job goes' if self.unfinished == 1 else 'jobs go'} on, with "
                    f"{self.segments} finished segment{'' if self.segments == 1 else 's'}"
                    + (f" and {self.strips} strip{'' if self.strips == 1 else 's'}" if self.strips else ""),
                ),
                (self.damaged, "of them because their videos were damaged"),
                (self.removed, f"unproven file{'' if self.removed == 1 else 's'} removed"),
                (self.rebuilt, f"job{'' if self.rebuilt == 1 else 's'} found again that the index had lost"),
                (self.forgotten, f"job{'' if self.forgotten == 1 else 's'} forgotten, as the files are gone"),
                (self.lost, f"unknown thing{'' if self.lost == 1 else 's'} moved to lost/"),
            )
            if count
        ]
        return ", ".join(said) or "nothing to recover"


class Recoverer:
    """One recovery; ``run`` performs it.

    Args:
        doubtful: whether the index was lost or damaged, so that the fate of jobs without a row is unknown.
    """

    def __init__(self, index: Index, names: Names, lost: Lost, doubtful: bool):
        self._index, self._names, self._lost, self._doubtful = index, names, lost, doubtful
        self._folders: dict[str, dict[str, int]] = {}  # by job, the sizes of its files, by name
        self._removed = self._damaged = self._rebuilt = self._forgotten = 0

    def run(self) -> Recovery:
        """Makes the index and the files under DB/ agree. Raises StoreError, OSError."""
        self._removed += sweep(self._names, self._lost)
        self._scan()
        self._drop_bad_rows()
        self._move_payloads()
        rows = {row["id"]: row for row in self._index.read("SELECT * FROM jobs")}
        files: dict[str, dict[str, FileRow]] = {}
        for row in self._index.read(
            "SELECT job, kind, number, frames, bytes, sha256 FROM files WHERE kind != ?", SEGMENT
        ):
            files.setdefault(row["job"], {})[row["kind"]] = tuple(row)
        for job, row in rows.items():
            self._check(job, row, files.get(job, {}))
        strays = [job for job in self._folders if job not in rows]
        if len(strays) > 1 or any(set(self._folders[job]) - {"payload.json"} for job in strays):
            self._doubtful = True  # a crash leaves one payload without a row: jobs are accepted one by one
        for job in strays:
            self._adopt(job)
        self._remove_unproven()
        self._weigh()
        count = "SELECT count(*) FROM {} f JOIN jobs j ON j.id = f.job WHERE j.state IN (?, ?)"
        segments, strips = (
            self._index.read(count.format(table), QUEUED, PAUSED)[0][0] for table in ("files", "strips")
        )
        unfinished = self._index.read("SELECT count(*) FROM jobs WHERE state IN (?, ?)", QUEUED, PAUSED)[0][0]
        return Recovery(
            unfinished,
            segments,
            strips,
            self._damaged,
            self._removed,
            self._rebuilt,
            self._forgotten,
            self._lost.count,
        )

    def _scan(self) -> None:
        """Lists jobs/. Files that this program cannot have made go to lost/."""
        for prefix in _entries(self._names.jobs):
            if not prefix.is_dir(follow_symlinks=False) or len(prefix.name) != 2:
                self._lost.put(Path(prefix.path))
                continue
            _close(prefix)
            for entry in _entries(prefix.path):
                if (
                    entry.is_dir(follow_symlinks=False)
                    and is_job_id(entry.name)
                    and entry.name[:2] == prefix.name
                ):
                    self._folders[entry.name] = self._scan_job(Path(entry.path))
                else:
                    self._lost.put(Path(entry.path))

    def _scan_job(self, folder: Path) -> dict[str, int]:
        sizes = {}
        os.chmod(folder, 0o700)
        for entry in _entries(folder):
            if entry.name in ("segments", "strips") and entry.is_dir(follow_symlinks=False):
                _close(entry)
                inner = [(f"{entry.name}/{one.name}", one) for one in _entries(entry.path)]
            else:
                inner = [(entry.name, entry)]
            for name, one in inner:
                if self._names.is_ours_in_job(name) and one.is_file(follow_symlinks=False):
                    sizes[name] = one.stat(follow_symlinks=False).st_size
                    _close(one)
                else:
                    self._lost.put(Path(one.path))
        return sizes

    def _drop_bad_rows(self) -> None:
        """Removes rows that this program cannot have written. Their jobs are found again by their files."""
        bad = []
        for row in self._index.read("SELECT * FROM jobs"):
            good = (
                is_job_id(row["id"])
                and row["state"] in _STATES
                and isinstance(row["payload"], str)
                and isinstance(row["frames"], int)
                and row["frames"] > 0
                and all(isinstance(row[name], str) for name in ("client", "name", "palette"))
                and _is_object(row["error"])
                and _is_object(row["report"])
                and (row["source"] is None or is_job_id(row["source"]))
                and all(isinstance(row[name], int) for name in ("priority", "pinned"))
                and all(
                    isinstance(row[name], (int, float)) and abs(row[name]) < 1e12
                    for name in ("asked", "ended", "used", "seconds")
                    if row[name] is not None
                )
            )
            if not good:
                bad.append(row["id"])
        wrong_files = [
            tuple(row)
            for table, kind in (("files", "kind"), ("strips", "'strip'"))
            for row in self._index.read(
                f"SELECT '{table}', job, {kind}, number, bytes, sha256, "
                f"job IN (SELECT id FROM jobs) AS known FROM {table}"
            )
            if not (
                is_job_id(row["job"])
                and isinstance(row["bytes"], int)
                and isinstance(row["number"], int)
                and isinstance(row["sha256"], str)
                and row["known"]
                and row[2] in (SEGMENT, VIDEO, POSTER, "strip")
            )
        ]
        if not bad and not wrong_files:
            return
        self._doubtful = True
        _log.warning(
            "the index of DB/ has %d rows that make no sense; they are made again from the files beside "
            "the videos",
            len(bad) + len(wrong_files),
        )
        with self._index.write("recover") as db:
            db.executemany("DELETE FROM jobs WHERE id IS ?", [(job,) for job in bad])
            for table, job, kind, number, *_ in wrong_files:
                where, values = "job IS ? AND number IS ?", [job, number]
                if table == "files":
                    where, values = where + " AND kind IS ?", [*values, kind]
                db.execute(f"DELETE FROM {table} WHERE {where}", values)

    def _move_payloads(self) -> None:
        """Moves payloads out of an older version's index into files beside the videos."""
        rows = self._index.read("SELECT id, payload FROM jobs WHERE payload != ''")
        for row in rows:
            job, text = row["id"], row["payload"]
            payload = proof.payload_of(self._names, job)
            if (payload is None or json.dumps(payload, sort_keys=True, separators=(",", ":")) != text) and (
                _is_object(text)
            ):
                durable.write(self._names.tmp / f"{job}.json", self._names.payload(job), text.encode(), "job")
                self._folders.setdefault(job, {})["payload.json"] = len(text)
        if rows:
            with self._index.write("recover") as db:
                db.execute("UPDATE jobs SET payload = ''")

    def _check(self, job: str, row: sqlite3.Row, files: dict[str, FileRow]) -> None:
        """Makes the row of a job agree with its files."""
        found = self._folders.setdefault(job, {})
        said = None
        if VIDEO in files:
            _, _, _, frames, size, sha256 = files[VIDEO]
            said = Proof(
                frames, size, sha256, row["ended"] or 0.0, json.loads(row["report"] or "{}"), witness=False
            )
        beside = proof.read(self._names, job)
        if (
            row["state"] == DONE
            and said
            and found.get(_VIDEO_FILE) == said.bytes
            and (beside is None or beside.content == said.content)
        ):
            if beside is None:
                self._write_proof(job, said)
        elif _VIDEO_FILE in found and (true := proof.prove(self._names, job, said, beside)) is not None:
            _log.warning("job %s: the index did not know its video, which is whole", job[:12])
            self._done(job, true)
        elif row["state"] == DONE:
            self._discard(
                job,
                beside is not None and beside.witness and said is not None and said.content == beside.content,
            )
        elif _VIDEO_FILE in found:
            self._set_aside(job, _VIDEO_FILE)
        if POSTER in files and found.get("poster.png") != files[POSTER][4]:
            with self._index.write("recover") as db:
                db.execute("DELETE FROM files WHERE job = ? AND kind = ?", (job, POSTER))
        if _VIDEO_FILE in found or "payload.json" in found:
            return
        if row["state"] in (QUEUED, PAUSED):
            with self._index.write("recover") as db:
                db.execute(
                    "UPDATE jobs SET state = ?, ended = ?, error = ? WHERE id = ?",
                    (FAILED, time.time(), json.dumps(proof.payload_lost().as_dict()), job),
                )
            _log.warning("job %s fails, as its payload is gone: send that again, and it goes on", job[:12])
        elif row["state"] != FAILED:
            with self._index.write("recover") as db:
                db.execute("DELETE FROM jobs WHERE id = ?", (job,))
            self._forgotten += 1
            _log.warning("job %s is forgotten, as its payload is gone: send that again", job[:12])

    def _adopt(self, job: str) -> None:
        """Makes a row for a folder without one. A folder with neither video nor payload is dropped."""
        found, asked = self._folders[job], proof.frames_asked(self._names, job)
        true = None
        if _VIDEO_FILE in found:
            true = proof.prove(self._names, job, proof.read(self._names, job))
            if true is None:
                self._set_aside(job, _VIDEO_FILE)
        if true is None and asked is None:
            if "payload.json" in found:
                self._set_aside(job, "payload.json")
            return
        state, error, moment = QUEUED, None, time.time()
        if true is None and self._doubtful:
            state = FAILED
            error = json.dumps(
                StoreError(
                    "INDEX_LOST",
                    "the index of DB/ was lost, and with it what had become of this job; retry it, or send "
                    "its payload again",
                ).as_dict()
            )
        with self._index.write("recover") as db:
            db.execute(
                "INSERT INTO jobs (id, payload, frames, state, asked, ended, error) "
                "VALUES (?, '', ?, ?, ?, ?, ?)",
                (
                    job,
                    true.frames if true else asked,
                    state,
                    moment,
                    None if state == QUEUED else moment,
                    error,
                ),
            )
        if true is not None:
            self._done(job, true)
        self._rebuilt += 1

    def _done(self, job: str, true: Proof) -> None:
        rows = []
        try:
            with plain_file.reader(self._names.file(job, POSTER)) as file:
                rows.append((job, POSTER, 1, *durable.digest(file)))
        except OSError:
            pass  # there is none
        with self._index.write("recover") as db:
            db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, 0, ?, ?, ?, NULL)", rows)
            db.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, 0, ?, ?, ?, NULL)",
                (job, VIDEO, true.frames, true.bytes, true.sha256),
            )
            db.execute(
                "UPDATE jobs SET state = ?, frames = ?, ended = ?, asked = coalesce(asked, ?), error = NULL, "
                "report = ? WHERE id = ?",
                (DONE, true.frames, true.ended, true.ended, json.dumps(true.report), job),
            )
        self._write_proof(job, true)

    def _write_proof(self, job: str, true: Proof) -> None:
        try:
            proof.write(self._names, job, true)
            self._folders[job]["video.json"] = 1
        except OSError as error:  # a full disk, say: the next start tries again
            _log.warning(
                "job %s: what is known of its video could not be written beside it: %s",
                job[:12],
                error.strerror,
            )

    def _discard(self, job: str, agreed: bool) -> None:
        """Queues a done job again because its video is not what was stored.

        ``agreed``: index and proof agree, so the video is wrong, not they.
        """
        with self._index.write("discard") as db:
            db.execute("DELETE FROM files WHERE job = ? AND kind = ?", (job, VIDEO))
            db.execute("UPDATE jobs SET state = ?, ended = NULL WHERE id = ?", (QUEUED, job))
        if agreed:
            durable.remove(self._names.file(job, VIDEO))
        elif _VIDEO_FILE in self._folders[job]:
            self._lost.put(self._names.file(job, VIDEO), "is not the video that was stored there")
        self._folders[job].pop(_VIDEO_FILE, None)
        self._damaged += 1

    def _set_aside(self, job: str, name: str) -> None:
        self._lost.put(self._names.job(job) / name, "cannot be proven")
        self._folders[job].pop(name, None)

    def _remove_unproven(self) -> None:
        """Removes segments, strips, posters and proofs without a row, and empty folders."""
        keep: dict[str, set[str]] = {
            row["id"]: {"payload.json", _VIDEO_FILE, *(["video.json"] if row["state"] == DONE else [])}
            for row in self._index.read("SELECT id, state FROM jobs")
        }
        for row in self._index.read("SELECT job, kind, number FROM files"):
            path = self._names.file(row["job"], row["kind"], row["number"])
            keep[row["job"]].add(str(path.relative_to(self._names.job(row["job"]))))
        for row in self._index.read("SELECT job, number FROM strips"):
            keep[row["job"]].add(f"strips/{self._names.strip(row['job'], row['number']).name}")
        for job, found in self._folders.items():
            folder = self._names.job(job)
            for name in set(found) - keep.get(job, set()):
                durable.remove(folder / name)
                del found[name]
                self._removed += 1
            for empty in (folder / "segments", folder / "strips", *([folder] if job not in keep else [])):
                try:
                    empty.rmdir()
                except OSError:  # it is not there, or not empty
                    pass

    def _weigh(self) -> None:
        """Writes into each row the bytes that the job takes and the frames it has."""
        ready = dict(
            map(
                tuple,
                self._index.read("SELECT job, sum(frames) FROM files WHERE kind = ? GROUP BY job", SEGMENT),
            )
        )
        wrong = []
        for row in self._index.read("SELECT id, bytes, ready FROM jobs"):
            found = self._folders.get(row["id"], {})
            taken = base(found.get("payload.json", 0)) + sum(
                durable.room(size)
                for name, size in found.items()
                if name not in ("payload.json", "video.json")
            )
            if (row["bytes"], row["ready"]) != (taken, ready.get(row["id"], 0)):
                wrong.append((taken, ready.get(row["id"], 0), row["id"]))
        if wrong:
            with self._index.write("recover") as db:
                db.executemany("UPDATE jobs SET bytes = ?, ready = ? WHERE id = ?", wrong)


def base(payload: int) -> int:
    """Bytes that a job takes beside its segments, video and strips: payload, proof and folder."""
    return durable.room(payload) + 2 * durable.room(1)


def sweep(names: Names, lost: Lost) -> int:
    """Empties tmp/ and removes half-written files from cache/. Returns how many things it removed."""
    removed = 0
    for entry in _entries(names.tmp):
        if names.is_ours_in_tmp(entry.name) and not entry.is_symlink():
            durable.remove(Path(entry.path))
            removed += 1
        else:
            lost.put(Path(entry.path))
    for entry in _entries(names.cache):
        plain = entry.is_file(follow_symlinks=False)
        if plain and names.is_half_cached(entry.name):
            durable.remove(Path(entry.path))
            removed += 1
        elif plain and names.is_ours_in_cache(entry.name):
            _close(entry)
        else:
            lost.put(Path(entry.path))
    return removed


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """The entries of a folder; links are not followed."""
    with os.scandir(folder) as entries:
        return list(entries)


def _close(entry: os.DirEntry[str]) -> None:
    """Closes a file or folder to other users."""
    wanted = 0o700 if entry.is_dir(follow_symlinks=False) else 0o600
    if stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode) != wanted:
        os.chmod(entry.path, wanted)


def _is_object(text: object) -> bool:
    """Whether this is nothing, or the JSON of an object."""
    if text is None or text == "":
        return True
    try:
        return isinstance(text, str) and isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False

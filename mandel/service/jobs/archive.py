"""The registry's dealings with jobs that have ended: their videos, and the room that DB/ takes."""

from __future__ import annotations

import json
import logging
import threading
from abc import ABC, abstractmethod

from mandel.errors import RenderError, StoreError
from mandel.payload.fields import JsonObject
from mandel.payload.job_id import is_job_id
from mandel.payload.payload import Payload
from mandel.protocol.operation import ambiguous, not_found
from mandel.service.jobs.job import Job, ended
from mandel.service.jobs.shared_answers import SharedAnswers
from mandel.store.durable import disk_errors, remove
from mandel.store.files import StoredFile
from mandel.store.states import CANCELLED, FAILED, PAUSED
from mandel.store.store import Record, Store

_log = logging.getLogger("mandel")

_MOST_LISTED = 1_000
_FEW = 8  # jobs evicted in a turn


class Archive(ABC):
    """The half of ``Registry`` that deals with jobs that have ended; the registry derives from it.

    Attributes:
        store: DB/.
        lock: guards the jobs in memory.
        most_bytes: what DB/ may take; None: as much as there is.
    """

    def __init__(self, store: Store, most_bytes: int, most_ended: int):
        self.store = store
        self.lock = threading.RLock()
        self.most_bytes = most_bytes or None
        self._most_ended = most_ended
        self._accepting = threading.Lock()
        self._listing = SharedAnswers(self._list)
        self._jobs: dict[str, Job] = {}
        self._unsaved: dict[str, Job] = {}  # ended or paused, but the disk was too full to store it

    @abstractmethod
    def find(self, job: str) -> Job | None:
        """A job by id, live or stored; None when there is none."""

    @abstractmethod
    def _job_of(self, record: Record, payload: Payload | None = None) -> Job:
        """A job as the store has it."""

    @abstractmethod
    def _admit(self, job: Job, room: int = 0) -> Job:
        """Takes a job into memory if it is live."""

    def live(self, job: str) -> Job | None:
        """A live job by id."""
        with self.lock:
            return self._jobs.get(job)

    def _stored(self, job: str) -> Record:
        """The record of a job that is known to be stored. Raises StoreError, if it is not there after all."""
        if (record := self.store.get(job)) is None:
            raise _evicted()
        return record

    def _leave_unsaved(self, job: Job) -> None:
        job.unsaved = True
        self._unsaved[job.id] = job

    def save(self) -> None:
        """Stores what a full disk did not take. Call it now and then; never raises StoreError."""
        for job in list(self._unsaved.values()):
            with job.ending:
                if self._unsaved.get(job.id) is not job:
                    continue
                if job.state in (CANCELLED, PAUSED, FAILED):
                    try:
                        self.store.set_state(job.id, job.state, job.error)
                    except StoreError:
                        return  # still no room
                job.unsaved = False
                del self._unsaved[job.id]

    def pin(self, job: str, pinned: bool) -> Job | None:
        """Keeps a job from being evicted, or no longer. None when there is no such job.

        Raises:
            StoreError: TOO_MANY_PINS, DISK_FULL, INDEX_FAILED.
        """
        found = self.find(job)
        with self._accepting:  # not while jobs are being evicted
            if found is None or (not found.live and self.store.get(job) is None):
                return None
            self.store.pin(job, pinned, self.most_bytes)
            found.pinned = pinned
            return found

    def delete(self, job: str) -> JsonObject | None:
        """Forgets a job that has ended, its video and all; what it was. None when there is no such job.

        Raises:
            RenderError: NOT_ENDED.
            StoreError: IN_USE, DISK_FAILED, INDEX_FAILED.
        """
        with self._accepting:
            if (found := self.live(job)) is not None:
                raise RenderError(
                    "NOT_ENDED",
                    f"the job is {found.state}: cancel it first (client.py --cancel {job[:12]})",
                    field="job",
                )
            size, gone = self.store.bytes(job), self.store.delete(job)
        if gone is None:
            return None
        remove(gone)
        self._unsaved.pop(job, None)
        _log.info("job %s deleted", job[:12])
        return {"job": job, "state": "deleted", "bytes": size}

    def resolve(self, beginning: str) -> str:
        """The id that begins so.

        Raises:
            RequestError: NOT_FOUND, AMBIGUOUS.
        """
        if is_job_id(beginning):
            return beginning
        ids = self.store.resolve(beginning)
        if len(ids) != 1:
            raise ambiguous(beginning) if ids else not_found()
        return ids[0]

    def make_room(self) -> bool:
        """Evicts a few jobs of those that are beyond the limits, and drops segments beside one video; whether
        there was anything to do. Call it now and then; acceptance waits for one job's end at most. Never raises
        StoreError."""
        try:
            evicted = self.store.evict(
                self.most_bytes, ended=self._most_ended, few=_FEW, hold=self._accepting
            )
            for job in evicted:
                _log.info("job %s evicted", job[:12])
            return self.store.thin() or bool(evicted)
        except StoreError as error:  # tried again soon
            _log.error("could not make room: %s", error.message)
            return False

    def storage(self) -> JsonObject:
        """What DB/ takes, in bytes, and may take; or an ``error``."""
        try:
            with disk_errors("looking at DB/"):
                usage = self.store.usage()
        except StoreError as error:
            return {"error": error.message}
        return {
            "total": usage.total,
            "limit": self.most_bytes,
            "free": usage.free,
            "jobs": usage.jobs,
            "cache": usage.cache,
            "lost": usage.lost,
            "pinned": usage.pinned,
        }

    def open(self, job: str) -> StoredFile | None:
        """The proven video of a done job; None when it was damaged: the job is live again.

        Raises:
            StoreError: EVICTED.
        """
        try:
            stored = self.store.open(job)
            self.store.touch(job)
            return stored
        except StoreError as error:
            if error.code != "DAMAGED":
                raise (_evicted() if error.code == "NO_JOB" else error) from None
        self.store.check_there()
        with self._accepting:
            if self.live(job) is not None:
                return None
            try:
                return self.store.open(job)  # somebody else had it repaired
            except StoreError as error:
                if error.code != "DAMAGED":
                    raise (_evicted() if error.code == "NO_JOB" else error) from None
                _log.warning("job %s: %s", job[:12], error.message)
                self.store.discard_video(job)
                self._admit(self._job_of(self._stored(job)))
                return None

    def list(self) -> bytes:
        """The jobs last asked for, newest first: the JSON of a list of objects."""
        return self._listing.get()

    def _list(self) -> bytes:
        rows = self.store.table(_MOST_LISTED)
        with self.lock:
            known = self._unsaved | self._jobs
            told = {row["id"]: known[row["id"]].progress() for row in rows if row["id"] in known}
        jobs = [
            {
                **(told.get(row["id"]) or ended(row)),
                "asked": row["asked"],
                "bytes": row["bytes"],
                **({"kept": row["kept"]} if row["kept"] else {}),
                "pinned": bool(row["pinned"]),
                "name": row["name"],
                "length": row["seconds"] or None,
                "look": row["look"] or None,
            }
            for row in rows
        ]
        return json.dumps(jobs, separators=(",", ":")).encode()


def _evicted() -> StoreError:
    return StoreError(
        "EVICTED",
        "the video was removed, to make room or because somebody asked for it; send its payload to have it "
        "made again",
    )

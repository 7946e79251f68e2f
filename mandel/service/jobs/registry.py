"""The registry: every live job in memory, and the store behind it.

Lock order: ``_accepting``, then a job's ``ending``, then ``lock``. Nobody holds ``lock`` while working on the disk. The
store learns of a change before anybody else does, so what a client was told survives a crash.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable
from functools import partial
from itertools import islice
from pathlib import Path

from mandel.errors import MandelError, PayloadError, RenderError, StoreError
from mandel.payload.fields import JsonObject
from mandel.payload.payload import Payload
from mandel.protocol import control
from mandel.service.jobs import strips
from mandel.service.jobs.archive import Archive
from mandel.service.jobs.job import LIVE, RUNNING, Job, least_bytes
from mandel.service.jobs.queueing import check_queue, next_job
from mandel.service.jobs.suspects import Suspects, guilty
from mandel.store.evict import MOST_ENDED
from mandel.store.states import CANCELLED, DONE, FAILED, PAUSED, QUEUED
from mandel.store.store import Record, Shown, Store

_log = logging.getLogger("mandel")

_UNSAVED = (
    "the disk is full: the job's state is not stored yet, and lost if the service ends before there is room"
)

MOST_FAULTS = 4  # times in a row that the driver may fail a job


class Registry(Archive):
    """The jobs of ``store``; unfinished ones are live from the start, oldest first.

    Args:
        most_bytes: what DB/ may take; beyond, jobs that ended are evicted. 0: no limit.
        most_jobs, most_of_one: unfinished jobs that may be accepted, of all clients and of one.
        most_ended: jobs that have ended, that are kept.

    Attributes:
        lock: guards all that is in memory.
        work: notified when ``next`` may have something.
        cancelling: ids that the driver was told to cancel and has not confirmed.
        closing: the service stops; nothing more will be begun.
    """

    def __init__(
        self, store: Store, most_bytes: int, most_jobs: int, most_of_one: int, most_ended: int = MOST_ENDED
    ):
        super().__init__(store, most_bytes, most_ended)
        self._most_jobs, self._most_of_one = most_jobs, most_of_one
        self.work = threading.Condition(self.lock)
        self.cancelling: set[str] = set()
        self._orders: deque[control.JobOrder] = deque()  # what the driver must hear of jobs it has
        self._jobs |= {record.id: self._job_of(record) for record in store.queue()}
        self._suspects = Suspects()
        self.closing = False

    # -- for connections --------------------------------------------------

    def ask(
        self,
        payload: Payload,
        priority: int | None = None,
        client: str = "",
        source: str | None = None,
        name: str | None = None,
    ) -> Job:
        """The job of a payload: joined when it is live, done when stored, else queued durably.

        What its video takes at least, and what other unfinished jobs still need, must fit into DB/, and on the disk as
        much again: segments lie beside the video while they are joined.

        Args:
            priority: what it is from now on; None leaves it as it is.
            client: who asks. A job that several ask for counts for the one who has the fewest.
            source: the job whose strips it is made from, if it is another one.
            name: what it is called from now on; None leaves it as it is.

        Raises:
            StoreError: DISK_FULL, DISK_FAILED, INDEX_FAILED.
            TransferError: BUSY.
        """
        job, room = payload.job_id(), payload.least_bytes
        if self.live(job) is None and (record := self.store.get(job)) is not None and record.state == DONE:
            self.store.touch(job)
            if name is not None and name != record.name:
                self.store.set_wish(job, "name", name)
            return self._job_of(
                record, payload
            )  # and does not wait for those whose jobs are just being stored
        with self._accepting:
            if (found := self.live(job)) is None:
                record = self.store.get(job)
                if record is None:
                    self._check_queue(client)
                    self._check_room(room)
                    record = self.store.add(
                        job,
                        payload.canonical(),
                        payload.text(),
                        payload.num_frames,
                        priority or 0,
                        client,
                        source,
                        Shown(name or "", payload.seconds, payload.look_in_words),
                    )
                    _log.info("job %s accepted: %d frames", job[:12], payload.num_frames)
                elif record.state in (FAILED, CANCELLED):
                    self.store.keep_payload(job, payload.text())  # it may have been lost
                    record = self._again(record, client, record.source if source is None else source, room)
                found = self._admit(self._job_of(record, payload), room)
            wishes: dict[str, int | str] = {} if priority is None else {"priority": priority}
            if name is not None:
                wishes["name"] = name
            if found.live and self._has_fewer(client, found.client):
                wishes["client"] = client
            self._change(found, wishes)
            return found

    def _job_of(self, record: Record, payload: Payload | None = None) -> Job:
        done = record.state == DONE
        return Job(
            self.lock,
            record,
            partial(self._payload, record) if payload is None else lambda: payload,
            {} if done else self.store.stored_frames(record.id),
            () if done else self.store.notes(record.id),
        )

    def _payload(self, record: Record) -> Payload:
        stored = self.store.payload(record.id) if record.payload is None else record.payload
        return Payload.from_canonical(stored)

    def _check_queue(self, client: str) -> None:
        with self.lock:
            check_queue(self._jobs.values(), client, self._most_jobs, self._most_of_one)

    def _has_fewer(self, client: str, other: str) -> bool:
        with self.lock:
            clients = Counter(job.client for job in self._jobs.values())
        return clients[client] < clients[other] - 1

    def _change(self, job: Job, wishes: dict[str, int | str]) -> None:
        """Commits what people wish of a job; a driver that has it hears of it at once."""
        wishes = {wish: value for wish, value in wishes.items() if getattr(job, wish) != value}
        for wish, value in wishes.items():
            self.store.set_wish(job.id, wish, value)
        with self.lock:
            for wish, value in wishes.items():
                setattr(job, wish, value)
            if wishes and job.state == RUNNING:
                self._orders.append(control.Change(job=job.id, priority=job.priority, client=job.client))
                self.work.notify_all()

    def _check_room(self, room: int) -> None:
        with self.lock:
            promised = sum(job.room_left for job in self._jobs.values())
        self.store.check_space(2 * room + promised, room + promised, self.most_bytes)

    def _again(self, record: Record, client: str, source: str | None, room: int) -> Record:
        self._check_queue(client)
        self._check_room(room)
        if source != record.source:
            self.store.forget_segments(record.id)  # their frames are of another map
            self.store.set_wish(record.id, "source", source)
        self.store.set_wish(record.id, "client", client)
        self.store.set_state(record.id, QUEUED)
        _log.info("job %s asked for again", record.id[:12])
        return self._stored(record.id)

    def find(self, job: str) -> Job | None:
        """A job by id, live or stored; None when there is none."""
        if (live := self.live(job) or self._unsaved.get(job)) is not None:
            return live
        record = self.store.get(job)
        if record is None or record.state not in (QUEUED, PAUSED):
            return self._job_of(record) if record else None
        with self._accepting:  # it is just being accepted, or its failure could not be stored
            return self.live(job) or self._admit(self._job_of(self._stored(job)))

    def cancel(self, job: str) -> Job | None:
        """Cancels a live job; any other stays what it is. None when there is no such job."""
        return self._turn(job, LIVE, CANCELLED, lambda found: self._end(found, "cancel", tell_driver=True))

    def pause(self, job: str) -> Job | None:
        """Has a live job wait for ``resume``; any other stays what it is. None when there is no such job."""

        def rest(found: Job) -> None:
            if found.state == RUNNING:
                self.drop(found)
            again = found.again + found.done
            found.begin(found.segments)
            found.again = again - found.done
            found.apply("pause")

        return self._turn(job, LIVE, PAUSED, rest)

    def resume(self, job: str) -> Job | None:
        """Queues a paused job; any other stays what it is. None when there is no such job."""

        def wait_again(found: Job) -> None:
            found.apply("resume")
            self.work.notify_all()

        return self._turn(job, (PAUSED,), QUEUED, wait_again)

    def _turn(self, job: str, states: tuple[str, ...], state: str, act: Callable[[Job], None]) -> Job | None:
        """Stores ``state`` of a job that is in one of ``states``, then does the same in memory."""
        found = self.find(job)
        if found is None:
            return None
        with found.ending:
            if found.state in states and found.state != state:
                try:
                    self.store.set_state(job, state)
                    self._unsaved.pop(job, None)
                except StoreError as error:
                    if state not in (CANCELLED, PAUSED):
                        raise
                    # A full disk must not keep a job going, least of all the one that fills it.
                    _log.error("job %s is %s, which is not stored yet: %s", job[:12], state, error.message)
                    self._leave_unsaved(found)
                with self.lock:
                    act(found)
                _log.info("job %s is %s", job[:12], state)
        return found

    def retry(self, job: str) -> Job | None:
        """Queues a failed or cancelled job; any other stays what it is. None when there is no such job."""
        with self._accepting:
            if (live := self.live(job)) is not None:
                return live
            record = self.store.get(job)
            if record is not None and record.state in (FAILED, CANCELLED):
                room = least_bytes(self._job_of(record))
                record = self._again(record, record.client, record.source, room)
                return self._admit(self._job_of(record), room)
            return self._admit(self._job_of(record)) if record else None

    def wait(self, job: Job, seconds: float) -> None:
        """Returns when the job changes state, after ``seconds``, or when the service closes."""
        with self.lock:
            if job.live and not self.closing:
                job.changed.wait(seconds)

    def progress(self, job: Job) -> JsonObject:
        """What a ``progress`` part says of a job."""
        with self.lock:
            return job.progress()

    def describe(self, job: Job) -> JsonObject:
        """All that is known of a job; ``kept``: bytes of its raw strips."""
        kept, size = self.store.strips.bytes(job.id), self.store.bytes(job.id)
        payload: JsonObject | None = None
        look = None
        try:
            payload, look = job.payload.canonical(), job.payload.look_in_words
        except StoreError:  # it is lost, which is no reason to say nothing
            pass
        except PayloadError:  # an older version accepted it: shown as it was stored
            record = self.store.get(job.id)
            payload = record.payload if record else None
        with self.lock:
            return job.progress() | {
                "look": look,
                "payload": payload,
                "bytes": size,
                "asked": job.asked,
                "name": job.name or None,
                "client": job.client,
                "priority": job.priority,
                "pinned": job.pinned,
                **job.account(),
                **({"kept": kept} if kept else {}),
                **({"source": job.source} if job.source else {}),
                **({"unsaved": _UNSAVED} if job.unsaved else {}),
                "error": job.error.as_dict() if job.error else None,
            }

    def live_progress(self, most: int = 100) -> list[JsonObject]:
        """Progress of the oldest live jobs."""
        with self.lock:
            return [job.progress() for job in islice(self._jobs.values(), most)]

    def progress_of(self, jobs: Iterable[str]) -> list[JsonObject]:
        """Progress of those of some jobs that are live."""
        with self.lock:
            return [job.progress() for each in jobs if (job := self._jobs.get(each)) is not None]

    def count(self) -> dict[str, int]:
        """How many jobs are in each state."""
        stored = self.store.count()
        with self.lock:
            live = Counter(job.state for job in self._jobs.values())
            return {state: live[state] for state in (QUEUED, RUNNING, PAUSED)} | {
                state: stored.get(state, 0) for state in (DONE, FAILED, CANCELLED)
            }

    def at_work(self, but: str) -> int:
        """How many jobs run or wait for their turn, but for one."""
        with self.lock:
            return sum(job.state in (QUEUED, RUNNING) for name, job in self._jobs.items() if name != but)

    # -- for the supervisor -----------------------------------------------

    def live(self, job: str) -> Job | None:
        """A live job by id."""
        with self.lock:
            return self._jobs.get(job)

    def next(self) -> Job | control.JobOrder | None:
        """What the driver must hear next: of a job it has, or a job to begin (now running)."""
        with self.lock:
            if self._orders:
                return self._orders.popleft()
            if self.closing:
                return None
            jobs = self._suspects.among(self._jobs.values())
            if (job := next_job(jobs, self.cancelling, len(self.cancelling))) is not None:
                job.apply("start")
            return job

    def drop(self, job: Job) -> None:
        """Has the driver stop working on a job, whatever becomes of it."""
        with self.lock:
            self.cancelling.add(job.id)
            self._orders.append(control.Cancel(job=job.id))
            self.work.notify_all()

    def cancel_confirmed(self, job: str) -> None:
        """The driver does nothing more for this job."""
        with self.lock:
            self.cancelling.discard(job)
            self.work.notify_all()

    def add_segment(
        self,
        job: Job,
        number: int,
        path: Path,
        frames: int,
        sha256: str,
        first: int = 0,
        notes: JsonObject | None = None,
    ) -> None:
        """Stores a segment of a running job, from frame ``first`` on, and the notes on it. Raises StoreError."""
        with job.ending:
            if job.state == RUNNING:
                self.store.add_segment(job.id, number, path, frames, sha256, notes)
                with self.lock:
                    job.note(notes or {}, range(first, first + frames))
                    job.segments[number] = frames
                    job.faults = job.deaths = 0

    def discard_segment(self, job: Job, number: int) -> None:
        """A stored segment of a running job cannot be used: it counts no more, and is made again."""
        with job.ending:
            if job.state == RUNNING:
                self.store.discard_segment(job.id, number)
                with self.lock:
                    job.lost_segment(number)

    def finish(self, job: Job, path: Path, poster: Path | None, frames: int, sha256: str) -> None:
        """Stores the video of a running job, which ends it. Raises StoreError."""
        if frames != job.frames:
            raise StoreError("WRONG_LENGTH", f"the video has {frames} frames instead of {job.frames}")
        with job.ending:
            if job.state == RUNNING:
                with self.lock:
                    report = job.report = job.account()
                strips.unneeded(job, self.store)
                self.store.finish(job.id, path, poster, frames, sha256, report)
                self._end(job, "finish")
                _log.info("job %s done", job.id[:12])

    def fail(self, job: Job, error: MandelError) -> None:
        """Ends a job that waits or runs for good; a paused one rests, and fails when it is resumed."""
        with job.ending:
            if job.state not in (QUEUED, RUNNING):
                return
            _log.error("job %s failed: %s: %s", job.id[:12], error.code, error.message)
            try:
                self.store.set_state(job.id, FAILED, error)
            except StoreError as trouble:  # a full disk; a start before there is room will try the job again
                _log.error("job %s: its failure is not stored yet: %s", job.id[:12], trouble.message)
                self._leave_unsaved(job)
            self._end(job, "fail", error)

    def requeue(self, job: Job, why: str) -> None:
        """The driver failed a running job: queued again, unless that happens time after time."""
        with self.lock:
            if job.state != RUNNING:
                return
            job.faults += 1
            if job.faults < MOST_FAULTS:
                job.apply("requeue")
                self.work.notify_all()
                return
        self.fail(
            job,
            RenderError(
                "DRIVER_FAILED",
                f"the renderer failed {MOST_FAULTS} times in a row without a finished segment: {why}",
            ),
        )

    def driver_died(self, why: str, seconds: float, status: int | None, had: Collection[str]) -> None:
        """Nothing is running any more: all is queued again but for a job that must be to blame; see ``Suspects``.

        Args:
            had: the jobs that it was told of; none if it had an estimate in hand, which is suspected before any job.
        """
        with self.lock:
            self.cancelling.clear()
            self._orders.clear()
            running = [] if self.closing else [job for job in self._jobs.values() if job.state == RUNNING]
            culprit = self._suspects.died([job for job in running if job.id in had], seconds, status)
            for job in running:
                if job is not culprit:
                    job.apply("requeue")
            self.work.notify_all()
        if culprit is not None:
            self.fail(culprit, guilty(why))

    def close(self) -> None:
        """Wakes all who wait: nothing more will happen. No job is lost."""
        with self.lock:
            self.closing = True
            self.work.notify_all()
            for job in self._jobs.values():
                job.changed.notify_all()

    def _admit(self, job: Job, room: int = 0) -> Job:
        job.room = room
        with self.lock:
            if job.live:
                self._unsaved.pop(job.id, None)
                self._jobs[job.id] = job
                self.work.notify_all()
        return job

    def _end(self, job: Job, event: str, error: MandelError | None = None, tell_driver: bool = False) -> None:
        """Takes a live job to its end in memory; the store knows already."""
        with self.lock:
            if tell_driver and job.state == RUNNING:
                self.drop(job)
            job.apply(event, error)
            self._jobs.pop(job.id, None)
            self.work.notify_all()

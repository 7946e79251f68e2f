"""Carries out what the driver reports of jobs: counts it in memory, or stores it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mandel.errors import MandelError, RenderError, StoreError
from mandel.protocol import control
from mandel.service.jobs import strips
from mandel.service.jobs.job import RUNNING, Job
from mandel.service.jobs.registry import Registry
from mandel.store.durable import remove
from mandel.store.names import SEGMENT

_log = logging.getLogger("mandel")

# These touch no disk: they need not wait for those that do.
AT_ONCE = (control.Frame, control.Kept, control.Limit, control.Stage, control.Left)
_DISK_CODES = ("DISK_FULL", "INDEX_FAILED")  # not the driver's fault; trying again would not help


class Reports:
    """Carries out events about the jobs of ``registry``.

    Args:
        tell: takes each order for the driver that follows from them.
    """

    def __init__(self, registry: Registry, tell: Callable[[control.Order], None]):
        self._registry, self._tell = registry, tell
        self._handlers: dict[type[control.JobEvent], Callable[[Job, Any], None]] = {
            control.Frame: self._frame,
            control.Kept: self._kept,
            control.Limit: self._limit,
            control.Stage: self._stage,
            control.Left: self._left,
            control.Segment: self._segment,
            control.Spoilt: self._spoilt,
            control.Strip: self._strip,
            control.Unneeded: self._unneeded,
            control.Video: self._video,
            control.Failed: self._failed,
            control.Cancelled: self._cancelled,
        }

    def take(self, event: control.JobEvent, folder: Path) -> None:
        """Carries out an event; one that is not right costs its job an attempt, and nobody anything else.

        Args:
            folder: where the driver writes for the job. After the last event of a job it is removed.
        """
        ended = folder if isinstance(event, control.ENDS) else None
        try:
            self.carry_out(event, folder)
        except Exception as error:  # the event in hand is this job's: no other is to blame
            self.distrust(event.job, words(error), ended)
        else:
            if ended is not None:
                self._let_go(event.job, ended)

    def carry_out(self, event: control.JobEvent, folder: Path) -> None:
        """Carries out an event, or removes its file if the job is being taken from the driver."""
        job = self._registry.live(event.job)
        control.check_of_job(event, job.frames if job else control.LARGE, folder)
        if job is None or job.state != RUNNING or job.id in self._registry.cancelling:
            for path in control.files_of(event):
                remove(Path(path))
            return
        try:
            self._handlers[type(event)](job, event)
        except StoreError as error:
            if not isinstance(event, control.ENDS):
                self._registry.drop(job)
            if error.code in _DISK_CODES:
                self._registry.fail(job, error)
            else:  # the file was not what it said
                _log.error("job %s: %s", job.id[:12], error.message)
                self._registry.requeue(job, error.message)

    def distrust(self, name: str, why: str, ended: Path | None = None) -> None:
        """Takes a job from the driver, which said nonsense of it.

        Args:
            ended: the job's folder, if the driver says nothing more of it.
        """
        _log.error("job %s: what the driver said is not right: %s", name[:12], why)
        job = self._registry.live(name)
        if job is not None and (job.state != RUNNING or name in self._registry.cancelling):
            job = None  # it is being taken from the driver already
        if ended is not None:
            self._let_go(name, ended)
        elif job is not None:
            self._registry.drop(job)
        if job is not None:
            self._registry.requeue(job, why)

    def _let_go(self, name: str, folder: Path) -> None:
        """The driver does nothing more for this job."""
        remove(folder)
        self._registry.cancel_confirmed(name)

    # -- in memory ----------------------------------------------------------

    def _frame(self, job: Job, event: control.Frame) -> None:
        with self._registry.lock:
            job.frame(event.frame, event.node, event.attempt, event.host, event.found)

    def _kept(self, job: Job, event: control.Kept) -> None:
        with self._registry.lock:
            job.restored(event.frame, event.found)

    def _limit(self, job: Job, event: control.Limit) -> None:
        with self._registry.lock:
            job.note(event.notes)

    def _stage(self, job: Job, event: control.Stage) -> None:
        stage = {"stage": event.stage, "done": event.done, "total": event.total}
        with self._registry.lock:
            job.stage = None if event.done >= event.total else stage

    def _left(self, job: Job, event: control.Left) -> None:
        with self._registry.lock:
            job.left = None if event.least is None or event.most is None else [event.least, event.most]

    # -- on disk ------------------------------------------------------------

    def _segment(self, job: Job, event: control.Segment) -> None:
        self._registry.add_segment(
            job, event.index, Path(event.path), event.frames, event.sha256, event.first, event.notes
        )
        path = self._registry.store.names.file(job.id, SEGMENT, event.index)
        self._tell(control.Adopted(job=job.id, index=event.index, path=str(path)))

    def _spoilt(self, job: Job, event: control.Spoilt) -> None:
        _log.warning("job %s: segment %d is not right and is made again", job.id[:12], event.index)
        self._registry.discard_segment(job, event.index)

    def _strip(self, job: Job, event: control.Strip) -> None:
        strips.made(job, self._registry.store, event)

    def _unneeded(self, job: Job, event: control.Unneeded) -> None:
        strips.unneeded(job, self._registry.store, event.strips)

    def _video(self, job: Job, event: control.Video) -> None:
        poster = Path(event.poster) if event.poster is not None else None
        self._registry.finish(job, Path(event.path), poster, event.frames, event.sha256)

    def _failed(self, job: Job, event: control.Failed) -> None:
        where = "" if event.frame is None else f" (frame {event.frame})"
        self._registry.fail(job, RenderError(event.code, event.message + where))

    def _cancelled(self, job: Job, event: control.Cancelled) -> None:
        self._registry.requeue(job, "it gave the job up")  # we did not ask for that


def words(error: Exception) -> str:
    """What to say of an event that could not be carried out."""
    return error.message if isinstance(error, MandelError) else f"it could not be carried out: {error!r}"

"""Raw strips of jobs: which of them a driver is given, and what becomes of those that it makes.

A job's strips belong to its own exponential map, or to that of the job that it recolours. The latter's strips grow in
number as jobs that recolour it make more. Nothing here ends a job: a strip that is lost is iterated again.
"""

from __future__ import annotations

import logging
from pathlib import Path

from mandel.errors import RenderError, StoreError
from mandel.payload.fields import SHARED, JsonObject
from mandel.protocol import control
from mandel.service.jobs.job import Job
from mandel.store.durable import remove
from mandel.store.store import Store

_log = logging.getLogger("mandel")


def order(job: Job, store: Store) -> tuple[JsonObject | None, list[control.StripFile]]:
    """What the driver must know of strips: the payload of the job whose they are, if it is another; and the files."""
    if job.payload.sampling != SHARED:
        return None, []
    source = store.get(job.source) if job.source else None
    if source is None:
        job.source = None  # evicted: the job is made as if it had never been
    return source.payload if source else None, files(job.source or job.id, store)


def files(job: str, store: Store) -> list[control.StripFile]:
    """The strips that a job has in DB/."""
    return [
        control.StripFile(strip.number, str(strip.path), strip.base, strip.bytes, strip.sha256)
        for strip in store.strips.of(job)
    ]


def made(job: Job, store: Store, event: control.Strip) -> None:
    """A strip of a running job was made: counts it, and stores its samples if it has a file of them."""
    job.strip(event.found)
    if event.error is not None:
        _log.warning("job %s: %s", job.id[:12], event.error)
    if (file := event.file) is None:
        return
    path = Path(file.path)
    try:
        store.strips.add(job.source or job.id, file.strip, file.base, path, file.sha256)
    except StoreError as error:
        remove(path)
        if not job.strips_lost:
            _log.warning("job %s: a strip was not stored: %s", job.id[:12], error.message)
        job.strips_lost = True


def unneeded(job: Job, store: Store, numbers: list[int] | None = None) -> None:
    """Removes strips that a job needs no more, or all of them, unless they are to be kept."""
    if job.source or job.payload.keep_strips or job.payload.sampling != SHARED:
        return
    try:
        store.strips.remove(job.id, numbers)
    except StoreError as error:
        _log.warning("job %s: its strips could not be removed: %s", job.id[:12], error.message)


def check_kept(job: Job, source: Job) -> None:
    """Refuses to recolour a job whose strips are not there.

    Args:
        source: ``job`` itself, or the job that it recolours.

    Raises:
        RenderError: NO_STRIPS.
    """
    if not source.payload.keep_strips:
        raise RenderError(
            "NO_STRIPS",
            f'job {job.id[:12]} keeps no strips: send its payload with "sampling": "shared" and '
            '"keep_strips": true once, then recolour that job',
            field="job",
        )
    if source.live:
        raise RenderError(
            "NO_STRIPS",
            f"job {source.id[:12]} is not done yet, nor are its strips: attach to it, then recolour it",
            field="job",
        )

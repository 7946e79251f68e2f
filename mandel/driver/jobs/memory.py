"""How much of the object store jobs may take: pictures rendered and not yet encoded, and what frames are made from."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

from mandel.driver.jobs.job_run import JobRun

# Of the store: for pictures and strips together, and of that for strips that are needed later, so that all
# slots have something to do.
_SHARE = 0.4
_AHEAD_SHARE = 0.15
# Kept for jobs that have nothing yet, and take no more than so much each until they have shown something.
_SMALL_SHARE, _SMALL_JOB = 0.1, 0.05


class Taken(NamedTuple):
    """What jobs under way have: how many they are, bytes of their pictures and strips, spoken for or there."""

    jobs: int
    pictures: int
    strips: int


def taken(jobs: Collection[JobRun]) -> Taken:
    """By all of ``jobs`` together."""
    under_way = [job for job in jobs if job.is_under_way]
    return Taken(
        len(under_way), sum(job.reserved_bytes for job in under_way), sum(job.held_bytes for job in under_way)
    )


def room(job: JobRun, now: Taken, memory: int) -> float:
    """Bytes that the pictures of a segment may take which ``job`` would begin; one job goes on in any case."""
    if not now.pictures and (job.is_under_way or not now.jobs):
        return math.inf
    left = _SHARE * memory - now.pictures - now.strips
    if job.is_under_way:
        return left
    return max(left, min(left + _SMALL_SHARE * memory, _SMALL_JOB * memory)) - job.held_bytes


def room_ahead(jobs: int, memory: int) -> int:
    """Bytes that one of so many jobs may take for what is needed later."""
    return int(_AHEAD_SHARE * memory / max(1, jobs))

"""Limits how much of the object store jobs take: for pictures not encoded yet, and for strips."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.policy import SchedulingPolicy


class Taken(NamedTuple):
    """What jobs under way have: how many they are, bytes of their pictures and strips, spoken for or there."""

    jobs: int
    pictures: int
    strips: int


def taken(jobs: Collection[JobRun]) -> Taken:
    """By all of ``jobs`` together."""
    under_way = [job for job in jobs if job.frontier.is_under_way]
    return Taken(
        len(under_way),
        sum(job.frontier.reserved_bytes for job in under_way),
        sum(job.held_bytes for job in under_way),
    )


def room(job: JobRun, now: Taken, memory: int) -> float:
    """Bytes that the pictures of a segment may take which ``job`` would begin.

    One job goes on in any case, unless the head has to store what it made before.
    """
    if len(job.unadopted) >= job.policy.max_unadopted:
        return 0.0
    if not now.pictures and (job.frontier.is_under_way or not now.jobs):
        return math.inf
    left = job.policy.store_share * memory - now.pictures - now.strips
    if job.frontier.is_under_way:
        return left
    return (
        max(left, min(left + job.policy.newcomer_share * memory, job.policy.newcomer_job_share * memory))
        - job.held_bytes
    )


def room_ahead(jobs: int, memory: int, policy: SchedulingPolicy) -> int:
    """Bytes that one of so many jobs may take for what is needed later."""
    return int(policy.prefetch_share * memory / max(1, jobs))

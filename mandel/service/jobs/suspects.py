"""Finds the job that ends drivers: jobs that a dead driver had are suspected, and tried alone.

Nobody can ask a dead driver what happened. One death tells nothing, and all of its jobs go on. Jobs that two dead
drivers in a row had are suspects. Half of those that were there most often are given out alone; half of that half, if
this driver dies as well; and so on until one job is left. A job fails if it was alone at the last of several deaths. A
job that lives through its trial, or has a segment finished, is no suspect any more.

All other jobs wait meanwhile. So each driver begins with one short time for trials, and when that is over all jobs are
given out. If the driver dies later, the time was too short: the next driver's is twice as long.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Collection, Iterable

from mandel.errors import RenderError
from mandel.service.jobs.job import RUNNING, Job
from mandel.store.states import QUEUED

# What a death counts. One from outside tells next to nothing of jobs: SIGKILL (of the leash, or of the driver as the
# leash tells it), and status 4, the loss of Ray. With status 1 Ray ends a driver whose control store is gone, and
# Python one that it cannot go on with.
_OWN = 3
_WEIGHTS: dict[int | None, int] = {-signal.SIGKILL: 1, 128 + signal.SIGKILL: 1, 4: 1, 1: 2}
_SUSPECT = 2 * _OWN
MOST_DEATHS = 4  # of its own, in a row; up to three times as many from outside
# Of each driver's life, for trials: others wait meanwhile.
LEAST_TRIAL, _LONGEST_TRIAL = 60.0, 600.0


def guilty(why: str) -> RenderError:
    """What is told of a job that ``Suspects.died`` named; ``why`` the last driver ended."""
    return RenderError(
        "DRIVER_FAILED",
        f"the renderer ended {MOST_DEATHS} times or more in a row while it had this job, the last time "
        f"with no other job, and no segment was finished meanwhile: {why}",
    )


class Suspects:
    """Judges the live jobs by their ``deaths``; used under the registry's lock."""

    def __init__(self) -> None:
        self._trial: set[str] = set()
        self._until: float | None = None  # when this driver's time for trials is over, from its first one on
        self._seconds = LEAST_TRIAL  # how long that is

    def died(self, running: Collection[Job], seconds: float, status: int | None) -> Job | None:
        """A driver died that had ``running`` and had been ready for ``seconds``; the job that must be to blame.

        Args:
            running: those that may be to blame; none if something else is.
            status: its exit status; None if the head ended it, as it hung or talked nonsense.
        """
        for job in running:
            job.deaths += _WEIGHTS.get(status, _OWN)
        if running and self._until is not None and time.monotonic() > self._until:
            self._seconds = min(2 * self._seconds, _LONGEST_TRIAL)
        if seconds > 2 * _LONGEST_TRIAL:
            self._seconds = LEAST_TRIAL
        self._trial.clear()
        self._until = None
        if len(running) == 1 and (only := next(iter(running))).deaths >= MOST_DEATHS * _OWN:
            return only
        return None

    def among(self, jobs: Iterable[Job]) -> list[Job]:
        """Those of the live ``jobs`` that may be in a driver's hands now: all, or the suspects on trial."""
        jobs = list(jobs)
        if self._until is not None and time.monotonic() > self._until:
            for job in jobs:
                job.deaths *= job.id not in self._trial
            self._trial.clear()
            return jobs
        suspects = [job for job in jobs if job.deaths >= _SUSPECT and job.state in (QUEUED, RUNNING)]
        if on_trial := [job for job in suspects if job.id in self._trial]:
            return on_trial
        if not suspects:
            return jobs
        if self._until is None:
            self._until = time.monotonic() + self._seconds
        worst = max(job.deaths for job in suspects)
        most = [job for job in suspects if job.deaths == worst]
        chosen = most[: (len(most) + 1) // 2]
        self._trial = {job.id for job in chosen}
        return chosen

"""Counts the worker time that clients and jobs have used, and so decides who is next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mandel.driver.jobs.job_run import JobRun


class FairShare:
    """Clients are served evenly, and a client's jobs by their shares.

    Whoever comes new starts level with the one that has used least, and so
    neither waits for the others to be caught up nor catches up with them.

    Args:
        jobs: the jobs under way, by name, as their owner keeps them.
    """

    def __init__(self, jobs: Mapping[str, JobRun]):
        self._jobs = jobs
        self._spent: dict[str, float] = {}  # worker seconds by client, of those who have jobs

    def open(self, job: JobRun) -> None:
        """For a job that is about to be under way."""
        job.spent = min(
            (other.spent for other in self._jobs.values() if other.client == job.client), default=0.0
        )
        self._spent.setdefault(job.client, min(self._spent.values(), default=0.0))

    def change(self, job: JobRun, priority: int, client: str) -> None:
        """Ranks a job anew; what it used so far stays where it was counted."""
        job.set_priority(priority)
        if client != job.client:
            job.client = client
            self._spent.setdefault(client, min(self._spent.values(), default=0.0))
            self.close()

    def close(self) -> None:
        """Forgets clients who have no job left; call it when jobs have gone."""
        for client in self._spent.keys() - {job.client for job in self._jobs.values()}:
            del self._spent[client]

    def charge(self, job: JobRun, seconds: float) -> None:
        """A worker was busy for a job."""
        job.spent += seconds / job.share
        if job.client in self._spent:
            self._spent[job.client] += seconds

    def part(self, job: JobRun) -> float:
        """The part of the workers that a job gets while all jobs have something to do."""
        clients = {other.client for other in self._jobs.values()}
        own = sum(other.share for other in self._jobs.values() if other.client == job.client)
        return job.share / own / len(clients)

    def ranked(self, jobs: Iterable[JobRun]) -> list[JobRun]:
        """Jobs under way in the order in which they are to be served."""
        return sorted(jobs, key=lambda job: (self._spent[job.client], job.spent))

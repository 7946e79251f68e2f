"""Counts the worker time that clients and jobs have used, and so decides who is next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mandel.driver.jobs.job_run import JobRun
from mandel.protocol.control import address


class FairShare:
    """Addresses are served evenly, at each its clients, and a client's jobs by their shares.

    Whoever comes new starts level with the one that has used least, and so
    neither waits for the others to be caught up nor catches up with them.

    Args:
        jobs: the jobs under way, by name, as their owner keeps them.
    """

    def __init__(self, jobs: Mapping[str, JobRun]):
        self._jobs = jobs
        # Worker seconds by client and by address, of those who have jobs.
        self._spent: dict[str, float] = {}
        self._spent_at: dict[str, float] = {}

    def open(self, job: JobRun) -> None:
        """For a job that is about to be under way."""
        job.spent = min(
            (other.spent for other in self._jobs.values() if other.client == job.client), default=0.0
        )
        self._enter(job.client)

    def _enter(self, client: str) -> None:
        here = address(client)
        beside = (spent for other, spent in self._spent.items() if address(other) == here)
        self._spent.setdefault(client, min(beside, default=0.0))
        self._spent_at.setdefault(here, min(self._spent_at.values(), default=0.0))

    def change(self, job: JobRun, priority: int, client: str) -> None:
        """Ranks a job anew; what it used so far stays where it was counted."""
        job.set_priority(priority)
        if client != job.client:
            job.client = client
            self._enter(client)
            self.close()

    def close(self) -> None:
        """Forgets clients who have no job left; call it when jobs have gone."""
        clients = {job.client for job in self._jobs.values()}
        self._spent = {client: spent for client, spent in self._spent.items() if client in clients}
        here = set(map(address, clients))
        self._spent_at = {where: spent for where, spent in self._spent_at.items() if where in here}

    def charge(self, job: JobRun, seconds: float) -> None:
        """A worker was busy for a job."""
        job.spent += seconds / job.share
        if job.client in self._spent:
            self._spent[job.client] += seconds
            self._spent_at[address(job.client)] += seconds

    def part(self, job: JobRun) -> float:
        """The part of the workers that a job gets while all jobs have something to do."""
        clients = {other.client for other in self._jobs.values()}
        own = sum(other.share for other in self._jobs.values() if other.client == job.client)
        here = [address(client) for client in clients]
        return job.share / own / here.count(address(job.client)) / len(set(here))

    def ranked(self, jobs: Iterable[JobRun]) -> list[JobRun]:
        """Jobs under way in the order in which they are to be served."""
        return sorted(jobs, key=lambda job: (*self.spent(job.client), job.spent))

    def spent(self, client: str) -> tuple[float, float]:
        """Worker seconds of all at a client's address, and its own."""
        return self._spent_at[address(client)], self._spent[client]

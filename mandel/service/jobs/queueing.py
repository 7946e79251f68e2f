"""Decides which waiting job the driver gets next, and how many jobs may wait.

Clients are served evenly. Of those with waiting jobs, the one that has the fewest in the driver's hands is next. Of its
jobs, the one with the highest priority is next, of equals the oldest. Priorities rank only one client's own jobs:
otherwise the highest would starve everybody else. Addresses are compared before the clients' names, since anybody can
make up names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable

from mandel.errors import TransferError
from mandel.protocol.control import address
from mandel.service.jobs.job import RUNNING, Job
from mandel.store.states import QUEUED

MOST_RUNNING = 16  # jobs in the driver's hands; it interleaves them
MOST_CLIENTS = 64  # beyond MOST_RUNNING the first job of each client, up to so many in all
MOST_ADDRESSES = 96  # beyond MOST_CLIENTS the first job of each address
_RETRY_SECONDS = 60


def next_job(jobs: Iterable[Job], cancel_confirmed: Container[str], cancelling: int) -> Job | None:
    """The job to begin now, if one may.

    Args:
        jobs: the live ones, oldest first.
        cancel_confirmed: ids of jobs that the driver has not let go of yet; ``cancelling`` is how many.
    """
    running: Counter[str] = Counter()  # by client
    here: Counter[str] = Counter()  # by address
    first: dict[str, Job] = {}  # each client's next job
    for job in jobs:
        if job.state == RUNNING:
            running[job.client] += 1
            here[address(job.client)] += 1
        elif job.state == QUEUED and job.id not in cancel_confirmed:
            best = first.get(job.client)
            if best is None or job.priority > best.priority:
                first[job.client] = job
    taken = running.total() + cancelling
    able = [
        client
        for client in first
        if taken < MOST_RUNNING
        or (taken < MOST_CLIENTS and not running[client])
        or (taken < MOST_ADDRESSES and not here[address(client)])
    ]
    return first[min(able, key=lambda client: (here[address(client)], running[client]))] if able else None


def check_queue(jobs: Iterable[Job], client: str, most: int, max_per_address: int) -> None:
    """Refuses one more unfinished job of ``client`` where there are too many.

    Args:
        jobs: the live ones.
        most, max_per_address: how many there may be, of all clients and of one. Clients at one address
            together may have three times as many as there are places left: three quarters of all if they are
            alone, and however many addresses there are, there is room for one more.

    Raises:
        TransferError: BUSY.
    """
    clients = Counter(job.client for job in jobs)
    here = sum(count for other, count in clients.items() if address(other) == address(client))
    for count, limit, whose in (
        (clients[client], max_per_address, "of yours "),
        (clients.total(), most, ""),
        (here, 3 * (most - clients.total()), "of your address "),
    ):
        if count >= limit:
            raise TransferError(
                "BUSY",
                f"{count} jobs {whose}are unfinished and no more are taken (--max-jobs, "
                "--max-jobs-per-client); try again when some have ended, or cancel some",
                limit={"jobs": limit, "retry_after": _RETRY_SECONDS},
            )

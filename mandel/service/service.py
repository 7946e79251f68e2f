"""The service: puts store, registry, supervisor and listener together."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from functools import partial

from mandel.payload.fields import JsonObject
from mandel.service.housekeeping import Housekeeper
from mandel.service.jobs.job import Job
from mandel.service.jobs.operations import Operations
from mandel.service.jobs.registry import Registry
from mandel.service.net.access import Access
from mandel.service.net.connection import Connection
from mandel.service.net.listener import Listener, listen
from mandel.service.supervision.supervisor import Supervisor
from mandel.settings import Settings
from mandel.store.states import QUEUED
from mandel.store.store import Store
from mandel.store.usage import share_of_disk
from mandel.version import VERSION

_CLIENT_SECONDS = 3.0  # after the driver's end, for videos on their way


def driver_command(settings: Settings) -> list[str]:
    """How to start the real driver."""
    return [
        sys.executable,
        "-m",
        "mandel.driver.main",
        "--address",
        settings.address,
        "--device",
        settings.device,
    ]


class Service:
    """Opens the store and the port; ``start`` begins to work.

    Args:
        settings: how to run.
        command: how to start the driver.

    Raises:
        MandelError: from ``listen``, Access and Store.
    """

    def __init__(self, settings: Settings, command: Sequence[str]):
        self.settings = settings
        port = listen(settings.host, settings.port)
        try:
            self.access = Access(settings, port.getsockname()[0])
            self.store = Store(settings.db)
        except BaseException:
            port.close()
            raise
        self.listener = Listener(
            port, settings, self.access.tls, partial(Connection, service=self), self.access.admit
        )
        self.registry = Registry(
            self.store,
            settings.max_db_bytes or share_of_disk(self.store.usage(), settings.max_db_share),
            settings.max_jobs,
            settings.max_jobs_per_client,
            settings.max_ended_jobs,
        )
        self.housekeeper = Housekeeper(self.registry)
        self.supervisor = Supervisor(self.registry, command, settings.driver_timeout)
        self.operations = Operations(
            self.registry, settings.limits, lambda: self.cluster, self.supervisor.estimates.ask
        )
        self._began = time.monotonic()

    def start(self) -> None:
        """Starts driver and listener."""
        self.supervisor.start()
        self.housekeeper.start()
        self.listener.start()

    def stop(self) -> None:
        """Stops accepting, stores what is finished, ends the driver. Loses no job.

        Takes at most 8 s beyond the drain time.
        """
        self.listener.stop_accepting()
        self.registry.close()
        self.supervisor.stop(self.settings.drain_timeout)
        self.listener.close(_CLIENT_SECONDS)
        self.housekeeper.stop()
        self.store.close()

    @property
    def cluster(self) -> JsonObject:
        """What the driver told of its cluster."""
        return self.supervisor.cluster

    def progress(self, job: Job) -> JsonObject:
        """What a ``progress`` part says of a job, and of the renderer while the job waits for that."""
        told, facts = self.registry.progress(job), self.supervisor.facts
        if told["state"] == QUEUED and facts["state"] != "ready":
            since = self.supervisor.unready_since
            told["renderer"] = {
                "state": facts["state"],
                "error": facts["error"],
                "seconds": round(time.monotonic() - since, 1) if since else 0.0,
            }
        return told

    def status(self) -> JsonObject:
        """What ``status`` tells: version, uptime in s, driver and cluster, jobs by state, connections."""
        return {
            "version": VERSION,
            "uptime": round(time.monotonic() - self._began, 1),
            "driver": dict(self.supervisor.facts),
            "cluster": dict(self.cluster),
            "jobs": self.registry.count(),
            "storage": self.registry.storage(),
            "live": self.registry.live_progress(),
            "connections": self.listener.connections,
        }

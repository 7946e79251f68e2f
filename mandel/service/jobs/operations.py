"""Carries out requests about jobs, for the socket and for the page alike."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from mandel.payload.fields import JsonObject
from mandel.payload.payload import Payload, parse
from mandel.payload.recolour import recoloured
from mandel.protocol import control
from mandel.protocol.operation import DELETE, RECOLOUR, RENDER, Request, not_found
from mandel.service.jobs import capacity, strips
from mandel.service.jobs.job import Job
from mandel.service.jobs.registry import Registry
from mandel.settings import PayloadLimits


class Operations:
    """Carries requests out on ``registry``. Thread-safe.

    Args:
        limits: the most that a payload may ask for.
        cluster: what the driver told of its cluster.
        ask: what a payload would take, for a client, until it has left, of strips that are there; blocks.
    """

    def __init__(
        self,
        registry: Registry,
        limits: PayloadLimits,
        cluster: Callable[[], JsonObject],
        ask: Callable[
            [Payload, str, Callable[[], bool], tuple[Payload, list[control.StripFile]] | None], JsonObject
        ],
    ):
        self._registry, self._limits, self._cluster, self._ask = registry, limits, cluster, ask

    def job(self, asked: Request, address: str) -> Job:
        """The job that ``render``, ``recolour`` or ``attach`` is about.

        Args:
            address: of the peer, for whom the job counts if he gave no name.

        Raises:
            MandelError: as the operation's; docs/protocol.md.
        """
        registry, source = self._registry, None
        if asked.op == RENDER:
            wanted = self.checked(asked)
        else:
            if asked.op != RECOLOUR:
                return self._found(registry.find(self._resolved(asked)))
            wanted, map_of = self._recoloured(asked)
            source = map_of.id
            registry.store.touch(source)
        return registry.ask(wanted, asked.priority, _account(asked, address), source, asked.name)

    def _recoloured(self, asked: Request) -> tuple[Payload, Job]:
        """The payload of another video of a job's strips, and the job whose they are."""
        found = self._found(self._registry.find(self._resolved(asked)))
        changes = {name: value for name, value in asked.fields.items() if name != "job"}
        map_of = self._registry.find(found.source or found.id) or found
        strips.check_kept(found, map_of)
        return recoloured(found.payload, map_of.payload, map_of.id, changes, self._limits), map_of

    def checked(self, asked: Request) -> Payload:
        """The payload of a ``render`` request, if this service and its cluster can make it."""
        wanted = parse(asked.fields, self._limits)
        if self._registry.find(wanted.job_id()) is None:  # what is there, or was accepted, is none the bigger
            capacity.check(wanted, self._cluster())
        return wanted

    def estimate(self, asked: Request, address: str, has_left: Callable[[], bool]) -> JsonObject:
        """What a payload, or another video of a ``job``'s strips, would take; and the state of its job if there is
        one already. Blocks.

        Args:
            has_left: whether who asked waits no longer.
        """
        kept = None
        if "job" in asked.fields:
            wanted, source = self._recoloured(asked)
            kept = source.payload, strips.files(source.id, self._registry.store)
        else:
            wanted = self.checked(asked)
        beside = self._beside(wanted.job_id())  # before this one is measured, which is work as well
        return self.outline(wanted) | beside | self._ask(wanted, _account(asked, address), has_left, kept)

    def _beside(self, job: str) -> JsonObject:
        """What an estimate does not count: other jobs that want the slots, and how busy this machine is."""
        try:
            load = round(os.getloadavg()[0], 1)
        except OSError:  # some containers do not tell
            return {"others": self._registry.at_work(job)}
        return {"others": self._registry.at_work(job), "load": load, "cores": os.cpu_count() or 1}

    def outline(self, wanted: Payload) -> JsonObject:
        """What a payload would be, and the state of its job if there is one already."""
        job = self._registry.find(wanted.job_id())
        return {
            "job": wanted.job_id(),
            "state": job.state if job else None,
            "frames": wanted.num_frames,
            "length": wanted.seconds,
            "samples": wanted.samples,
        }

    def result(self, asked: Request) -> JsonObject:
        """Carries out ``status`` of a job, ``delete``, or a change of one; what the reply says."""
        registry, job = self._registry, self._resolved(asked)
        if asked.op == DELETE:
            if (told := registry.delete(job)) is None:
                raise not_found()
            return told
        change: dict[str, Callable[[str], Job | None]] = {
            "status": registry.find,
            "cancel": registry.cancel,
            "pause": registry.pause,
            "resume": registry.resume,
            "retry": registry.retry,
            "pin": partial(registry.pin, pinned=True),
            "unpin": partial(registry.pin, pinned=False),
        }
        return registry.describe(self._found(change[asked.op](job)))

    def _resolved(self, asked: Request) -> str:
        return self._registry.resolve(asked.fields["job"])

    @staticmethod
    def _found(job: Job | None) -> Job:
        if job is None:
            raise not_found()
        return job


def _account(asked: Request, address: str) -> str:
    """On whose account it is rendered: NAME@ADDRESS, or the address alone. The name is believed."""
    return f"{asked.client}@{address}" if asked.client else address

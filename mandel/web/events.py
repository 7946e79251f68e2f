"""Server-sent events: a snapshot, then what changes, told to any number of pages from one look a second.

Each event has a number. Whoever comes back with the last one that it saw goes on behind it, as long as what followed is
remembered; else it gets a snapshot, which replaces all that it knew. A reader that falls behind costs a bounded queue,
then gets a snapshot as well.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any

from aiohttp import web

from mandel.errors import MandelError
from mandel.service.jobs.job import LIVE
from mandel.service.service import Service
from mandel.web.answers import ADDRESS, OffLoop, Shares, write

Row = dict[str, Any]  # a job, as in the list

_LOOK_SECONDS = 1.0
_LIST_SECONDS = 10.0  # between looks at jobs that have ended, which others may pin
_SERVICE_SECONDS = 2.0
_REMEMBERED = 1_024
_MOST_BEHIND = 256
_MOST_STREAMS = 256
_PING_SECONDS = 15.0
_ALIVE = b"event: alive\ndata: {}\n\n"  # without a number: it is no change
_ID = re.compile(r"([0-9a-f]{8})-([0-9]{1,15})")


def encoded(event: str, number: str, data: object) -> bytes:
    """One event as it is sent. JSON has no line breaks, so that one line of data holds it."""
    return f"event: {event}\nid: {number}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


class Stream:
    """One reader's queue."""

    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque()
        self.behind = False  # it wants a snapshot
        self.woken = asyncio.Event()

    def tell(self, event: bytes) -> None:
        """Queues an event, or notes that the reader is too far behind."""
        if len(self.waiting) >= _MOST_BEHIND:
            self.waiting.clear()
            self.behind = True
        if not self.behind:
            self.waiting.append(event)
        self.woken.set()


class Events:
    """The handler for ``/api/events``, and the one who looks for changes; nobody looks while nobody listens."""

    def __init__(self, service: Service, off_loop: OffLoop):
        self._registry, self._off_loop = service.registry, off_loop
        self._status, self._patience = service.status, service.settings.stall_timeout
        self._life = secrets.token_hex(4)  # numbers of another run of the head mean nothing
        self._number = 0
        self._remembered: deque[tuple[int, bytes]] = deque(maxlen=_REMEMBERED)
        self._streams: set[Stream] = set()
        self._shares = Shares(_MOST_STREAMS, "streams of events are open")
        self._jobs: dict[str, Row] = {}
        self._counts: dict[str, int] = {}
        self._service: Row = {}
        self._listed = self._served = -_LIST_SECONDS
        self._snapshot: tuple[int, bytes] = -1, b""
        self._looking = asyncio.Lock()
        self._hurry = asyncio.Event()
        self._looker: asyncio.Task[None] | None = None

    def status(self) -> Row:
        """``status`` of the service, without the jobs, which are told by themselves. Blocks."""
        return {name: value for name, value in self._status().items() if name != "live"}

    def changed(self) -> None:
        """Something was done to a job: looks at once, and at all of them."""
        self._listed = -_LIST_SECONDS
        self._hurry.set()

    async def answer(self, asked: web.Request, may_go_on: Callable[[], bool]) -> web.StreamResponse:
        """``GET /api/events``.

        Args:
            may_go_on: whether the reader is still signed in.
        """
        with self._shares.take(asked[ADDRESS]):
            return await self._stream(asked, may_go_on)

    async def _stream(self, asked: web.Request, may_go_on: Callable[[], bool]) -> web.StreamResponse:
        stream = Stream()
        self._streams.add(stream)
        try:
            await self._look()  # what this reader hears first is of now
            if self._looker is None or self._looker.done():
                # For all, whoever came first: what he has of the threads does not hold it up.
                self._looker = asyncio.create_task(self._keep_looking(), context=Context())
            sent = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
            sent.content_type, sent.charset = "text/event-stream", "utf-8"
            stream.waiting.clear()
            missed = self._since(asked.headers.get("Last-Event-ID") or asked.query.get("last", ""))
            stream.behind = missed is None
            stream.waiting.extend(missed or ())
            await sent.prepare(asked)
            await self._write(asked, sent, b"retry: 2000\n\n")
            while may_go_on():
                await self._tell(asked, sent, stream)
            return sent
        finally:
            self._streams.discard(stream)

    async def _tell(self, asked: web.Request, sent: web.StreamResponse, stream: Stream) -> None:
        if stream.behind:
            stream.behind = False
            stream.waiting.clear()
            await self._write(asked, sent, self._whole())
        while stream.waiting and not stream.behind:
            await self._write(asked, sent, stream.waiting.popleft())
        if not stream.behind:
            stream.woken.clear()
            try:
                async with asyncio.timeout(_PING_SECONDS):
                    await stream.woken.wait()
            except TimeoutError:
                await self._write(asked, sent, _ALIVE)

    async def _write(self, asked: web.Request, sent: web.StreamResponse, data: bytes) -> None:
        await write(asked, sent, data, self._patience)

    # -- numbers ----------------------------------------------------------

    def _name(self, number: int) -> str:
        return f"{self._life}-{number}"

    def _since(self, last: str) -> list[bytes] | None:
        """What came after the event named ``last``; None when that is not known any more."""
        match = _ID.fullmatch(last)
        if match is None or match[1] != self._life:
            return None
        number = int(match[2])
        first = self._remembered[0][0] if self._remembered else self._number + 1
        if not first - 1 <= number <= self._number:
            return None
        return [event for at, event in self._remembered if at > number]

    def _whole(self) -> bytes:
        """The snapshot of now."""
        if self._snapshot[0] != self._number:
            data = {"jobs": list(self._jobs.values()), "service": self._service}
            self._snapshot = self._number, encoded("snapshot", self._name(self._number), data)
        return self._snapshot[1]

    def _publish(self, event: str, data: object) -> None:
        self._number += 1
        told = encoded(event, self._name(self._number), data)
        self._remembered.append((self._number, told))
        for stream in self._streams:
            stream.tell(told)

    # -- looking ----------------------------------------------------------

    async def _keep_looking(self) -> None:
        while self._streams:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._hurry.wait()
            except TimeoutError:
                pass
            self._hurry.clear()
            try:
                await self._look()
            except (MandelError, OSError):  # a disk in trouble: looked at again
                pass

    async def _look(self) -> None:
        """Compares what is now with what was told, and tells what differs.

        A list tells of no more jobs than it holds; of others, live ones too, pages hear when it comes to hold them.
        """
        async with self._looking:
            live, counts = await self._off_loop(self._now)
            is_old = time.monotonic() - self._listed >= _LIST_SECONDS
            ended = any(row["state"] in LIVE and job not in live for job, row in self._jobs.items())
            if is_old or ended or counts != self._counts:
                self._listed, self._counts = time.monotonic(), counts
                jobs = await self._off_loop(self._all)
            else:
                jobs = {job: row | live.get(job, {}) for job, row in self._jobs.items()}
            for job, row in jobs.items():
                if self._jobs.get(job) != row:
                    self._publish("job", row)
            for job in self._jobs.keys() - jobs.keys():
                self._publish("gone", {"job": job})
            self._jobs = jobs
            if time.monotonic() - self._served >= _SERVICE_SECONDS:
                self._served = time.monotonic()
                service = await self._off_loop(self.status)
                if _steady(service) != _steady(self._service):
                    self._publish("service", service)
                self._service = service

    def _now(self) -> tuple[dict[str, Row], dict[str, int]]:
        """Progress of the live jobs that pages know, and how many jobs are in each state."""
        return {row["job"]: row for row in self._registry.progress_of(self._jobs)}, self._registry.count()

    def _all(self) -> dict[str, Row]:
        return {row["job"]: row for row in json.loads(self._registry.list())}


def _steady(service: Row) -> Row:
    """What is told of the service, without what changes with every look."""
    storage = {name: size for name, size in service.get("storage", {}).items() if name != "free"}
    return service | {"uptime": 0, "connections": 0, "storage": storage}

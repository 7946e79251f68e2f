"""Jobs: the operations of the socket, by HTTP, with its checks and its errors."""

from __future__ import annotations

import threading
from typing import Any

from aiohttp import web

from mandel.colour import looks, palettes
from mandel.colour.mappings import MAPPINGS
from mandel.errors import RequestError
from mandel.payload import fields as payload_fields
from mandel.payload import stops
from mandel.protocol.operation import CHANGES, DELETE, RECOLOUR, RENDER, Request, anybody, not_found, request
from mandel.protocol.request import RequestReceiver
from mandel.service.service import Service
from mandel.version import ENGINE, VERSION
from mandel.web.answers import ADDRESS, OffLoop, Shares, answer, answer_of, body, json_of
from mandel.web.events import Events

VERBS = tuple(name for name in CHANGES if name != DELETE)  # which is a method of HTTP
_MOST_ESTIMATES = 16  # asked for at once, each on a thread
_LIMITS = ("frames", "side", "maxiter", "fps", "depth", "pixels", "request_bytes")


class Jobs:
    """Handlers for ``/api/jobs``, ``/api/check``, ``/api/estimate`` and what ``/api/state`` says of the service.

    Args:
        events: are told after something was done to a job.
    """

    def __init__(self, service: Service, off_loop: OffLoop, events: Events):
        self._service, self._off_loop, self._events = service, off_loop, events
        self._patient = OffLoop(_MOST_ESTIMATES, _MOST_ESTIMATES)  # these may wait for minutes
        self._estimates = Shares(_MOST_ESTIMATES, "estimates are waited for")

    def state(self) -> dict[str, Any]:
        """What the page must know of this service and its payloads."""
        limits = self._service.settings.limits
        return {
            "engine": str(ENGINE),
            "limits": {f"max_{name}": getattr(limits, f"max_{name}") for name in _LIMITS}
            | {"max_stops": stops.MOST},
            "fields": [
                {"name": field.name, "kind": field.kind, "default": field.default, "help": field.help}
                for field in payload_fields.TABLE
            ],
            "looks": list(payload_fields.RECOLOURED),
            "palettes": palettes.RINGS,
            "mappings": {name: usual._asdict() for name, usual in MAPPINGS.items()},
            "named_looks": looks.LOOKS,
            "service": self._events.status(),
        }

    async def list(self, _: web.Request) -> web.Response:
        """``GET /api/jobs``."""
        return answer_of(b'{"jobs":' + await self._off_loop(self._service.registry.list) + b"}")

    async def submit(self, asked: web.Request) -> web.Response:
        """``POST /api/jobs``."""
        wanted = await self._payload(asked)
        return await self._begin(wanted, asked)

    async def check(self, asked: web.Request) -> web.Response:
        """``POST /api/check``."""
        return answer(await self._off_loop(self._checked, await self._payload(asked)))

    async def estimate(self, asked: web.Request) -> web.Response:
        """``POST /api/estimate``."""
        wanted = await self._payload(asked)
        left, address = threading.Event(), asked[ADDRESS]
        with self._estimates.take(address):
            try:
                found = await self._patient(self._service.operations.estimate, wanted, address, left.is_set)
            finally:
                left.set()  # also when the browser has gone
        return answer(found)

    async def close(self, _: web.Application) -> None:
        """Takes no more estimates; those under way end with the driver."""
        self._patient.close()

    async def describe(self, asked: web.Request) -> web.Response:
        """``GET /api/jobs/ID``."""
        wanted = request({"op": "status", "job": asked.match_info["job"]})
        return answer(await self._off_loop(self._service.operations.result, wanted))

    async def change(self, asked: web.Request) -> web.Response:
        """``POST /api/jobs/ID/VERB``."""
        await body(asked)
        return await self._do(asked.match_info["verb"], asked)

    async def delete(self, asked: web.Request) -> web.Response:
        """``DELETE /api/jobs/ID``."""
        return await self._do("delete", asked)

    async def recolour(self, asked: web.Request) -> web.Response:
        """``POST /api/jobs/ID/recolour``."""
        given = await json_of(asked)
        if not isinstance(given, dict):
            raise RequestError("NOT_OBJECT", "a body here is one JSON object, { ... }")
        wanted = request({**given, "op": RECOLOUR, "job": asked.match_info["job"]})
        return await self._begin(wanted, asked)

    async def _do(self, op: str, asked: web.Request) -> web.Response:
        wanted = request({"op": op, "job": asked.match_info["job"]})
        told = await self._off_loop(self._service.operations.result, wanted)
        self._events.changed()
        return answer(told)

    async def _begin(self, wanted: Request, asked: web.Request) -> web.Response:
        told = await self._off_loop(self._begun, wanted, asked[ADDRESS])
        self._events.changed()
        return answer(told, 202)

    def _begun(self, wanted: Request, address: str) -> dict[str, Any]:
        job = self._service.operations.job(wanted, address)
        described: dict[str, Any] = self._service.registry.describe(job)
        return described

    async def _payload(self, asked: web.Request) -> Request:
        """A request to render, received as the socket receives it."""
        most = self._service.settings.limits.max_request_bytes
        received = RequestReceiver(most, anybody)
        found = received.feed(await body(asked, most))
        if not isinstance(found, Request):
            found = received.feed(b"")
        if not isinstance(found, Request) or found.op != RENDER:
            raise RequestError("NOT_OBJECT", "a body here is a payload, one JSON object without op")
        return found

    def _checked(self, wanted: Request) -> dict[str, Any]:
        payload = self._service.operations.checked(wanted)
        return self._service.operations.outline(payload) | {
            "least_bytes": payload.least_bytes,
            "payload": payload.canonical(),
        }


def resolved(service: Service, asked: web.Request) -> str:
    """The id of the job that an address names. Blocks.

    Raises:
        RequestError: NOT_FOUND, AMBIGUOUS.
    """
    job = request({"op": "status", "job": asked.match_info["job"]}).fields["job"]
    found: str = service.registry.resolve(job)
    if service.registry.find(found) is None:
        raise not_found()
    return found


def version(session: dict[str, bool]) -> dict[str, Any]:
    """What ``/api/state`` says to anybody."""
    return {"version": VERSION, "session": session}

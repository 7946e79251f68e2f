"""The web server: a thread with a loop of its own, so that nothing here holds up the socket or the jobs."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections import Counter
from functools import partial
from math import inf

from aiohttp import web
from aiohttp.typedefs import Handler

from mandel.service.net.incoming_request import owner, user
from mandel.service.net.rate_limited_log import RateLimitFilter
from mandel.service.service import Service
from mandel.web.answers import ADDRESS, CLIENT, WHOSE, OffLoop, answer, fields, text
from mandel.web.events import Events
from mandel.web.explorer import Explorer
from mandel.web.files import Files
from mandel.web.guard import Guard
from mandel.web.jobs import VERBS, Jobs, version
from mandel.web.media import Media
from mandel.web.places import Places
from mandel.web.sessions import Sessions
from mandel.web.tiles import FACTS, Tiles

_log = logging.getLogger("mandel")

_ACCEPTED_AT_ONCE, _BACKLOG = 16, 256
_IDLE_SECONDS = 75.0  # between requests
_START_SECONDS, _END_SECONDS = 10.0, 3.0
_LINGER_SECONDS = 2.0  # that a body is read on which was refused
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)
_LONGEST_LINE = 8_190  # bytes of a header, and of the request line


class WebServer:
    """Serves the page of ``service``.

    Args:
        port: listens already; belongs to this object.
        names: by which browsers may call this host, beside ``localhost`` and IP literals.
        most: connections at once; one address has three quarters of them.
    """

    def __init__(self, service: Service, port: socket.socket, names: tuple[str, ...], most: int):
        self._service, self._socket, self._most = service, port, most
        self._tls = service.access.tls
        self.scheme = "https" if self._tls is not None else "http"
        self.host, self.port = port.getsockname()[:2]
        self._sessions = Sessions(service.access.admit)
        self._guard = Guard(names, self.scheme, self._sessions)
        self._explorer = Explorer(service)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._asked_to_end = asyncio.Event()
        self._silent: set[object] = set()  # connections by which no request has come yet
        self._addresses: dict[object, str] = {}  # whom each connection counts for
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        """Begins to serve, on a thread."""
        self._thread.start()
        self._ready.wait(_START_SECONDS)

    def close(self) -> None:
        """Ends all connections and the thread; waits a few seconds at most."""
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._asked_to_end.set)
            except RuntimeError:  # it has ended
                pass
        self._thread.join(_END_SECONDS)

    # -- the thread -------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # the service goes on without its page
            _log.exception("web: the page has ended: %r", error)
        finally:
            self._ready.set()
            self._socket.close()

    async def _serve(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        off_loop, read = OffLoop(), OffLoop(most=inf)
        app = self._app(off_loop, read)
        runner = web.AppRunner(
            app,
            handle_signals=False,
            access_log=None,
            logger=_logger(),
            keepalive_timeout=_IDLE_SECONDS,
            handler_cancellation=True,  # what nobody waits for is not done
            auto_decompress=False,  # a few MB would be GB
            lingering_time=_LINGER_SECONDS,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
            shutdown_timeout=0.5,
        )
        await runner.setup()
        try:
            door = partial(
                _Door,
                runner,
                self._silent,
                self._addresses,
                self._service.settings.request_timeout,
                self._most,
            )
            # asyncio accepts as many at once as may wait, before it asks the door: each has its descriptor then.
            async with await loop.create_server(
                door, sock=self._socket, ssl=self._tls, backlog=_ACCEPTED_AT_ONCE
            ):
                self._socket.listen(_BACKLOG)
                self._ready.set()
                await self._asked_to_end.wait()
        finally:
            off_loop.close()
            read.close()
            await self._explorer.close()
            await runner.cleanup()

    def _app(self, off_loop: OffLoop, read: OffLoop) -> web.Application:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._silent.discard(request.protocol)
            request[ADDRESS] = self._addresses.get(request.protocol, "")
            WHOSE.set(request[ADDRESS])
            request[CLIENT] = self._guard.client(request)
            return await self._guard(request, handler)

        app = web.Application(middlewares=[guard])
        app.on_response_prepare.append(self._guard.add_headers)
        service, explorer = self._service, self._explorer
        files, media = Files(off_loop), Media(service, off_loop, read)
        events = Events(service, off_loop)
        jobs = Jobs(service, off_loop, events)
        app.on_cleanup.append(jobs.close)

        places = Places(service.settings.limits)
        app.on_cleanup.append(places.close)
        tiles = Tiles(explorer, service.settings)

        async def state(asked: web.Request) -> web.Response:
            is_open = self._guard.is_signed_in(asked)
            told = version({"needed": self._sessions.needed, "open": is_open})
            if is_open:
                explorer.prepare()  # who loads the page looks around soon
                told |= {"tiles": FACTS} | await off_loop(jobs.state)
            return answer(told)

        async def follow(asked: web.Request) -> web.StreamResponse:
            return await events.answer(asked, lambda: self._guard.is_signed_in(asked))

        app.add_routes([
            web.get("/", files.index),
            web.get("/static/{version}/{path:.+}", files.static),
            web.get("/api/state", state),
            web.post("/api/login", self._login),
            web.delete("/api/login", self._logout),
            web.get("/api/events", follow, allow_head=False),
            web.get("/api/jobs", jobs.list),
            web.post("/api/jobs", jobs.submit),
            web.post("/api/check", jobs.check),
            web.post("/api/estimate", jobs.estimate),
            web.get("/api/jobs/{job}", jobs.describe),
            web.delete("/api/jobs/{job}", jobs.delete),
            web.post("/api/jobs/{job}/{verb:" + "|".join(VERBS) + "}", jobs.change),
            web.post("/api/jobs/{job}/recolour", jobs.recolour),
            web.get("/api/jobs/{job}/last.png", media.last),
            web.get("/media/{job}/video.mp4", media.video),
            web.get("/media/{job}/poster.png", media.poster),
            web.post("/api/anchors", tiles.anchor),
            web.get("/tile/{anchor}/{engine}/{maxiter}/{dlevel}/{dx}/{dy}", tiles.one),
            web.post("/api/tiles", tiles.many),
            web.post("/api/limit", tiles.limit),
            web.post("/api/curve", tiles.curve),
            web.post("/api/locate", tiles.locate),
            web.post("/api/place", places.read),
        ])  # fmt: skip
        return app

    async def _login(self, asked: web.Request) -> web.Response:
        token = text(await fields(asked, ("token",)), "token")
        session = self._sessions.login(token, asked[ADDRESS])
        response = answer({"open": True})
        response.set_cookie(
            self._guard.cookie, session, httponly=True, samesite="Lax", path="/", secure=self._tls is not None
        )
        return response

    async def _logout(self, asked: web.Request) -> web.Response:
        self._sessions.logout(asked.cookies.get(self._guard.cookie))
        response = answer({"open": False})
        response.del_cookie(self._guard.cookie, path="/")
        return response


def _logger() -> logging.Logger:
    """What aiohttp says of clients that speak no HTTP: a line each, and so many a second at most."""
    logger = logging.getLogger("mandel.clients.http")
    if not logger.filters:
        logger.addFilter(_in_a_line)
        logger.addFilter(RateLimitFilter())
    return logger


def _in_a_line(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    record.msg, record.args = f"{record.getMessage()}: {error!r}"[:300], ()
    record.exc_info, record.levelno, record.levelname = None, logging.INFO, "INFO"
    return True


class _Door(asyncio.Protocol):
    """Lets a connection in to aiohttp if there is room; closes it if no request comes."""

    def __init__(
        self,
        runner: web.AppRunner,
        silent: set[object],
        addresses: dict[object, str],
        patience: float,
        most: int,
    ):
        self._runner, self._silent, self._patience, self._most = runner, silent, patience, most
        self._addresses = addresses

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hands the transport on, or says that there is no room."""
        server = self._runner.server
        assert server is not None and isinstance(transport, asyncio.Transport)  # noqa: S101 - it is set up
        address = _address(transport)
        for gone in self._addresses.keys() - set(server.connections):
            del self._addresses[gone]
        held = Counter(self._addresses.values())
        if held.total() >= self._most or held[address] >= self._most - self._most // 4:
            transport.write(_FULL)
            transport.close()
            return
        handler = server()
        self._addresses[handler] = address
        transport.set_protocol(handler)
        handler.connection_made(transport)
        self._silent.add(handler)
        asyncio.get_running_loop().call_later(self._patience, self._close_silent, handler, transport)

    def _close_silent(self, handler: object, transport: asyncio.Transport) -> None:
        if handler in self._silent:
            self._silent.discard(handler)
            transport.abort()


def _address(transport: asyncio.BaseTransport) -> str:
    """Whom a connection counts for, as the listener counts its own."""
    if not (peer := transport.get_extra_info("peername")):
        return ""
    return owner(peer[0]) + user(transport.get_extra_info("socket"), *peer[:2])

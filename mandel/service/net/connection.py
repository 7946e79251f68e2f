"""Carries out one request, and sends its reply."""

from __future__ import annotations

import logging
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from mandel.errors import MandelError, RenderError, StoreError, TransferError
from mandel.payload.fields import JsonObject
from mandel.protocol.operation import ESTIMATE, TABLE, Request, not_found
from mandel.protocol.reply import ReplyWriter
from mandel.service.jobs.job import Job
from mandel.service.jobs.operations import Operations
from mandel.service.jobs.registry import Registry
from mandel.service.net.lingering_close import end_tls
from mandel.service.net.rate_limited_log import clients
from mandel.service.net.read_rate import ReadRate
from mandel.settings import Settings
from mandel.store.files import StoredFile
from mandel.store.states import CANCELLED, DONE, PAUSED

_PROGRESS_SECONDS = 1.0  # between progress parts; longer, up to the next, for those who wait for days
_LONGEST_PROGRESS_SECONDS = 10.0
_SAYS_NO_MORE = getattr(select, "POLLRDHUP", 0)  # where the system tells
# Bytes of a video between looks at how fast it is read: few for a slow reader, many for a fast one.
_LEAST_PIECE, _MOST_PIECE = 64 << 10, 2 << 20


class _Gone(Exception):
    """The client does not take what is sent; the OSError that said so."""


class Answering(Protocol):
    """What a connection needs of the service that it belongs to."""

    settings: Settings
    registry: Registry
    operations: Operations

    def progress(self, job: Job) -> JsonObject: ...
    def status(self) -> JsonObject: ...


class Connection:
    """Answers one request, on a thread of its own; a slow client holds up nobody else.

    Args:
        sock: the connected socket; closed, or left for the listener to close.
        address: whom the connection counts for.
        peer: address and port, for the log.
        asked: the request.
        service: the service that this connection belongs to.

    Attributes:
        closed: whether the socket is closed already; else the client still has to take what was said.
        reading: how fast the video is read.
        streams: whether the reply goes on until a job ends.
        since: when its turn came; monotonic time in s.
    """

    def __init__(self, sock: socket.socket, address: str, peer: str, asked: Request, service: Answering):
        self.socket, self.address, self.peer = sock, address, peer
        self.closed, self.reading = False, ReadRate()
        self.streams, self.since = TABLE[asked.op].streams, time.monotonic()
        self._asked, self._service = asked, service
        self._reply = ReplyWriter()

    def answer(self) -> None:
        """Carries the request out and says all there is to say. Never raises; logs one line at most."""
        try:
            self._carry_out(self._asked)
            self._hang_up()
        except MandelError as error:
            clients.log(level(error), "%s: %s: %s", self.peer, error.code, error.message)
            self._refuse(error)
        except _Gone as error:
            clients.info("%s: went away: %s", self.peer, error)
            self._drop()
        except OSError as error:
            failure = StoreError("DISK_FAILED", f"the service's disk failed: {error.strerror or error}")
            clients.error("%s: %s: %r", self.peer, failure.code, error)
            self._refuse(failure)
        except Exception as error:  # a fault of ours; the service must go on
            clients.error("%s: INTERNAL: %r", self.peer, error)
            self._refuse(failed())

    def _carry_out(self, asked: Request) -> None:
        operations = self._service.operations
        if TABLE[asked.op].streams:
            self._stream(operations.job(asked, self.address))
        elif asked.op == ESTIMATE:
            self._send(self._reply.result(operations.estimate(asked, self.address, self._has_left)))
        elif asked.op == "list":
            self._send(self._reply.result_of(b'{"jobs":' + self._service.registry.list() + b"}"))
        elif asked.op == "status" and "job" not in asked.fields:
            self._send(self._reply.result(self._service.status()))
        else:
            self._send(self._reply.result(operations.result(asked)))

    def cut(self) -> None:
        """Ends the conversation, whatever its thread is about."""
        try:
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)  # below TLS, which the thread may be using
        except OSError:
            pass

    def _stream(self, job: Job) -> None:
        """Progress while the job is live, then its video or its error; the job does not need us."""
        registry = self._service.registry
        began = time.monotonic()
        while True:
            self._send(self._reply.progress(self._service.progress(job)))
            if job.live:
                if registry.closing:
                    raise StoreError(
                        "STOPPING",
                        f"the service is stopping; job {job.id} is kept and goes on after the next start: "
                        "attach to it then",
                    )
                waited_hours = (time.monotonic() - began) / 3600
                pause = min(_PROGRESS_SECONDS + waited_hours, _LONGEST_PROGRESS_SECONDS)
                registry.wait(job, _LONGEST_PROGRESS_SECONDS if job.state == PAUSED else pause)
            elif job.state != DONE:
                break
            elif (stored := registry.open(job.id)) is not None:
                with stored.file:
                    self._send(
                        self._reply.video_head(
                            stored.bytes, stored.sha256, f"{job.id[:16]}.{stored.container}"
                        )
                    )
                    self._send_video(stored)
                self._send(self._reply.end())
                return
            elif (found := registry.find(job.id)) is not None:
                job = found
            else:
                raise not_found()
        if job.state == CANCELLED:
            raise RenderError(
                "CANCELLED", "the job was cancelled; retry it, or send its payload again, to go on with it"
            )
        raise job.error or RenderError("INTERNAL", "the job failed")

    # -- the socket -------------------------------------------------------

    def _has_left(self) -> bool:
        """Whether a client who has been told nothing yet has gone.

        Who only says no more, as some do behind their request, looks the same, until something is sent to him.
        Raises _Gone.
        """
        looking = select.poll()
        looking.register(self.socket.fileno(), _SAYS_NO_MORE)
        seen = looking.poll(0)
        if seen and not seen[0][1] & (select.POLLERR | select.POLLHUP):
            self._send(self._reply.waiting())
            return False
        return bool(seen)

    def _send(self, data: bytes) -> None:
        """Sends all. Raises _Gone, also when not a byte is taken within the stall limit."""
        view = memoryview(data)
        with _to_the_client():
            self.socket.settimeout(self._service.settings.stall_timeout)
            while view:
                view = view[self.socket.send(view) :]

    def _send_video(self, stored: StoredFile) -> None:
        """Sends a whole file, and notes how fast it is read."""
        reading, piece, began = self.reading, _LEAST_PIECE, time.monotonic()
        reading.took(0, began)
        while reading.taken < stored.bytes:
            with _to_the_client():
                sent = self.socket.sendfile(
                    stored.file, reading.taken, min(piece, stored.bytes - reading.taken)
                )
            if not sent:
                raise _Gone("the video shrank while it was sent")
            before, began = began, time.monotonic()
            reading.took(sent, began)
            piece = min(2 * piece, _MOST_PIECE) if began - before < 0.1 else _LEAST_PIECE

    def _refuse(self, error: MandelError) -> None:
        try:
            self._send(self._reply.error(error))
            self._hang_up()
        except (_Gone, ValueError):  # or in the middle of a video
            self._drop()

    def _hang_up(self) -> None:
        """Says that this is all."""
        end_tls(self.socket)
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:  # the client has, too
            self._drop()

    def _drop(self) -> None:
        """Closes at once, forgetting what was not sent."""
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.closed = True
        self.socket.close()


@contextmanager
def _to_the_client() -> Iterator[None]:
    """Tells what the socket raises apart from the OSErrors of a disk."""
    try:
        yield
    except OSError as error:
        raise _Gone(error.strerror or error or type(error).__name__) from error


def level(error: MandelError) -> int:
    """Of a refusal in the log: a client's mistake concerns nobody here, a wrong token or a disk does."""
    ours = isinstance(error, StoreError) and error.code not in ("STOPPING", "EVICTED")
    return logging.WARNING if ours or error.code == "UNAUTHORIZED" else logging.INFO


def failed() -> MandelError:
    """The answer where this program is at fault."""
    return MandelError("INTERNAL", "the service failed on this request; its log says why")


def busy(most: int, what: str = "connections") -> TransferError:
    """The answer to a connection beyond a cap."""
    return TransferError(
        "BUSY",
        f"{most} {what} are served already; try again in a few seconds",
        limit={"connections": most, "retry_after": 5},
    )

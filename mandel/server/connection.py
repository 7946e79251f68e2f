"""One conversation: a request is received, carried out and answered."""

from __future__ import annotations

import json
import logging
import socket
import struct
import time
from functools import partial

from mandel import payload
from mandel.errors import MandelError, RenderError, RequestError, StoreError, TransferError
from mandel.protocol.operation import RECOLOUR, RENDER, Request, not_found
from mandel.protocol.reply import ReplyWriter
from mandel.protocol.request import CLOSED, NEED_MORE, Foreign, RequestReceiver
from mandel.server import strips
from mandel.server.jobs import Job
from mandel.store.store import CANCELLED, DONE

_log = logging.getLogger("mandel")

_PROGRESS_SECONDS = 1.0  # between progress parts; longer, up to the next, for those who wait for days
_LONGEST_PROGRESS_SECONDS = 10.0
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 1 << 20
# A job that would take more than the disk has, even if its pictures are plain, is refused.
_LEAST_BYTES_PER_PIXEL = 0.02


class Connection:
    """Serves one client on its own thread; a slow client holds up nobody else.

    Args:
        sock: the connected socket; ``serve`` closes it.
        peer: the client's address, for the log.
        service: the service that this connection belongs to.
    """

    def __init__(self, sock: socket.socket, peer: str, service):
        self._socket, self._peer, self._service = sock, peer, service
        self._reply = ReplyWriter()

    def serve(self) -> None:
        """The whole conversation. Never raises; says at most one line to the log."""
        try:
            self._converse()
            self._close()
        except MandelError as error:
            _log.log(_level(error), "%s: %s: %s", self._peer, error.code, error.message)
            self._refuse(error)
        except OSError as error:
            _log.info("%s: went away: %s", self._peer, error.strerror or error or type(error).__name__)
            self._drop()
        except Exception as error:  # a fault of ours; the service must go on
            _log.error("%s: INTERNAL: %r", self._peer, error)
            self._refuse(MandelError("INTERNAL", "the service failed on this request; its log says why"))

    def _converse(self) -> None:
        asked = self._receive()
        if isinstance(asked, Foreign):
            if words := asked.reply():
                self._send(words)
            _log.info("%s: speaks %s", self._peer, asked.protocol)
        elif isinstance(asked, Request):
            answer = {
                RENDER: self._render, RECOLOUR: self._recolour, "attach": self._attach,
                "status": self._status, "list": self._list,
            }
            self._service.admit(asked.token)
            answer.get(asked.op, self._change)(asked)

    def _receive(self) -> Request | Foreign | None:
        """The request; None when the peer closed without a word. One deadline for all of it."""
        settings = self._service.settings
        receiver = RequestReceiver(settings.limits.max_request_bytes)
        deadline = time.monotonic() + settings.request_timeout
        while True:
            left = deadline - time.monotonic()
            try:
                if left <= 0:
                    raise TimeoutError
                self._socket.settimeout(left)
                answer = receiver.feed(self._socket.recv(1 << 16))
            except TimeoutError:
                raise RequestError(
                    "TIMEOUT", f"no whole request within {settings.request_timeout:g} seconds",
                    limit=settings.request_timeout,
                ) from None
            if answer is not NEED_MORE:
                return None if answer is CLOSED else answer

    # -- operations -------------------------------------------------------

    def _render(self, request: Request) -> None:
        self._ask(request, payload.parse(request.fields, self._service.settings.limits))

    def _recolour(self, request: Request) -> None:
        register, changes = self._service.register, dict(request.fields)
        job = self._found(register.find(changes.pop("job")))
        source = register.find(job.source or job.id) or job
        asked = strips.recoloured(job, source, changes, self._service.settings.limits)
        register.store.touch(source.id)
        self._ask(request, asked, source.id)

    def _ask(self, request: Request, asked: payload.Payload, source: str | None = None) -> None:
        canonical = asked.canonical()
        text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))
        room = int(asked.num_frames * asked.frame_width * asked.frame_height * _LEAST_BYTES_PER_PIXEL)
        self._stream(self._service.register.ask(
            asked.job_id(), canonical, text, asked.num_frames, room, request.priority, self._client(request),
            source))

    def _client(self, request: Request) -> str:
        """On whose account a job is rendered: NAME@ADDRESS, or the address alone. The name is believed."""
        address = self._peer.rpartition(":")[0]
        return f"{request.client}@{address}" if request.client else address

    def _attach(self, request: Request) -> None:
        self._stream(self._found(self._service.register.find(request.fields["job"])))

    def _change(self, request: Request) -> None:
        register = self._service.register
        change = {
            "cancel": register.cancel, "pause": register.pause, "resume": register.resume,
            "retry": register.retry, "pin": partial(register.pin, pinned=True),
            "unpin": partial(register.pin, pinned=False),
        }
        job = self._found(change[request.op](request.fields["job"]))
        self._send(self._reply.result(register.describe(job)))

    def _status(self, request: Request) -> None:
        if "job" in request.fields:
            job = self._found(self._service.register.find(request.fields["job"]))
            self._send(self._reply.result(self._service.register.describe(job)))
        else:
            self._send(self._reply.result(self._service.status()))

    def _list(self, request: Request) -> None:
        self._send(self._reply.result({"jobs": self._service.register.list()}))

    @staticmethod
    def _found(job: Job | None) -> Job:
        if job is None:
            raise not_found()
        return job

    def _stream(self, job: Job) -> None:
        """Progress while the job is live, then its video or its error; the job does not need us."""
        register = self._service.register
        began = time.monotonic()
        while True:
            self._send(self._reply.progress(self._service.progress(job)))
            if job.live:
                if register.closing:
                    raise StoreError(
                        "STOPPING",
                        f"the service is stopping; job {job.id} is kept and goes on after the next start: "
                        "attach to it then",
                    )
                waited_hours = (time.monotonic() - began) / 3600
                register.wait(job, min(_PROGRESS_SECONDS + waited_hours, _LONGEST_PROGRESS_SECONDS))
            elif job.state != DONE:
                break
            elif (stored := register.open(job.id)) is not None:
                with stored.file:
                    self._send(self._reply.video_head(stored.bytes, stored.sha256, f"{job.id[:16]}.mp4"))
                    if self._socket.sendfile(stored.file, 0, stored.bytes) != stored.bytes:
                        raise ConnectionAbortedError(f"the video of {job.id[:12]} shrank while it was sent")
                self._send(self._reply.end())
                return
            else:
                job = self._found(register.find(job.id))
        if job.state == CANCELLED:
            raise RenderError("CANCELLED", "the job was cancelled; retry it, or send its payload again, to go on with it")
        raise job.error or RenderError("INTERNAL", "the job failed")

    # -- the socket -------------------------------------------------------

    def _send(self, data: bytes) -> None:
        """Sends all; TimeoutError when not a byte is taken within the stall limit."""
        self._socket.settimeout(self._service.settings.stall_timeout)
        view = memoryview(data)
        while view:
            view = view[self._socket.send(view):]

    def _refuse(self, error: MandelError) -> None:
        try:
            self._send(self._reply.error(error))
            self._close()
        except (OSError, ValueError):  # gone, or in the middle of a video
            self._drop()

    def _close(self) -> None:
        """Says that this is all, and takes what the peer still sends: a reset could eat the reply."""
        deadline = time.monotonic() + _LINGER_SECONDS
        taken = 0
        try:
            self._socket.shutdown(socket.SHUT_WR)
            while taken < _LINGER_BYTES and (left := deadline - time.monotonic()) > 0:
                self._socket.settimeout(left)
                data = self._socket.recv(1 << 16)
                if not data:
                    break
                taken += len(data)
        except OSError:
            pass
        self._socket.close()

    def _drop(self) -> None:
        """Closes at once, forgetting what was not sent."""
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self._socket.close()


def _level(error: MandelError) -> int:
    """Of a refusal in the log: a client's mistake concerns nobody here, a wrong token or a disk does."""
    ours = isinstance(error, StoreError) and error.code not in ("STOPPING", "EVICTED")
    return logging.WARNING if ours or error.code == "UNAUTHORIZED" else logging.INFO


def busy(most: int) -> TransferError:
    """The answer to a connection beyond the cap."""
    return TransferError(
        "BUSY", f"{most} connections are served already; try again in a few seconds",
        limit={"connections": most, "retry_after": 5},
    )

"""One request and its reply over a socket, as the client sees it.

OSErrors become TransferErrors here and nowhere else.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mandel.errors import MandelError, TransferError
from mandel.protocol.reply_reader import ReplyEnd, ReplyEvent, ReplyReader
from mandel.protocol.request import NEED_MORE

if TYPE_CHECKING:
    import ssl

CHUNK = 256 * 1024

# The service speaks every second or so while a job lives; the longest pause is
# its check of a stored video before sending it.
SILENCE_SECONDS = 300.0
# A signal that comes just before a wait begins is noticed only after it: waits are cut into these.
_WAIT_SECONDS = 0.5


@contextmanager
def _os_errors(code: str, doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TransferError(code, f"{doing}: {error.strerror or error}") from None


def replies(receive: Callable[[int], bytes], reader: ReplyReader | None = None) -> Iterator[ReplyEvent]:
    """The reply's events up to and including ReplyEnd.

    Args:
        receive: gives at most so many bytes, ``b""`` at the end of the stream.

    Raises:
        TransferError: CONNECTION_LOST, or what ReplyReader raises.
    """
    reader = reader or ReplyReader()
    while True:
        event = reader.next_event()
        if event is not NEED_MORE:
            yield event
            if isinstance(event, ReplyEnd):
                return
            continue
        with _os_errors("CONNECTION_LOST", "the connection was lost"):
            data = receive(CHUNK)
        reader.feed(data)


def trust(certificates: str) -> ssl.SSLContext:
    """TLS with a service whose certificate is, or is signed by, one of those in a PEM file.

    Raises:
        MandelError: BAD_SETTING.
    """
    import ssl  # half of the client's start, for a few who need it

    try:
        return ssl.create_default_context(cafile=certificates)
    except OSError as error:
        why = "there is no PEM certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise MandelError("BAD_SETTING", f"--tls-ca {certificates}: {why}", field="tls_ca") from None


def converse(
    host: str, port: int, request: bytes, patience: float, tls: ssl.SSLContext | None = None
) -> Iterator[ReplyEvent]:
    """Sends ``request``, yields the events of the reply.

    Args:
        patience: seconds in which the connection must be made.
        tls: whom to trust; without it nothing is encrypted.

    Raises:
        TransferError: UNREACHABLE, NO_TLS, CONNECTION_LOST, or what ReplyReader raises.
    """
    with _os_errors("UNREACHABLE", f"no service at {host}:{port}"):
        connection = socket.create_connection((host, port), timeout=patience)
    if tls is not None:
        connection = _encrypted(connection, host, tls)
    with connection:
        connection.settimeout(SILENCE_SECONDS)
        try:
            connection.sendall(request)
        except OSError:
            # A refusal may have been sent before all of the request was taken: read it.
            pass
        connection.settimeout(_WAIT_SECONDS)
        yield from replies(lambda size: _receive(connection, size))


def _encrypted(connection: socket.socket, host: str, tls: ssl.SSLContext) -> ssl.SSLSocket:
    try:
        return tls.wrap_socket(connection, server_hostname=host)
    except OSError as error:
        connection.close()
        why = getattr(error, "verify_message", None)
        raise TransferError(
            "NO_TLS",
            f"the service's certificate is not to be trusted: {why}; --tls-ca names what is"
            if why
            else "what listens there does not speak TLS; leave --tls-ca out, or start the service with --tls-cert",
        ) from None


def _receive(connection: socket.socket, size: int) -> bytes:
    """At most ``size`` bytes as soon as there are any; TimeoutError after ``SILENCE_SECONDS``."""
    silent = time.monotonic() + SILENCE_SECONDS
    while True:
        try:
            return connection.recv(size)
        except TimeoutError:
            if time.monotonic() >= silent:
                raise

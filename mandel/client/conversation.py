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

# The service sends progress about every second. Its longest pause is the check of a
# stored video before it sends the video.
SILENCE_SECONDS = 300.0
# Waits are cut into pieces of this length, because a signal just before a wait is noticed only after it.
_WAIT_SECONDS = 0.5


@contextmanager
def _os_errors(code: str, doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TransferError(code, f"{doing}: {error.strerror or error}") from None


def replies(receive: Callable[[int], bytes], reader: ReplyReader | None = None) -> Iterator[ReplyEvent]:
    """Yields the reply's events, up to and including ReplyEnd.

    Args:
        receive: function of a size: returns at most that many bytes, ``b""`` at the end of the stream.

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
    """A TLS context that trusts the certificates in a PEM file, and certificates that they signed.

    Raises:
        MandelError: BAD_SETTING.
    """
    import ssl  # takes half of the client's start, and few clients need it

    try:
        return ssl.create_default_context(cafile=certificates)
    except OSError as error:
        why = "there is no PEM certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise MandelError("BAD_SETTING", f"--tls-ca {certificates}: {why}", field="tls_ca") from None


def converse(
    host: str, port: int, request: bytes, patience: float, tls: ssl.SSLContext | None = None
) -> Iterator[ReplyEvent]:
    """Sends ``request`` and yields the events of the reply.

    Args:
        patience: seconds within which the connection must be made.
        tls: the context for TLS; None: no encryption.

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
            # The service may have refused before it read the whole request: go on and read its reply.
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
    """Waits for bytes and returns at most ``size``. Raises TimeoutError after ``SILENCE_SECONDS``."""
    silent = time.monotonic() + SILENCE_SECONDS
    while True:
        try:
            return connection.recv(size)
        except TimeoutError:
            if time.monotonic() >= silent:
                raise

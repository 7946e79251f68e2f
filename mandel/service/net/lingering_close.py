"""Keeps sockets open for a while after the last byte was sent: a reset could destroy the reply."""

from __future__ import annotations

import math
import selectors
import socket
import ssl
import time
from functools import partial

_NOTIFY_SECONDS = 0.5  # for a client of TLS to confirm the end
_SECONDS = 2.0  # time to read the reply before the socket is closed
_BYTES = 1 << 20  # that the client may still send
_MOST = 256


def end_tls(sock: socket.socket, seconds: float = _NOTIFY_SECONDS) -> None:
    """Says the end of a conversation in TLS, without which it looks cut off; nothing where there is no TLS."""
    if isinstance(sock, ssl.SSLSocket):
        try:
            sock.settimeout(seconds)
            sock.unwrap()
        except (OSError, ValueError):  # it was said, and is not confirmed in time; or the client has gone
            pass


class LingeringClose:
    """Closes connections gently: reads and drops what a client still sends, until it closes its side too.

    A socket that is closed with unread bytes is reset, and a reset could destroy the reply on its way. Only the
    thread that runs ``selector`` uses this object.

    Args:
        most: connections that are held like this at a time; beyond, the oldest ones are closed at once.
    """

    def __init__(self, selector: selectors.BaseSelector, most: int = _MOST):
        self._selector, self._most = selector, min(most, _MOST)
        # When each ends, the first one first, and the bytes taken from it.
        self._sockets: dict[socket.socket, tuple[float, int]] = {}

    def __len__(self) -> int:
        return len(self._sockets)

    @property
    def deadline(self) -> float:
        """When ``expire`` has something to do; monotonic time in s, infinite if never."""
        return next(iter(self._sockets.values()), (math.inf,))[0]

    def add(self, sock: socket.socket) -> None:
        """Says that this is all, and closes the socket in time."""
        try:
            sock.setblocking(False)
            sock.shutdown(socket.SHUT_WR)
        except OSError:  # the client has gone
            sock.close()
            return
        self._sockets[sock] = time.monotonic() + _SECONDS, 0
        self._selector.register(sock, selectors.EVENT_READ, partial(self._take, sock))

    def expire(self, now: float) -> None:
        """Closes those whose time is over, or that are too many."""
        while self._sockets and (len(self) > self._most or self.deadline <= now):
            self._close(next(iter(self._sockets)))

    def close(self) -> None:
        """Closes all."""
        while self._sockets:
            self._close(next(iter(self._sockets)))

    def _take(self, sock: socket.socket) -> None:
        if sock not in self._sockets:  # closed by what came just before
            return
        until, taken = self._sockets[sock]
        try:
            data = sock.recv(1 << 14)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._sockets[sock] = until, taken + len(data)
        if not data or taken + len(data) > _BYTES:
            self._close(sock)

    def _close(self, sock: socket.socket) -> None:
        del self._sockets[sock]
        self._selector.unregister(sock)
        sock.close()

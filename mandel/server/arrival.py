"""A client whose request is on its way: bytes as they come, nothing waits."""

from __future__ import annotations

import ipaddress
import selectors
import socket
import ssl
from collections.abc import Callable

from mandel.protocol.operation import Request, anybody
from mandel.protocol.request import NEED_MORE, Event, Foreign, RequestReceiver

_PIECE = 1 << 14  # of one client, before the next one's turn


def owner(address: str) -> str:
    """Who is behind an address: all that cost their owner nothing are one.

    Of IPv6 that are the 2^64 addresses of a network, of loopback all 127.0.0.0/8.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if found.version == 6 and not found.is_loopback:
        return str(ipaddress.IPv6Network((found, 64), strict=False))
    return "127.0.0.1" if found.version == 4 and found.is_loopback else address


class Arrival:
    """Receives one request from a socket that does not block, the TLS handshake before it.

    Args:
        sock: connected; belongs to this object, as ``socket``.
        address, port: the client's.
        most_bytes: the most that the request may have.
        tls: what the port speaks, if it speaks TLS.
        admit: as RequestReceiver takes it.

    Attributes:
        address, peer: whom the connection counts for, see ``owner``; address and port for the log.
        wants: what to wait for before the next ``advance``: EVENT_READ or EVENT_WRITE.
        talking: whether the client can be answered in words: not before TLS is agreed upon.

    Raises:
        OSError: the client has gone.
    """

    def __init__(self, sock: socket.socket, address: str, port: int, most_bytes: int,
                 tls: ssl.SSLContext | None, admit: Callable[[str | None], None] = anybody):
        sock.setblocking(False)
        self.socket, self.address, self.peer = sock, owner(address), f"{address}:{port}"
        if tls is not None:
            self.socket = tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self.talking = tls is None
        self.wants = selectors.EVENT_READ
        self._receiver = RequestReceiver(most_bytes, admit)

    def advance(self) -> Request | Foreign | Event:
        """Takes what has come; NEED_MORE until the request is whole.

        Raises:
            RequestError: it is none.
            OSError: the client has gone, or does not agree upon TLS.
        """
        self.wants = selectors.EVENT_READ
        try:
            if not self.talking:
                self.socket.do_handshake()
                self.talking = True
            answer = self._receiver.feed(self.socket.recv(_PIECE))
            while answer is NEED_MORE and self._decrypted():
                answer = self._receiver.feed(self.socket.recv(_PIECE))
            return answer
        except (BlockingIOError, ssl.SSLWantReadError):
            return NEED_MORE
        except ssl.SSLWantWriteError:
            self.wants = selectors.EVENT_WRITE
            return NEED_MORE

    def _decrypted(self) -> bool:
        """Whether there are bytes that the selector does not see, as TLS has taken them from the socket."""
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0

"""A request that is still on its way. It takes bytes as they come and never waits."""

from __future__ import annotations

import ipaddress
import os
import selectors
import socket
import ssl
import struct
from collections.abc import Callable

from mandel.protocol.operation import Request, anybody
from mandel.protocol.request import NEED_MORE, Event, Foreign, RequestReceiver

_PIECE = 1 << 14  # of one client, before the next one's turn
# Of Linux's sock_diag(7): protocol, type and flag of the message that asks for one socket, where the answer has a uid.
_SOCK_DIAG, _BY_FAMILY, _REQUEST, _UID = 4, 20, 1, 80


def owner(address: str) -> str:
    """Who is behind an address: all that cost their owner nothing are one.

    Of IPv6 that are the 2^64 addresses of a network, of loopback all 127.0.0.0/8.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if found.version == 6 and not found.is_loopback:
        return str(ipaddress.IPv6Network((found, 64), strict=False))
    return "127.0.0.1" if found.version == 4 and found.is_loopback else address


def user(sock: socket.socket, there: str, theirs: int) -> str:
    """Which user of this machine is at the other end, to be added to the address; empty for our own.

    Users of one machine share its addresses. Who has closed his end already is not known any more, and whoever
    does so counts as one: ``,uid=?``. Where the kernel does not tell, all are ours.

    Args:
        there, theirs: the other end's address and port, as accept() gave them: the socket does not know them
            any more when the client has gone.
    """
    here, port = sock.getsockname()[:2]
    if here != there and not ipaddress.ip_address(there.partition("%")[0]).is_loopback:
        return ""
    ends = (socket.inet_pton(sock.family, end.partition("%")[0]).ljust(16, b"\0") for end in (there, here))
    asked = (
        struct.pack("=BBxxI", sock.family, socket.IPPROTO_TCP, 0xFFFFFFFF)
        + struct.pack("!HH16s16s", theirs, port, *ends)
        + struct.pack("=IQ", 0, 0xFFFFFFFFFFFFFFFF)
    )  # any interface, any cookie
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as kernel:
            kernel.send(struct.pack("=IHHII", 16 + len(asked), _BY_FAMILY, _REQUEST, 0, 0) + asked)
            told = kernel.recv(1 << 12, socket.MSG_DONTWAIT)
    except (AttributeError, OSError):  # another system, or forbidden
        return ""
    uid, inode = struct.unpack_from("=II", told, _UID) if len(told) >= _UID + 8 else (0, 0)
    if not inode:
        return ",uid=?"
    return "" if uid == os.geteuid() else f",uid={uid}"


class IncomingRequest:
    """Receives one request from a socket that does not block, the TLS handshake before it.

    Args:
        sock: connected; belongs to this object, as ``socket``.
        address, port: the client's.
        most_bytes: the most that the request may have.
        tls: what the port speaks, if it speaks TLS.
        admit: as RequestReceiver takes it.

    Attributes:
        address, peer: whom the connection counts for, see ``owner`` and ``user``; address and port for the log.
        wants: what to wait for before the next ``advance``: EVENT_READ or EVENT_WRITE.
        talking: whether the client can be answered in words: not before TLS is agreed upon.

    Raises:
        OSError: the client has gone.
    """

    def __init__(
        self,
        sock: socket.socket,
        address: str,
        port: int,
        most_bytes: int,
        tls: ssl.SSLContext | None,
        admit: Callable[[str | None], None] = anybody,
    ):
        sock.setblocking(False)
        self.socket, self.address, self.peer = (
            sock,
            owner(address) + user(sock, address, port),
            f"{address}:{port}",
        )
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
            if isinstance(self.socket, ssl.SSLSocket) and not self.talking:
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

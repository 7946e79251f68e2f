"""The listener: accepts connections, one thread each, up to a cap."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from mandel.errors import MandelError
from mandel.protocol.reply import ReplyWriter
from mandel.server.connection import busy

_log = logging.getLogger("mandel")

_BACKLOG = 1024  # with 5, as is usual, hundreds of clients at once wait seconds to connect
_STACK_BYTES = 512 << 10
_SEND_BUFFER = 256 << 10  # a slow reader costs this much kernel memory
_TURNED_AWAY_SECONDS = 2.0  # time to read BUSY before the socket is closed
_TURNED_AWAY_MOST = 256


class Listener:
    """Listens at once; serves after ``start``.

    Args:
        host, port: where to listen; port 0 takes a free one.
        most: connections served at once; more are answered BUSY.
        serve: called with socket and peer on the connection's own thread; closes the socket.
        encrypted: whether the port speaks TLS; whom there is no room for is then turned away without a word.

    Raises:
        MandelError: PORT_TAKEN, CANNOT_LISTEN.
    """

    def __init__(self, host: str, port: int, most: int, serve: Callable[[socket.socket, str], None],
                 encrypted: bool = False):
        self._most, self._serve, self._encrypted = most, serve, encrypted
        if not 0 <= port <= 65_535:  # getaddrinfo would take it modulo 65,536
            raise MandelError("CANNOT_LISTEN", f"there is no port {port}; --port takes 0 to 65535", field="port")
        try:
            family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self._socket = socket.create_server(where[:2], family=family, backlog=_BACKLOG)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise MandelError(
                    "PORT_TAKEN",
                    f"port {port} on {host} is taken, perhaps by another ray_head.py; "
                    "stop that one or choose another with --port",
                    field="port",
                ) from error
            raise MandelError(
                "CANNOT_LISTEN",
                f"cannot listen on {host}:{port}: {error.strerror or error}; check --host and --port",
                field="host",
            ) from error
        self._socket.setblocking(False)
        self.host, self.port = self._socket.getsockname()[:2]
        self._wake_read, self._wake_write = os.pipe()
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._turned_away: deque[tuple[float, socket.socket]] = deque()
        self._thread = threading.Thread(target=self._accept_all, name="listener")

    def start(self) -> None:
        """Begins to accept, on a thread."""
        threading.stack_size(_STACK_BYTES)
        self._thread.start()

    @property
    def is_private(self) -> bool:
        """Whether only this machine can connect."""
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def connections(self) -> int:
        """How many are being served."""
        return len(self._open)

    def stop_accepting(self) -> None:
        """Closes the port; connections go on."""
        os.write(self._wake_write, b"x")
        self._thread.join()

    def close(self, patience: float) -> None:
        """Waits for the connections to end, ``patience`` seconds at most, then cuts them."""
        deadline = time.monotonic() + patience
        with self._lock:
            left = dict(self._open)
        for thread in left:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            left = dict(self._open)
        for sock in left.values():
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in left:
            thread.join(1.0)

    def _accept_all(self) -> None:
        with selectors.DefaultSelector() as selector, self._socket:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while True:
                ready = selector.select(1.0 if self._turned_away else None)
                self._forget_turned_away(_TURNED_AWAY_MOST)
                if any(key.fd == self._wake_read for key, _ in ready):
                    break
                if ready:
                    self._accept()
        self._forget_turned_away(0)
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _accept(self) -> None:
        try:
            sock, address = self._socket.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:  # out of descriptors: let connections end before looking again
            _log.error("cannot accept: %s", error.strerror)
            time.sleep(0.1)
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        if self.connections >= self._most:
            self._turn_away(sock)
            return
        peer = f"{address[0]}:{address[1]}"
        thread = threading.Thread(target=self._run, args=(sock, peer), name=peer, daemon=True)
        with self._lock:
            self._open[thread] = sock
        try:
            thread.start()
        except RuntimeError:  # no more threads
            with self._lock:
                del self._open[thread]
            self._turn_away(sock)

    def _run(self, sock: socket.socket, peer: str) -> None:
        try:
            self._serve(sock, peer)
        finally:
            with self._lock:
                del self._open[threading.current_thread()]

    def _turn_away(self, sock: socket.socket) -> None:
        """Answers BUSY without a thread; closed later, as a reset could eat the answer."""
        try:
            sock.setblocking(False)
            if not self._encrypted:
                sock.send(ReplyWriter().error(busy(self._most)))
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            sock.close()
            return
        self._turned_away.append((time.monotonic() + _TURNED_AWAY_SECONDS, sock))

    def _forget_turned_away(self, most: int) -> None:
        now = time.monotonic()
        while self._turned_away and (len(self._turned_away) > most or self._turned_away[0][0] < now):
            self._turned_away.popleft()[1].close()

"""The listener: one thread accepts clients and receives their requests; whole ones get a thread each."""

from __future__ import annotations

import errno
import ipaddress
import math
import selectors
import socket
import ssl
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial

from mandel.errors import MandelError, RequestError
from mandel.protocol.operation import Request
from mandel.protocol.reply import ReplyWriter
from mandel.protocol.request import CLOSED, NEED_MORE, Foreign
from mandel.server.arrival import Arrival
from mandel.server.connection import Connection, busy, failed
from mandel.server.lingering import Lingering
from mandel.server.log import clients
from mandel.server.reading import SEND_BUFFER
from mandel.server.threads import Threads
from mandel.settings import Settings

_BACKLOG = 1024  # with 5, as is usual, hundreds of clients at once wait seconds to connect
_ACCEPTED_AT_ONCE = 64  # before others have a turn
_STACK_BYTES = 512 << 10
_CUT_SECONDS = 1.0  # for threads to notice that their connections were cut


class Listener:
    """Listens at once; serves after ``start``.

    All that changes here is changed by the listener's own thread; others ask it to, by ``_soon``.

    Args:
        settings: where to listen, and how many clients, how long, and how large requests may be.
        tls: what the port speaks; None: no TLS. Whom there is no room for is then turned away without a word.
        begin: makes the Connection that answers a whole request, of socket, whom it counts for, peer and request.

    Raises:
        MandelError: PORT_TAKEN, CANNOT_LISTEN.
    """

    def __init__(self, settings: Settings, tls: ssl.SSLContext | None,
                 begin: Callable[[socket.socket, str, str, Request], Connection]):
        self._settings, self._tls, self._begin = settings, tls, begin
        self._most = settings.max_connections
        self._most_of_one = self._most - self._most // 4  # one address can never take all
        self._socket = _listen(settings.host, settings.port)
        self.host, self.port = self._socket.getsockname()[:2]
        self._wake, self._woken = socket.socketpair()
        for sock in (self._socket, self._wake, self._woken):
            sock.setblocking(False)
        self._calls: deque[Callable[[], None]] = deque()
        self._selector = selectors.DefaultSelector()
        self._arrivals: dict[Arrival, float] = {}  # and when they end, the first one first
        self._serving: set[Connection] = set()
        self._threads = Threads()
        self._lingering = Lingering(self._selector)
        self._held: Counter[str] = Counter()  # connections by address
        self._ending = self._ended = False
        self._port_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener")

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
        """How many there are."""
        return len(self._arrivals) + len(self._serving)

    def stop_accepting(self) -> None:
        """Closes the port; connections go on."""
        self._soon(self._close_port)
        self._port_closed.wait()

    def close(self, patience: float) -> None:
        """Waits for the replies under way to end, ``patience`` seconds at most, then cuts them."""
        for call, seconds in ((self._end, patience), (self._cut, _CUT_SECONDS), (self._end_now, None)):
            self._soon(call)
            self._thread.join(seconds)

    # -- the listener's thread --------------------------------------------

    def _soon(self, call: Callable[[], None]) -> None:
        self._calls.append(call)
        try:
            self._wake.send(b"x")
        except OSError:  # it is awake, or has ended
            pass

    def _run(self) -> None:
        for sock, act in ((self._socket, self._accept), (self._woken, self._carry_out)):
            self._selector.register(sock, selectors.EVENT_READ, act)
        while not self._ended and not (self._ending and not self._serving and not self._lingering):
            ready = self._selector.select(self._patience())
            for act in (*(key.data for key, _ in ready), self._expire):
                try:
                    act()
                except Exception as error:  # a fault of ours; the port must answer on
                    clients.error("listener: INTERNAL: %r", error)
                    time.sleep(0.1)
        self._lingering.close()
        for sock in (*(arrival.socket for arrival in self._arrivals), self._wake, self._woken):
            sock.close()
        self._selector.close()

    def _carry_out(self) -> None:
        self._woken.recv(1 << 12)
        while self._calls:
            self._calls.popleft()()

    def _close_port(self) -> None:
        self._selector.unregister(self._socket)
        self._socket.close()
        self._port_closed.set()

    def _end(self) -> None:
        self._ending = True  # as soon as nobody is served

    def _cut(self) -> None:
        for connection in self._serving:
            connection.cut()

    def _end_now(self) -> None:
        self._ended = True

    def _patience(self) -> float | None:
        """Seconds until a deadline; None when there is none."""
        first = min(next(iter(self._arrivals.values()), math.inf), self._lingering.deadline)
        return None if first == math.inf else max(0.0, first - time.monotonic())

    def _expire(self) -> None:
        now, limit = time.monotonic(), self._settings.request_timeout
        while self._arrivals and next(iter(self._arrivals.values())) <= now:
            self._refuse(next(iter(self._arrivals)), RequestError(
                "TIMEOUT", f"no whole request within {limit:g} seconds", limit=limit))
        self._lingering.expire(now)

    # -- a client comes ---------------------------------------------------

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                sock, (address, port, *_) = self._socket.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError as error:  # out of descriptors: let connections end before looking again
                clients.error("cannot accept: %s", error.strerror)
                time.sleep(0.1)
                return
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # or a slow reader takes more
                most = self._settings.limits.max_request_bytes
                arrival = Arrival(sock, address, port, most, self._tls)
                self._selector.register(arrival.socket, arrival.wants, partial(self._receive, arrival))
            except OSError:  # it has gone already
                sock.close()
                continue
            self._held[arrival.address] += 1
            self._arrivals[arrival] = time.monotonic() + self._settings.request_timeout
            if (full := self._full(arrival.address)) is not None:
                self._say(arrival, ReplyWriter().error(full))

    def _full(self, address: str) -> MandelError | None:
        """BUSY when there is no room for one more, not even by closing somebody who reads too slowly."""
        everybody = self._held[address] <= self._most_of_one
        if everybody and self.connections <= self._most:
            return None
        now = time.monotonic()
        slow = [one for one in self._serving
                if (everybody or one.address == address) and one.reading.is_slow(now)]
        if not slow:
            return busy(self._most) if everybody else busy(self._most_of_one, " of your address")
        slowest = min(slow, key=lambda one: one.reading.rate(now))
        clients.info("%s: closed: it read %.0f bytes a second while others waited",
                     slowest.peer, slowest.reading.rate(now))
        self._release(slowest)
        slowest.cut()
        return None

    def _receive(self, arrival: Arrival) -> None:
        if arrival not in self._arrivals:  # ended by what came just before
            return
        try:
            asked = arrival.advance()
        except MandelError as error:
            self._refuse(arrival, error)
        except OSError as error:
            what = "went away" if arrival.talking else "no TLS"
            clients.info("%s: %s: %s", arrival.peer, what, error.strerror or error)
            self._leave(arrival)
            arrival.socket.close()
        except Exception as error:  # a fault of ours; the service must go on
            clients.error("%s: INTERNAL: %r", arrival.peer, error)
            self._refuse(arrival, failed())
        else:
            if asked is NEED_MORE:
                key = self._selector.get_key(arrival.socket)
                if key.events != arrival.wants:
                    self._selector.modify(arrival.socket, arrival.wants, key.data)
            elif isinstance(asked, Request):
                self._serve(arrival, asked)
            elif isinstance(asked, Foreign):
                clients.info("%s: speaks %s", arrival.peer, asked.protocol)
                self._say(arrival, asked.reply())
            elif asked is CLOSED:
                self._say(arrival, b"")

    def _leave(self, arrival: Arrival) -> None:
        self._selector.unregister(arrival.socket)
        del self._arrivals[arrival]
        self._leave_address(arrival.address)

    def _leave_address(self, address: str) -> None:
        self._held[address] -= 1
        if not self._held[address]:
            del self._held[address]

    # -- and is answered --------------------------------------------------

    def _refuse(self, arrival: Arrival, error: MandelError) -> None:
        clients.info("%s: %s: %s", arrival.peer, error.code, error.message)
        self._say(arrival, ReplyWriter().error(error))

    def _say(self, arrival: Arrival, words: bytes) -> None:
        """All that the client is told, without a thread: it fits into the socket's buffer."""
        self._leave(arrival)
        try:
            if arrival.talking and words:
                arrival.socket.send(words)
        except OSError:
            arrival.socket.close()
        else:
            self._lingering.add(arrival.socket)

    def _serve(self, arrival: Arrival, asked: Request) -> None:
        self._leave(arrival)
        connection = self._begin(arrival.socket, arrival.address, arrival.peer, asked)
        self._held[arrival.address] += 1
        self._serving.add(connection)
        try:
            self._threads.run(partial(self._answer, connection))
        except RuntimeError as error:  # no more threads; the client hears nothing
            clients.error("%s: %s", arrival.peer, error)
            self._release(connection)
            arrival.socket.close()

    def _answer(self, connection: Connection) -> None:
        """On a thread of the connection's own."""
        try:
            connection.answer()
        finally:
            self._soon(partial(self._answered, connection))

    def _answered(self, connection: Connection) -> None:
        self._release(connection)
        if not connection.closed:
            self._lingering.add(connection.socket)

    def _release(self, connection: Connection) -> None:
        if connection in self._serving:
            self._serving.remove(connection)
            self._leave_address(connection.address)


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65_535:  # getaddrinfo would take it modulo 65,536
        raise MandelError("CANNOT_LISTEN", f"there is no port {port}; --port takes 0 to 65535", field="port")
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(where[:2], family=family, backlog=_BACKLOG)
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

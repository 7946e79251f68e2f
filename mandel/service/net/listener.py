"""The listener: one thread accepts clients and receives their requests. Each complete request gets a thread."""

from __future__ import annotations

import errno
import math
import selectors
import socket
import ssl
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial

from mandel.errors import MandelError, RequestError, TransferError
from mandel.protocol.operation import TABLE, Request, anybody
from mandel.protocol.reply import ReplyWriter
from mandel.protocol.request import CLOSED, NEED_MORE, Foreign
from mandel.service.net.access import is_loopback
from mandel.service.net.connection import Connection, busy, failed, level
from mandel.service.net.incoming_request import IncomingRequest
from mandel.service.net.lingering_close import LingeringClose, end_tls
from mandel.service.net.rate_limited_log import clients
from mandel.service.net.read_rate import SEND_BUFFER
from mandel.service.net.thread_cache import ThreadCache
from mandel.settings import Settings

_BACKLOG = 1024  # with 5, as is usual, hundreds of clients at once wait seconds to connect
_SILENT_SECONDS = 1.0  # a request comes at once, as a rule
_STUCK_SECONDS = 5.0  # so is an answer that is no stream taken
_ACCEPTED_AT_ONCE = 64  # before others have a turn
_STACK_BYTES = 512 << 10
_CUT_SECONDS = 1.0  # for threads to notice that their connections were cut


class Listener:
    """Listens at once; serves after ``start``.

    All that changes here is changed by the listener's own thread; others ask it to, by ``_soon``.

    Args:
        port: listens already, see ``listen``; belongs to this object.
        settings: how many clients, how long, and how large requests may be.
        tls: what the port speaks; None: no TLS. Whom there is no room for is then turned away without a word.
        begin: makes the Connection that answers a whole request, of socket, whom it counts for, peer and request.
        admit: raises what a peer is told whose token, or None, is not what is wanted.
    """

    def __init__(
        self,
        port: socket.socket,
        settings: Settings,
        tls: ssl.SSLContext | None,
        begin: Callable[[socket.socket, str, str, Request], Connection],
        admit: Callable[[str | None], None] = anybody,
    ):
        self._settings, self._tls, self._begin, self._admit = settings, tls, begin, admit
        self._most = settings.max_connections
        self._most_of_one = self._most - self._most // 4  # one address can never take all
        # An eighth is kept for requests that stream nothing: cancel, status, list always get in.
        kept = -(-self._most // 8) if self._most > 1 else 0
        self._most_streams, self._most_streams_of_one = self._most - kept, max(1, self._most_of_one - kept)
        self._socket = port
        self.web: str | None = None  # where the page is, for whoever speaks HTTP here
        self.host, self.port = self._socket.getsockname()[:2]
        self._wake, self._woken = socket.socketpair()
        for sock in (self._socket, self._wake, self._woken):
            sock.setblocking(False)
        self._calls: deque[Callable[[], None]] = deque()
        self._selector = selectors.DefaultSelector()
        self._arrivals: dict[IncomingRequest, float] = {}  # and when they end, the first one first
        self._serving: set[Connection] = set()
        self._threads = ThreadCache()
        self._lingering = LingeringClose(self._selector, self._most)
        self._held: Counter[str] = Counter()  # connections by address
        self._streams: Counter[str] = Counter()  # those that stream
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
        return is_loopback(self.host)

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
            self._refuse(
                next(iter(self._arrivals)),
                RequestError("TIMEOUT", f"no whole request within {limit:g} seconds", limit=limit),
            )
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
                sock.setsockopt(
                    socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER
                )  # or a slow reader takes more
                most = self._settings.limits.max_request_bytes
                arrival = IncomingRequest(sock, address, port, most, self._tls, self._admit)
                self._selector.register(arrival.socket, arrival.wants, partial(self._receive, arrival))
            except OSError:  # it has gone already
                sock.close()
                continue
            self._held[arrival.address] += 1
            self._arrivals[arrival] = time.monotonic() + self._settings.request_timeout
            if (full := self._full(arrival.address)) is not None:
                self._say(arrival, ReplyWriter().error(full))

    def _full(self, address: str) -> MandelError | None:
        """BUSY when there is no room for one more, not even by closing somebody whom it costs little."""
        everybody = self._held[address] <= self._most_of_one
        if everybody and self.connections <= self._most:
            return None
        whose = None if everybody else address
        if (
            self._close_silent(whose, _SILENT_SECONDS)
            or self._close_slow(whose)
            or self._close_stuck(whose)
            or self._close_silent(whose, 0.0)
        ):
            return None
        return busy(self._most) if everybody else busy(self._most_of_one, "connections of your address")

    def _full_of_streams(self, address: str) -> MandelError | None:
        """BUSY when there is no room for one more that streams."""
        everybody = self._streams[address] < self._most_streams_of_one
        if (everybody and self._streams.total() < self._most_streams) or self._close_slow(
            None if everybody else address
        ):
            return None
        return (
            busy(self._most_streams, "connections that follow jobs")
            if everybody
            else busy(self._most_streams_of_one, "connections of your address that follow jobs")
        )

    def _close_silent(self, address: str | None, seconds: float) -> bool:
        """Closes who has said no whole request for longest, and at least so long; of one address, or of all."""
        now, limit = time.monotonic(), self._settings.request_timeout
        for arrival, deadline in list(self._arrivals.items())[:-1]:  # the last one has just come
            if deadline - limit + seconds > now:
                break
            if address in (None, arrival.address) and arrival in self._arrivals:
                self._receive(arrival)  # if it has spoken, it is served
                if arrival in self._arrivals:
                    self._refuse(
                        arrival,
                        TransferError(
                            "BUSY",
                            "others wanted this place, and no whole request had come; try again",
                            limit={"connections": self._most, "retry_after": 1},
                        ),
                    )
                    return True
        return False

    def _close_slow(self, address: str | None) -> bool:
        """Closes who reads his video most slowly, if too slowly for others to wait for."""
        now = time.monotonic()
        slow = [one for one in self._serving if address in (None, one.address) and one.reading.is_slow(now)]
        if not slow:
            return False
        slowest = min(slow, key=lambda one: one.reading.rate(now))
        self._close(slowest, f"it read {slowest.reading.rate(now):.0f} bytes a second while others waited")
        return True

    def _close_stuck(self, address: str | None) -> bool:
        """Closes who has not taken the answer to a request that streams nothing for longest."""
        since = time.monotonic() - _STUCK_SECONDS
        stuck = [
            one
            for one in self._serving
            if address in (None, one.address) and not one.streams and one.since < since
        ]
        if stuck:
            self._close(min(stuck, key=lambda one: one.since), "it took no answer while others waited")
        return bool(stuck)

    def _close(self, connection: Connection, why: str) -> None:
        clients.info("%s: closed: %s", connection.peer, why)
        self._release(connection)
        connection.cut()

    def _receive(self, arrival: IncomingRequest) -> None:
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
                self._say(arrival, asked.reply(self.web))
            elif asked is CLOSED:
                self._say(arrival, b"")

    def _leave(self, arrival: IncomingRequest) -> None:
        self._selector.unregister(arrival.socket)
        del self._arrivals[arrival]
        self._leave_address(arrival.address)

    def _leave_address(self, address: str) -> None:
        self._held[address] -= 1
        if not self._held[address]:
            del self._held[address]
            self._streams.pop(address, None)

    # -- and is answered --------------------------------------------------

    def _refuse(self, arrival: IncomingRequest, error: MandelError) -> None:
        clients.log(level(error), "%s: %s: %s", arrival.peer, error.code, error.message)
        self._say(arrival, ReplyWriter().error(error))

    def _say(self, arrival: IncomingRequest, words: bytes) -> None:
        """All that the client is told, without a thread: it fits into the socket's buffer."""
        self._leave(arrival)
        try:
            if arrival.talking and words:
                arrival.socket.send(words)
        except OSError:
            arrival.socket.close()
        else:
            if arrival.talking:
                end_tls(arrival.socket, 0.0)
            self._lingering.add(arrival.socket)

    def _serve(self, arrival: IncomingRequest, asked: Request) -> None:
        if TABLE[asked.op].streams and (full := self._full_of_streams(arrival.address)) is not None:
            self._refuse(arrival, full)
            return
        self._leave(arrival)
        connection = self._begin(arrival.socket, arrival.address, arrival.peer, asked)
        self._held[arrival.address] += 1
        self._serving.add(connection)
        self._streams[connection.address] += connection.streams
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
            self._streams[connection.address] -= connection.streams
            self._leave_address(connection.address)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at an address or name.

    Raises:
        MandelError: PORT_TAKEN, CANNOT_LISTEN.
    """
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

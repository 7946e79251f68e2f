"""The listener alone: requests in any pieces, with TLS too, and who makes way for whom."""

import json
import socket
import ssl
import threading

import pytest

from mandel.server.arrival import owner
from mandel.server.connection import Connection
from mandel.server.listener import Listener
from mandel.server.reading import Reading
from mandel.settings import Settings
from tests.server.heads import Reply
from tests.support.processes import wait_for
from tests.support.service import ROOT

CERTIFICATE = ROOT / "tests" / "reference" / "localhost.pem"


class Slow(Reading):
    def rate(self, now):
        return 7.0


class Held(Connection):
    """Answers when it is allowed to, with the operation's name; the client ``slow`` reads slowly."""

    allowed = threading.Event()

    def __init__(self, sock, address, peer, asked):
        super().__init__(sock, address, peer, asked, None)
        if asked.client == "slow":
            self.reading = Slow()

    def answer(self):
        self.allowed.wait()
        try:
            self.socket.settimeout(20)
            self.socket.sendall(self._reply.result({"op": self._asked.op}))
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop()


@pytest.fixture
def listen():
    """Starts a listener; closes it at the end."""
    started = []

    def start(tls=None, **settings) -> Listener:
        Held.allowed.clear()
        started.append(Listener(Settings(port=0, **settings), tls, Held))
        started[-1].start()
        return started[-1]

    yield start
    Held.allowed.set()
    for listener in started:
        listener.stop_accepting()
        listener.close(10)
    assert not any(thread.name == "listener" for thread in threading.enumerate())


def test_who_is_behind_an_address():
    assert [owner(address) for address in ("127.0.0.1", "::1")] == ["127.0.0.1", "::1"]
    assert owner("2001:db8::1") == owner("2001:db8::ffff:0:0:2") == "2001:db8::/64" != owner("2001:db8:0:1::1")
    assert owner("fe80::1%eth0") == "fe80::/64"


def connect(listener: Listener, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", listener.port), 20, source_address=(source, 0))


def ask(listener: Listener, source: str = "127.0.0.1", **fields) -> socket.socket:
    sock = connect(listener, source)
    sock.sendall(json.dumps(fields).encode())
    return sock


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def test_a_request_has_no_thread_until_it_is_whole(listen):
    listener = listen()
    usual = threading.active_count()
    whole = json.dumps({"op": "list"}).encode()
    half = [connect(listener) for _ in range(50)]
    for at in range(len(whole) - 1):
        for sock in half:
            sock.sendall(whole[at : at + 1])
    wait_for(lambda: listener.connections == 50, 20, "all are there")
    assert threading.active_count() == usual
    Held.allowed.set()
    for sock in half:
        with sock:
            sock.sendall(whole[-1:])
            assert Reply(sock).read().last == {"op": "list"}
    wait_for(lambda: listener.connections == 0, 20, "all have gone")


def test_tls_in_any_pieces(listen):
    listener = listen(server_tls())
    Held.allowed.set()
    usual = threading.active_count()
    silent = [connect(listener) for _ in range(20)]
    for sock in silent:
        sock.sendall(b"\x16\x03\x01\x02")
    with connect(listener) as nonsense:
        nonsense.sendall(b"GET / HTTP/1.1\r\n\r\n")
        try:
            assert b"HTTP" not in nonsense.recv(1_000)
        except ConnectionError:
            pass
    trust = ssl.create_default_context(cafile=CERTIFICATE)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trust.wrap_bio(incoming, outgoing, server_hostname="localhost")

    def pump(sock, action):
        while True:
            try:
                found = action()
            except ssl.SSLWantReadError:
                found = None
            for byte in outgoing.read():  # the slowest that there can be
                sock.sendall(bytes([byte]))
            if found is not None:
                return found
            incoming.write(sock.recv(1 << 14))

    with connect(listener) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pump(sock, lambda: tls.do_handshake() or True)
        assert threading.active_count() == usual
        # Two records at once: the selector sees only the first, TLS holds both.
        pump(sock, lambda: tls.write(b'{"op": "status", "client') and tls.write(b'x": 1}'))
        assert b"UNKNOWN_FIELD" in pump(sock, lambda: tls.read(1 << 14))
    for sock in silent:
        sock.close()
    wait_for(lambda: listener.connections == 0, 20, "all have gone")


def test_silent_clients_end_at_the_deadline(listen):
    plain, encrypted = listen(request_timeout=0.3), listen(server_tls(), request_timeout=0.3)
    with connect(plain) as sock:
        assert Reply(sock).read().code == "TIMEOUT"
    with connect(encrypted) as sock:
        assert sock.recv(1_000) == b""
    wait_for(lambda: plain.connections == encrypted.connections == 0, 20, "all have gone")


def test_one_address_never_takes_all(listen):
    listener = listen(max_connections=8)
    held = [connect(listener, "127.0.0.2") for _ in range(6)]
    with connect(listener, "127.0.0.2") as sock:
        assert "6 connections of your address" in Reply(sock).read().last["message"]
    held += [connect(listener, "127.0.0.3") for _ in range(2)]
    with connect(listener) as sock:
        assert Reply(sock).read().last["limit"]["connections"] == 8
    for sock in held:
        sock.close()
    wait_for(lambda: listener.connections == 0, 20, "all have gone")
    Held.allowed.set()
    with ask(listener, "127.0.0.2", op="list") as sock:
        assert Reply(sock).read().last == {"op": "list"}


def test_slow_readers_make_way_when_others_wait(listen):
    listener = listen(max_connections=4)
    waiting = [ask(listener, "127.0.0.2"), ask(listener, "127.0.0.3")]
    slow = [ask(listener, source, client="slow") for source in ("127.0.0.2", "127.0.0.3")]
    wait_for(lambda: len(listener._serving) == 4, 20, "all are served")
    fresh = [ask(listener, op="list") for _ in range(2)]  # each in the place of a slow one
    wait_for(lambda: len(listener._serving) == 4, 20, "they are served")
    with connect(listener) as sock:
        assert Reply(sock).read().code == "BUSY"  # who waits for a job is not slow
    Held.allowed.set()
    for sock, op in zip(waiting + fresh, ("render", "render", "list", "list")):
        with sock:
            assert Reply(sock).read().last == {"op": op}
    for sock in slow:
        with sock:
            assert sock.recv(1_000) == b""


def test_a_reply_is_read_to_its_end_by_who_sends_on(listen):
    listener = listen()
    Held.allowed.set()
    with connect(listener) as sock:
        sock.sendall(json.dumps({"op": "list"}).encode() + b" " * 100_000)
        assert Reply(sock).read().last == {"op": "list"}

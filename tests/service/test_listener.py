"""The listener alone: requests in any pieces, with TLS too, and who makes way for whom."""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading

import pytest

from mandel.service.net import incoming_request
from mandel.service.net.connection import Connection
from mandel.service.net.listener import Listener
from mandel.service.net.listener import listen as listen_at
from mandel.service.net.read_rate import ReadRate
from mandel.settings import Settings
from tests.service.heads import Reply
from tests.support.processes import wait_for
from tests.support.service import ROOT

CERTIFICATE = ROOT / "tests" / "reference" / "localhost.pem"


class Slow(ReadRate):
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
            self._hang_up()
        except OSError:
            self._drop()


@pytest.fixture
def listen():
    """Starts a listener; closes it at the end."""
    started = []

    def start(tls=None, **settings) -> Listener:
        Held.allowed.clear()
        started.append(Listener(listen_at("127.0.0.1", 0), Settings(**settings), tls, Held))
        started[-1].start()
        return started[-1]

    yield start
    Held.allowed.set()
    for listener in started:
        listener.stop_accepting()
        listener.close(10)
    assert not any(thread.name == "listener" for thread in threading.enumerate())


@pytest.fixture
def apart(monkeypatch):
    """Addresses of this machine stand for those of other machines: each counts for itself."""
    monkeypatch.setattr(incoming_request, "owner", lambda address: address)


def test_who_is_behind_an_address():
    owner = incoming_request.owner
    assert [owner(address) for address in ("127.0.0.1", "127.9.8.7", "::1")] == [
        "127.0.0.1",
        "127.0.0.1",
        "::1",
    ]
    assert owner("192.0.2.7") == "192.0.2.7"
    assert (
        owner("2001:db8::1") == owner("2001:db8::ffff:0:0:2") == "2001:db8::/64" != owner("2001:db8:0:1::1")
    )
    assert owner("fe80::1%eth0") == "fe80::/64"


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's kernel")
@pytest.mark.parametrize("there", ["127.0.0.1", "::1"])
def test_users_of_this_machine_count_each_for_himself(monkeypatch, there):
    """They share its address, and one who made up names took three quarters of --max-jobs from all others."""
    try:
        port = socket.create_server((there, 0), family=socket.AF_INET6 if ":" in there else socket.AF_INET)
    except OSError:
        pytest.skip("no IPv6 here")
    port.settimeout(20)
    with port, socket.create_connection(port.getsockname()[:2]) as near:
        with port.accept()[0] as far, monkeypatch.context() as other:
            assert incoming_request.user(far, *far.getpeername()[:2]) == ""
            other.setattr(incoming_request.os, "geteuid", lambda: os.getuid() + 1)
            assert incoming_request.user(far, *far.getpeername()[:2]) == f",uid={os.getuid()}"
            assert (
                incoming_request.IncomingRequest(far, there, 1, 1000, None).address
                == f"{there},uid={os.getuid()}"
            )
            near.sendall(b"{}")
            near.shutdown(socket.SHUT_WR)
            assert incoming_request.user(far, *far.getpeername()[:2]) == f",uid={os.getuid()}"
            near.close()  # and is nobody's any more; that must not make him somebody else
            assert incoming_request.user(far, *far.getpeername()[:2]) == ",uid=?"
            other.setattr(socket, "AF_NETLINK", -1)
            assert incoming_request.user(far, *far.getpeername()[:2]) == ""
        if os.getuid() == 0:
            code = (
                f"import os, socket; os.setuid(65534); s = socket.socket({far.family:d}); "
                f"s.connect(({there!r}, {port.getsockname()[1]})); s.recv(1)"
            )
            with subprocess.Popen([sys.executable, "-S", "-c", code]) as process, port.accept()[0] as far:
                assert incoming_request.user(far, *far.getpeername()[:2]) == ",uid=65534"
            assert process.returncode == 0


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


def test_tls_ends_with_a_word(listen):
    """Without close_notify a strict client takes what it has for cut off."""
    listener = listen(server_tls(), request_timeout=2.0)
    Held.allowed.set()
    trust = ssl.create_default_context(cafile=CERTIFICATE)
    for said, wanted in ((b'{"op": "list"}', b"list"), (b"nonsense", b"BAD_JSON"), (b"", b"TIMEOUT")):
        with trust.wrap_socket(
            connect(listener), server_hostname="localhost", suppress_ragged_eofs=False
        ) as sock:
            sock.sendall(said)
            assert wanted in b"".join(iter(lambda: sock.recv(1 << 14), b""))


def test_silent_clients_end_at_the_deadline(listen):
    plain, encrypted = listen(request_timeout=0.3), listen(server_tls(), request_timeout=0.3)
    with connect(plain) as sock:
        assert Reply(sock).read().code == "TIMEOUT"
    with connect(encrypted) as sock:
        assert sock.recv(1_000) == b""
    wait_for(lambda: plain.connections == encrypted.connections == 0, 20, "all have gone")


def test_who_says_nothing_makes_way(listen, apart):
    """Of one address when it has its share, of all when there is no room: the one that has come first."""
    listener = listen(max_connections=8)
    silent = [connect(listener, "127.0.0.2") for _ in range(6)]
    wait_for(lambda: listener.connections == 6, 20, "all are there")
    silent += [connect(listener, "127.0.0.2")]
    assert Reply(silent[0]).read().code == "BUSY"
    silent += [connect(listener, "127.0.0.3") for _ in range(2)]
    wait_for(lambda: listener.connections == 8, 20, "all are there")
    Held.allowed.set()
    for _ in range(3):
        with ask(listener, op="list") as sock:
            assert Reply(sock).read().last == {"op": "list"}
    assert Reply(silent[1]).read().code == "BUSY"
    for sock in silent:
        sock.close()
    wait_for(lambda: listener.connections == 0, 20, "all have gone")


def test_streams_leave_room_for_what_streams_nothing(listen, apart):
    """Of 16 places 14 are for streams, and 10 for those of one address."""
    listener = listen(max_connections=16)
    held = [ask(listener, "127.0.0.2", op="attach", job="0" * 64) for _ in range(10)]
    wait_for(lambda: len(listener._serving) == 10, 20, "they are served")
    with ask(listener, "127.0.0.2") as sock:
        said = Reply(sock).read()
        assert (
            said.code == "BUSY" and "10 connections of your address that follow jobs" in said.last["message"]
        )
    held += [ask(listener, "127.0.0.3") for _ in range(4)]
    wait_for(lambda: len(listener._serving) == 14, 20, "they are served")
    with ask(listener, "127.0.0.4") as sock:
        assert "14 connections that follow jobs" in Reply(sock).read().last["message"]
    stuck = [ask(listener, "127.0.0.2", op="list"), ask(listener, op="list")]
    wait_for(lambda: len(listener._serving) == 16, 20, "they are served")
    with connect(listener) as sock:
        assert Reply(sock).read().code == "BUSY"
    for one in listener._serving:  # as if their answers had not been taken for a minute
        one.since -= 60 * (not one.streams)
    fresh = ask(listener, "127.0.0.4", op="status")
    wait_for(
        lambda: sorted(one._asked.op for one in listener._serving if not one.streams) == ["list", "status"],
        20,
        "it has the place of one that took no answer",
    )
    Held.allowed.set()
    with fresh:
        assert Reply(fresh).read().last == {"op": "status"}
    for sock in held + stuck:
        sock.close()
    wait_for(lambda: listener.connections == 0, 20, "all have gone")
    assert not +listener._streams and not listener._held


def test_slow_readers_make_way_when_others_wait(listen, apart):
    listener = listen(max_connections=6)  # five streams, four of one address
    waiting = [ask(listener, "127.0.0.2"), ask(listener, "127.0.0.3")]
    slow = [ask(listener, source, client="slow") for source in ("127.0.0.2", "127.0.0.3", "127.0.0.2")]
    wait_for(lambda: len(listener._serving) == 5, 20, "all are served")
    fresh = [
        ask(listener, source) for source in ("127.0.0.1", "127.0.0.3", "127.0.0.1")
    ]  # in the places of slow ones
    wait_for(
        lambda: not any(one.reading.is_slow(0) for one in listener._serving) and len(listener._serving) == 5,
        20,
        "they are served",
    )
    with ask(listener) as sock:
        assert Reply(sock).read().code == "BUSY"  # who waits for a job is not slow
    Held.allowed.set()
    for sock in waiting + fresh:
        with sock:
            assert Reply(sock).read().last == {"op": "render"}
    for sock in slow:
        with sock:
            assert sock.recv(1_000) == b""


def test_a_reply_is_read_to_its_end_by_who_sends_on(listen):
    listener = listen()
    Held.allowed.set()
    with connect(listener) as sock:
        sock.sendall(json.dumps({"op": "list"}).encode() + b" " * 100_000)
        assert Reply(sock).read().last == {"op": "list"}

"""Whom a request to the page counts for, and how much of it one address can have."""

import asyncio
import json
import resource
import select
import socket
import threading
from contextlib import ExitStack

import pytest

from mandel.errors import MandelError
from mandel.settings import PayloadLimits
from mandel.web import places
from mandel.web.answers import WHOSE, OffLoop, Shares
from tests.service.heads import SMALL, expected_video
from tests.support.processes import wait_for


def asking(stack, web, method, path, body=None, source="127.0.0.1"):
    """A connection from an address of this machine, by which a request was sent."""
    data = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\nOrigin: {web.origin}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    )
    sock = stack.enter_context(socket.create_connection(("127.0.0.1", web.port), 30, (source, 0)))
    sock.sendall(head.encode() + data)
    return sock


def refused(socks):
    """How many of them were told that there is no place, so far."""
    ready, _, _ = select.select(socks, [], [], 0)
    return sum(b" 503 " in sock.recv(64, socket.MSG_PEEK) for sock in ready)


def test_places_are_shared_and_given_back():
    shares = Shares(8, "things are done")
    with ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(shares.take("a"))
        with pytest.raises(MandelError, match="6 things are done for your address"), shares.take("a"):
            pass
        for _ in range(2):
            stack.enter_context(shares.take("b"))
        with pytest.raises(MandelError, match="8 things are done already"), shares.take("c"):
            pass
    with shares.take("a"):
        pass


def test_all_of_loopback_is_one_to_the_page(heads):
    """Else two of its addresses hold all connections, and a job counts for an address that costs nothing."""
    head, web = heads()
    with ExitStack() as stack:
        told = asking(stack, web, "POST", "/api/jobs", SMALL, "127.0.0.2")
        wait_for(lambda: b"\r\n\r\n" in told.recv(1 << 16, socket.MSG_PEEK), 30, "it is answered")
        assert b'"client":"127.0.0.1"' in told.makefile("rb").read()
        silent = [
            stack.enter_context(
                socket.create_connection(("127.0.0.1", web.port), 30, (f"127.0.0.{2 + k}", 0))
            )
            for k in range(3)
            for _ in range(140)
        ]
        wait_for(lambda: refused(silent), 60, "one owner does not hold them all")
    assert head.ask(op="status").last["version"]


def test_one_address_leaves_places_for_estimates(heads):
    """Those who ask for the same share an answer, but each has a thread."""
    head, web = heads()
    head.order("hold")
    with ExitStack() as stack:
        socks = [asking(stack, web, "POST", "/api/estimate", SMALL) for _ in range(16)]
        wait_for(lambda: refused(socks) == 4, 60, "a quarter of the places is left for others")
    wait_for(lambda: head.lines("dropped"), 30, "nobody waits any more")


def test_files_of_places_are_read_one_at_a_time_and_few_wait(monkeypatch):
    """Reading holds the interpreter, which the listener and the jobs need as well."""
    at_once, most, let = [], [], threading.Event()

    def slowly(*_):
        at_once.append(1)
        most.append(len(at_once))
        assert let.wait(30)
        at_once.pop()
        return {"place": None, "film": None, "look": {}, "rotation": None}

    async def given(*_, **__):
        return {"text": "0,0"}

    async def play():
        reader = places.Places(PayloadLimits())
        asked = []
        for number in range(20):
            WHOSE.set(f"address {number}")
            asked.append(asyncio.create_task(reader.read(None)))
        await asyncio.sleep(0)
        let.set()
        told = await asyncio.gather(*asked, return_exceptions=True)
        await reader.close(None)
        assert not [it for it in told if isinstance(it, BaseException) and not isinstance(it, MandelError)]
        return [it.code for it in told if isinstance(it, MandelError)]

    monkeypatch.setattr(places, "_in_text", slowly)
    monkeypatch.setattr(places, "fields", given)
    assert asyncio.run(asyncio.wait_for(play(), 60)) == ["BUSY"] * 4
    assert max(most) == 1


def test_one_address_leaves_threads_for_others():
    async def play():
        off_loop, let = OffLoop(1, 8), threading.Event()
        asked = [asyncio.create_task(off_loop(let.wait, 30)) for _ in range(8)]
        await asyncio.sleep(0)
        WHOSE.set("another")
        asked.append(asyncio.create_task(off_loop(let.wait, 30)))
        await asyncio.sleep(0)
        let.set()
        told = await asyncio.gather(*asked, return_exceptions=True)
        off_loop.close()
        assert [it for it in told if it is not True] == told[6:8]
        assert [it.code for it in told[6:8]] == ["BUSY"] * 2

    asyncio.run(asyncio.wait_for(play(), 60))


def test_few_descriptors_mean_few_connections_to_the_page(heads):
    """Connections to the page took the descriptors that segments are stored with, and those of the socket."""

    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    head, web = heads(preexec_fn=few)
    assert "and 15 to the page" in head.said()
    with ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", web.port), 30)) for _ in range(300)
        ]
        wait_for(lambda: refused(silent) >= 285, 60, "most are told that there is no place")
        reply = head.ask(**SMALL)
        assert reply.video == expected_video(reply.parts[0].fields["job"])
        assert len(head.lines("rendered")) == SMALL["num_frames"]
        assert "Too many open files" not in head.said() and "out of system resource" not in head.said()

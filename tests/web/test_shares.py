"""Whom a request to the page counts for, and how much of it one address can have."""

import json
import select
import socket
from contextlib import ExitStack

import pytest

from mandel.errors import MandelError
from mandel.web.answers import Places
from tests.service.heads import SMALL
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
    places = Places(8, "things are done")
    with ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(places.take("a"))
        with pytest.raises(MandelError, match="6 things are done for your address"), places.take("a"):
            pass
        for _ in range(2):
            stack.enter_context(places.take("b"))
        with pytest.raises(MandelError, match="8 things are done already"), places.take("c"):
            pass
    with places.take("a"):
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

"""Every row of the bad inputs against a running head: the answer as listed, and it goes on."""

import socket
import struct
import threading

import pytest

from tests.end_to_end import bad_inputs
from tests.end_to_end.bad_inputs import ACCEPTED, HALF, HTTP_400, QUIET, RESET
from tests.service.heads import Head, Reply

DEADLINE = 2  # seconds for a whole request


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    head = Head(tmp_path_factory.mktemp("head"), "--request-timeout", str(DEADLINE))
    yield head
    head.end()
    assert "Traceback" not in head.said() and "INTERNAL" not in head.said()


def send(sock: socket.socket, row) -> None:
    """Sends the pieces, until the other side has had enough."""
    answered = threading.Event()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        for piece in row.pieces:
            sock.sendall(piece)
            if row.pace:
                sock.settimeout(row.pace)
                try:
                    if sock.recv(1, socket.MSG_PEEK):
                        answered.set()
                except TimeoutError:
                    continue
                finally:
                    sock.settimeout(30)
                if answered.is_set():
                    return
        if row.ending == HALF:
            sock.shutdown(socket.SHUT_WR)
    except ConnectionError:
        pass  # refused before all was sent: the reply says why


def answer(sock: socket.socket, row) -> str | None:
    if row.answer == HTTP_400:
        return sock.recv(1 << 16).decode().splitlines()[0]
    if row.answer == QUIET:
        assert sock.recv(1) == b""
        return QUIET
    reply = Reply(sock)
    reply.step()
    if reply.last.get("job") and row.costly:
        return ACCEPTED
    reply.read()
    assert b"Traceback" not in reply.raw
    return reply.code or (ACCEPTED if reply.video else None)


@pytest.mark.parametrize("row", bad_inputs.ROWS, ids=lambda row: row.name)
def test_the_answer_is_as_listed(head, row):
    with head.connect() as sock:
        send(sock, row)
        if row.ending == RESET:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            found = answer(sock, row)
            assert found == row.answer or (row.answer == HTTP_400 and found.startswith(HTTP_400))
    assert head.ask(op="status").parts[0].name == "result"

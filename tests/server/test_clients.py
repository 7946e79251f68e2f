"""Clients that are many, slow, stalled or gone: bounded, and nobody else waits for them."""

import os
import random
import socket
import struct
import time
from pathlib import Path

from tests.server.heads import SMALL, Head, expected_video
from tests.support.processes import wait_for


def descriptors(head: Head) -> int:
    return len(os.listdir(f"/proc/{head.process.pid}/fd"))


def threads(head: Head) -> int:
    return len(os.listdir(f"/proc/{head.process.pid}/task"))


def resident_kib(head: Head) -> int:
    text = Path(f"/proc/{head.process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0])


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_slow_clients_hold_up_nobody(heads):
    head = heads("--request-timeout", "5")
    head.ask(**SMALL)
    before = resident_kib(head)
    slow = [head.connect() for _ in range(500)]
    times = []
    for turn in range(2):
        for sock in slow:
            sock.sendall(b" ")
        for _ in range(50):
            began = time.monotonic()
            assert head.ask(**SMALL).video
            times.append(time.monotonic() - began)
    grown = resident_kib(head) - before
    print(f"500 slow clients: answers p50 {sorted(times)[50] * 1e3:.1f} ms, p99 {sorted(times)[99] * 1e3:.1f} ms, "
          f"memory +{grown / 1024:.1f} MiB")
    assert grown < 50 * 1024
    for sock in slow:
        with sock:
            assert b'"TIMEOUT"' in b"".join(iter(lambda: sock.recv(4096), b""))
    wait_for(lambda: head.ask(op="status").last["connections"] == 1, 20, "all were closed")


def test_connections_are_capped(heads):
    most = 20
    head = heads("--max-connections", str(most))
    usual = threads(head)
    idle = [head.connect() for _ in range(most)]
    wait_for(lambda: threads(head) == usual + most, 20, "all are served")
    for _ in range(100):
        reply = head.ask(op="status")
        assert reply.code == "BUSY" and reply.last["limit"]["retry_after"] > 0
        assert threads(head) <= usual + most
    for sock in idle:
        sock.close()
    wait_for(lambda: head.ask(op="status").code is None, 20, "there is room again")
    wait_for(lambda: threads(head) <= usual + 1, 20, "the threads ended")


def test_vanishing_clients_leave_nothing_and_lose_nothing(head):
    head.ask(**SMALL)
    usual = threads(head), descriptors(head)
    rng = random.Random(1)
    jobs = set()
    for number in range(60):
        sock, reply = head.send(**SMALL | {"maxiter": 100 + number % 20})
        stage = rng.choice(("at once", "accepted", "later"))
        if stage != "at once":
            reply.step()
            jobs.add(reply.last["job"])
        if stage == "later":
            sock.recv(rng.randrange(1, 20_000))
        rng.choice((reset, socket.socket.close))(sock)
    for job in jobs:
        assert head.ask(op="attach", job=job).video == expected_video(job)
    wait_for(lambda: (threads(head), descriptors(head)) <= usual, 30, "threads and descriptors as before")
    assert head.ask(op="status").last["jobs"]["failed"] == 0


def test_stalled_readers_are_dropped(heads):
    head = heads("--stall-timeout", "1")
    long = SMALL | {"num_frames": 500}
    video = head.ask(**long).video
    assert len(video) > 1_000_000  # more than the socket buffers take
    before = resident_kib(head)
    stalled = []
    for _ in range(20):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.connect(("127.0.0.1", head.port))
        sock.sendall(b'{"num_frames": 500, "frame_width": 16, "frame_height": 16, "maxiter": 10}')
        stalled.append(sock)
    wait_for(lambda: head.said().count("timed out") == 20, 30, "all were dropped")
    assert resident_kib(head) - before < 20 * 1024
    assert head.ask(op="status").last["connections"] == 1
    assert head.ask(**long).video == video
    for sock in stalled:
        sock.close()

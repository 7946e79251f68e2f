"""Clients that are many, slow, stalled or gone: bounded, and nobody else waits for them."""

import json
import os
import random
import socket
import struct
import time
from pathlib import Path

from mandel.server.threads import MOST_IDLE
from tests.server.heads import SMALL, Head, expected_video
from tests.support.chaos import PATIENCE, amount, tell
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
    """T10"""
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
    tell("T10", slow_clients=500, p50_ms=f"{sorted(times)[50] * 1e3:.1f}", p99_ms=f"{sorted(times)[98] * 1e3:.1f}",
         memory_MiB=f"+{grown / 1024:.1f}")
    assert grown < 50 * 1024
    for sock in slow:
        with sock:
            assert b'"TIMEOUT"' in b"".join(iter(lambda: sock.recv(4096), b""))
    wait_for(lambda: head.ask(op="status").last["connections"] == 1, 20, "all were closed")


def test_connections_are_capped(heads):
    """T11: so many of one address, so many in all, each with a thread; all others are answered BUSY."""
    most, attempts = amount((20, 100), (200, 2_000))
    head = heads("--max-connections", str(most))
    usual = threads(head)
    head.order("hold")
    waiting = [head.send(source="127.0.0.2", **SMALL) for _ in range(most - most // 4)]
    wait_for(lambda: threads(head) == usual + len(waiting), PATIENCE, "all are served")
    assert "of your address" in head.ask(source="127.0.0.2", **SMALL).last["message"]
    waiting += [head.send(**SMALL) for _ in range(most // 4)]
    wait_for(lambda: threads(head) == usual + most, PATIENCE, "all are served")
    busiest = 0
    for _ in range(attempts):
        reply = head.ask(op="status")
        assert reply.code == "BUSY" and reply.last["limit"]["retry_after"] > 0
        busiest = max(busiest, threads(head))
    tell("T11", connects=most + attempts, served=most, answered_BUSY=attempts, most_threads=busiest,
         cap=usual + most)
    assert busiest <= usual + most
    for sock, _ in waiting:
        sock.close()
    wait_for(lambda: head.ask(op="status").code is None, PATIENCE, "there is room again")
    wait_for(lambda: threads(head) <= usual + MOST_IDLE, PATIENCE, "the threads ended")


def test_vanishing_clients_leave_nothing_and_lose_nothing(head):
    """T8"""
    head.ask(**SMALL)
    usual = threads(head), descriptors(head)
    rng = random.Random(1)
    jobs = set()
    clients = amount(60, 100)
    for number in range(clients):
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
    began = time.monotonic()
    wait_for(lambda: threads(head) <= usual[0] + MOST_IDLE and descriptors(head) <= usual[1], PATIENCE, "all is as before")
    tell("T8", clients=clients, jobs=len(jobs), videos=len(jobs), threads_and_descriptors=usual,
         seconds_until_as_before=f"{time.monotonic() - began:.1f}")
    assert head.ask(op="status").last["jobs"]["failed"] == 0


def test_slow_readers_are_bounded(heads):
    """T14: readers of a large video, slow ones at first, which all stop reading then."""
    readers, video_bytes, reading, stall = amount((20, 20 << 20, 1, 2), (100, 500_000_000, 60, 60))
    head = heads("--stall-timeout", str(stall))
    (head.orders / "large").write_text(str(video_bytes))
    video = head.ask(**SMALL).video
    assert len(video) > video_bytes
    usual = resident_kib(head), threads(head)
    stalled = []
    for _ in range(readers):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.connect(("127.0.0.1", head.port))
        sock.sendall(json.dumps(SMALL).encode())
        stalled.append(sock)
    began, most = time.monotonic(), 0
    while time.monotonic() - began < reading:
        for sock in stalled:
            assert sock.recv(1_000), "it was dropped while it read"
        time.sleep(0.1)  # 10 KB a second: what the test is about
        most = max(most, resident_kib(head) - usual[0])
    assert "timed out" not in head.said()
    stopped = time.monotonic()
    wait_for(lambda: head.said().count("timed out") == readers, PATIENCE, "all were dropped")
    dropped = time.monotonic() - stopped
    most = max(most, resident_kib(head) - usual[0])
    tell("T14", readers=readers, video_MB=len(video) // 1_000_000, grown_KiB_each=f"{most / readers:.0f}",
         stall_limit_s=stall, dropped_after_s=f"{dropped:.1f}")
    assert most / readers < 1024
    wait_for(lambda: threads(head) <= usual[1] + MOST_IDLE, PATIENCE, "their threads ended")
    assert head.ask(**SMALL).video == video
    for sock in stalled:
        sock.close()

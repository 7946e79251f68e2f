"""Clients that are many, slow, stalled or gone: bounded, and nobody else waits for them."""

import json
import os
import random
import resource
import socket
import struct
import time
from pathlib import Path

from mandel.service.net.thread_cache import MOST_IDLE
from tests.service.heads import SMALL, Head, expected_video
from tests.support.chaos import PATIENCE, amount, tell
from tests.support.processes import wait_for


def descriptors(head: Head) -> int:
    return len(os.listdir(f"/proc/{head.process.pid}/fd"))


def threads(head: Head) -> int:
    return len(os.listdir(f"/proc/{head.process.pid}/task"))


def resident_kib(head: Head) -> int:
    text = Path(f"/proc/{head.process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0])


def cpu_seconds(head: Head) -> float:
    fields = Path(f"/proc/{head.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


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
    for _turn in range(2):
        for sock in slow:
            sock.sendall(b" ")
        for _ in range(50):
            began = time.monotonic()
            assert head.ask(**SMALL).video
            times.append(time.monotonic() - began)
    grown = resident_kib(head) - before
    tell(
        "T10",
        slow_clients=500,
        p50_ms=f"{sorted(times)[50] * 1e3:.1f}",
        p99_ms=f"{sorted(times)[98] * 1e3:.1f}",
        memory_MiB=f"+{grown / 1024:.1f}",
    )
    assert grown < 50 * 1024
    for sock in slow:
        with sock:
            assert b'"TIMEOUT"' in b"".join(iter(lambda: sock.recv(4096), b""))
    wait_for(lambda: head.ask(op="status").last["connections"] == 1, 20, "all were closed")


def test_connections_are_capped(heads):
    """T11: so many that follow jobs, each with a thread; more are answered BUSY, and who streams nothing never is."""
    most, attempts = amount((32, 100), (200, 2_000))
    head = heads("--max-connections", str(most))
    usual = threads(head)
    head.order("hold")
    cap = most - most // 4 - -(-most // 8)  # of one address, which loopback is
    waiting = [head.send(source=f"127.0.0.{2 + number % 9}", **SMALL) for number in range(cap)]
    wait_for(lambda: head.ask(op="status").last["connections"] == cap + 1, PATIENCE, "all are served")
    busiest = 0
    for _ in range(attempts):
        reply = head.ask(**SMALL)
        assert reply.code == "BUSY" and reply.last["limit"]["retry_after"] > 0
        assert "of your address" in reply.last["message"]
        assert head.ask(op="status").code is None
        busiest = max(busiest, threads(head))
    tell(
        "T11",
        connects=cap + 2 * attempts,
        served_streams=cap,
        answered_BUSY=attempts,
        status_answered=attempts,
        most_threads=busiest,
        cap=usual + most,
    )
    assert busiest <= usual + most
    for sock, _ in waiting:
        sock.close()
    head.withdraw("hold")
    wait_for(lambda: head.ask(**SMALL).video, PATIENCE, "there is room again")
    wait_for(lambda: threads(head) <= usual + MOST_IDLE, PATIENCE, "the threads ended")


def enough_descriptors(wanted: int) -> int:
    """Raises this process's limit; what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))
    return max(soft, limit)


def test_who_says_nothing_keeps_nobody_out(head):
    """T10: silent connections of two loopback addresses, as many as the caps of two addresses and more."""
    count = min(1_400, enough_descriptors(2_048) - 200)
    job = head.ask(**SMALL).parts[0].fields["job"]
    silent = [head.connect(source=f"127.0.0.{1 + number % 2}") for number in range(count)]
    answered = [head.ask(op=op, job=job).code for op in ("status", "cancel", "pause") for _ in range(20)]
    tell("T10", silent=count, status_cancel_and_pause_answered=answered.count(None), of=len(answered))
    assert answered == [None] * len(answered) and head.ask(**SMALL).video
    for sock in silent:
        sock.close()


def test_who_waits_for_a_paused_job_keeps_nobody_out_and_costs_little(head):
    """T11: attached to one paused job from two addresses of loopback, as many as the service has connections."""
    count = min(1_024, enough_descriptors(2_048) - 200)
    head.order("hold")
    sock, reply = head.send(**SMALL)
    job = reply.step() and reply.last["job"]
    sock.close()
    assert head.ask(op="pause", job=job).last["state"] == "paused"
    told = [head.send(source=f"127.0.0.{1 + number % 2}", op="attach", job=job) for number in range(count)]
    followed = 1_024 - 256 - 128
    wait_for(
        lambda: head.ask(op="status").last["connections"] >= min(count, followed),
        PATIENCE,
        "they are attached",
    )
    answered = [
        head.ask(**fields).code
        for _ in range(20)
        for fields in (
            {"op": "status"},
            {"op": "status", "job": job},
            {"op": "pause", "job": job},
            {"op": "list"},
        )
    ]
    codes = []
    for _, reply in told[followed:]:
        codes.append(reply.read().code)
    assert codes == ["BUSY"] * max(0, count - followed)
    before, began = cpu_seconds(head), time.monotonic()
    time.sleep(3)
    cpu = (cpu_seconds(head) - before) / (time.monotonic() - began)
    received = sum(len(sock.recv(1 << 20)) > 0 for sock, _ in told[:10])
    tell(
        "T11",
        attached_to_a_paused_job=min(count, followed),
        answered_BUSY=len(codes),
        status_list_and_pause_answered=answered.count(None),
        of=len(answered),
        cpu=f"{100 * cpu:.1f} %",
    )
    assert answered == [None] * len(answered) and received == 10
    assert head.ask(op="cancel", job=job).last["state"] == "cancelled"
    for _, reply in told[10:15]:
        assert reply.read().code == "CANCELLED" and len(reply.parts) <= 4
    for sock, _ in told:
        sock.close()


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
    wait_for(
        lambda: threads(head) <= usual[0] + MOST_IDLE and descriptors(head) <= usual[1],
        PATIENCE,
        "all is as before",
    )
    tell(
        "T8",
        clients=clients,
        jobs=len(jobs),
        videos=len(jobs),
        threads_and_descriptors=usual,
        seconds_until_as_before=f"{time.monotonic() - began:.1f}",
    )
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
    tell(
        "T14",
        readers=readers,
        video_MB=len(video) // 1_000_000,
        grown_KiB_each=f"{most / readers:.0f}",
        stall_limit_s=stall,
        dropped_after_s=f"{dropped:.1f}",
    )
    assert most / readers < 1024
    wait_for(lambda: threads(head) <= usual[1] + MOST_IDLE, PATIENCE, "their threads ended")
    assert head.ask(**SMALL).video == video
    for sock in stalled:
        sock.close()

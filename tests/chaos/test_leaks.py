"""T21: mixed load with kills, and what grows."""

import os
import random
import signal
import socket
import statistics
import struct
import threading
import time
from pathlib import Path

from mandel.errors import MandelError
from tests.support import processes
from tests.support.chaos import SMALL, Client, amount, ask, calm, decoded, send, tell

SECONDS = amount(20, 1800)


def usage(pid: int) -> dict[str, int]:
    """Resident KiB, open descriptors and threads of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return {"rss_KiB": int(fields["VmRSS"].split()[0]), "threads": int(fields["Threads"]),
            "descriptors": len(os.listdir(f"/proc/{pid}/fd"))}


def shared_memory_kib() -> int:
    stat = os.statvfs("/dev/shm")
    return (stat.f_blocks - stat.f_bfree) * stat.f_frsize >> 10


class Load(threading.Thread):
    """One visitor after another: patient, rude, repeating, cancelling, curious or talking nonsense."""

    def __init__(self, port: int, seed: int):
        super().__init__(daemon=True)
        self.port, self.rng, self.ended = port, random.Random(seed), threading.Event()
        self.visits, self.videos, self.wrong = 0, 0, []
        self.start()

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                self.visit()
            except (MandelError, OSError):
                pass
            self.visits += 1

    def visit(self) -> None:
        payload = SMALL | {"num_frames": 4, "maxiter": self.rng.randint(400, 1_000_000)}
        match self.rng.randrange(6):
            case 0 | 1:
                reply = Client(self.port, **payload).answer(120)
                if reply.code is not None or not reply.video:
                    self.wrong.append(reply.last)
                self.videos += 1
            case 2:  # gone in the middle, by RST
                sock, reply = send(self.port, **payload)
                with sock:
                    reply.step()
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case 3:
                sock, reply = send(self.port, **payload | {"num_frames": 200})
                with sock:
                    reply.step()
                    ask(self.port, op="cancel", job=reply.last["job"])
            case 4:
                ask(self.port, op=self.rng.choice(["list", "status"]))
            case 5:
                with socket.create_connection(("127.0.0.1", self.port), timeout=30) as sock:
                    sock.sendall(self.rng.randbytes(200))
                    sock.recv(1 << 16)


def test_nothing_grows(cluster, faults, service):
    """T21"""
    loads = [Load(service.port, seed) for seed in range(4)]
    samples, kills, rng = [], 0, random.Random(4)
    began = last_kill = last_driver = time.monotonic()
    while time.monotonic() - began < SECONDS:
        time.sleep(1)
        samples.append({**usage(service.process.pid), "shm_KiB": shared_memory_kib()})
        now = time.monotonic()
        if now - last_kill > 5:
            workers = [pid for pid, command in processes.marked(cluster.mark).items()
                       if command.startswith("ray::") and "Agent" not in command]
            last_kill, kills = now, kills + len(workers[:1])
            for pid in workers[:1]:
                os.kill(pid, signal.SIGKILL)
        if now - last_driver > amount(8, 60):
            drivers = [pid for pid, command in service.processes().items()
                       if "-m mandel.render.driver" in command and "leash.py" not in command]
            last_driver, kills = now, kills + len(drivers)
            for pid in drivers:
                os.kill(pid, signal.SIGKILL)
    for load in loads:
        load.ended.set()
    for load in loads:
        load.join(120)
    assert not any(load.wrong for load in loads), [load.wrong for load in loads]
    third = len(samples) // 3
    figures = {}
    for name in samples[0]:
        middle = statistics.median(s[name] for s in samples[third : 2 * third])
        end = statistics.median(s[name] for s in samples[-third:])
        figures[name] = f"{middle:.0f} to {end:.0f}"
    tell("T21", seconds=SECONDS, kills=kills, visits=sum(load.visits for load in loads),
         videos=sum(load.videos for load in loads), middle_and_last_third=figures)
    payload = SMALL | {"maxiter": 399}
    assert decoded(Client(service.port, **payload).answer(120).video) == calm(**payload)
    now = usage(service.process.pid)
    assert now["threads"] <= 8 and now["descriptors"] <= 40, now
    if SECONDS > 600:
        middle = statistics.median(s["rss_KiB"] for s in samples[third : 2 * third])
        assert now["rss_KiB"] < 1.1 * middle + (10 << 10)

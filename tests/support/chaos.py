"""What the chaos tests share: how long they are, jobs followed through any crash, calm videos."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import threading
import time
from functools import cache
from pathlib import Path

from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.scheduler import Scheduler
from mandel.errors import MandelError
from mandel.payload.payload import parse
from mandel.protocol import control
from mandel.protocol.strict_json import loads
from mandel.settings import PayloadLimits
from tests.service.heads import Reply
from tests.support.local_executor import LocalExecutor
from tests.support.video import frame_digests

# `make chaos` sets it; `make test` runs the short form of every test.
LONG = os.environ.get("MANDEL_CHAOS") == "long"
# Seconds that anything may take on a machine that does much else; what goes well never waits so long.
PATIENCE = 600.0
_calming = threading.Lock()
SMALL = {"num_frames": 24, "frame_width": 64, "frame_height": 48, "maxiter": 200, "end_delta": "0.01"}


def amount(short, long):
    """How many, or how long: in ``make test`` and in ``make chaos``."""
    return long if LONG else short


def tell(promise: str, **figures) -> None:
    """Prints a promise's figures; ``make chaos`` shows them (docs/resilience.md)."""
    print(
        f"\n{promise}: " + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items())
    )


def send(port: int, **fields) -> tuple[socket.socket, Reply]:
    """Sends one request; the connection and the reply still to be read."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=120)
    sock.sendall(json.dumps(fields).encode())
    return sock, Reply(sock)


def ask(port: int, **fields) -> Reply:
    """Sends one request and reads the whole reply."""
    sock, reply = send(port, **fields)
    with sock:
        return reply.read()


class Client(threading.Thread):
    """Asks for a payload and comes back after every lost connection, until there is an answer.

    Args:
        port: the service's port, or a function that returns it.

    Attributes:
        reply: the last reply, whole once ``join`` has returned.
        said: every progress part of all replies.
        latency: seconds from asking to the answer.
    """

    def __init__(self, port, **fields):
        super().__init__(daemon=True)
        self._port = port if callable(port) else lambda: port
        self.fields, self.said = fields, []
        self.reply: Reply | None = None
        self.latency = 0.0
        self.given_up = threading.Event()
        self.start()

    def run(self) -> None:
        began = time.monotonic()
        while not self.given_up.is_set():
            try:
                sock, reply = send(self._port(), **self.fields)
                with sock:
                    while not reply.whole:
                        reply.step()
                        self.said[:] = [*self.said, reply.parts[-1].fields] if reply.parts else self.said
            except (MandelError, OSError):
                time.sleep(0.2)
                continue
            if reply.code in ("STOPPING", "BUSY"):
                time.sleep(0.2)
                continue
            self.reply, self.latency = reply, time.monotonic() - began
            return

    @property
    def job(self) -> str | None:
        return self.said[0]["job"] if self.said else None

    @property
    def done(self) -> int:
        """Frames rendered, as last told."""
        return self.said[-1].get("done", 0) if self.said else 0

    def answer(self, seconds: float) -> Reply:
        """The whole reply; fails the test when it takes longer."""
        self.join(seconds)
        if self.reply is None:
            self.given_up.set()
            raise AssertionError(f"no answer within {seconds:g} s; the last word: {self.said[-1:]}")
        return self.reply


def decoded(video: bytes) -> list[str]:
    """Digest of every decoded frame."""
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(video)
        file.flush()
        return frame_digests(Path(file.name))


def calm(**fields) -> list[str]:
    """Digests of the decoded frames of a payload's video, rendered in this process where nothing fails."""
    with _calming:
        return list(_calm(json.dumps(fields, sort_keys=True)))


@cache
def _executor() -> LocalExecutor:
    return LocalExecutor(2)  # kept: its threads have made their contexts and built their programs


@cache
def _calm(text: str) -> tuple[str, ...]:
    folder = Path(tempfile.mkdtemp(prefix="mandel-calm-"))
    events = []
    scheduler = Scheduler(_executor(), lambda event: events.append(control.as_json(event)))
    try:
        scheduler.add(JobRun("calm", parse(loads(text.encode()), PayloadLimits()), folder, {}))
        while scheduler.busy:
            scheduler.step(0.1)
            for event in [e for e in events if e["event"] == "segment"]:
                events.remove(event)
                scheduler.adopted("calm", event["index"], Path(event["path"]))
        (video,) = [e for e in events if e["event"] == "video"]
        return tuple(frame_digests(Path(video["path"])))
    finally:
        scheduler.close()
        shutil.rmtree(folder)


class Faults:
    """The file that brings faults upon tasks (mandel/worker/injected_faults.py) and what tasks noted in it."""

    def __init__(self, path: Path):
        self.path = path
        self._log = Path(f"{path}.log")

    def set(self, *lines: str) -> None:
        """Replaces all faults, and forgets what was noted."""
        new = self.path.with_suffix(".new")
        new.write_text("".join(f"{line}\n" for line in lines))
        new.rename(self.path)
        self._log.unlink(missing_ok=True)

    def noted(self, text: str = "") -> list[tuple[int, str]]:
        """Process id and label of the tasks begun whose label holds ``text``."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        pairs = [line.partition(" ")[::2] for line in lines]
        return [(int(pid), label) for pid, label in pairs if text in label]

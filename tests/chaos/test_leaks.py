"""T21: mixed load with kills, and what grows. ``make soak`` runs it for two hours."""

import contextlib
import os
import random
import signal
import socket
import struct
import threading
import time
from collections import Counter

from mandel.errors import MandelError
from mandel.service.net.thread_cache import MOST_IDLE
from tests.chaos.conftest import whole
from tests.support import processes
from tests.support.chaos import PATIENCE, SMALL, Client, amount, ask, calm, decoded, send, tell
from tests.support.usage import Watch, of_process, role_of

SECONDS = int(os.environ.get("MANDEL_SOAK_SECONDS", amount(20, 1800)))
LONG_SECONDS = 600  # from here on growth is judged, and kills are rarer than what there is to measure between
# Little enough that most of what a long run stores must go again.
MAX_DB_BYTES = 8 << 20
SHALLOW = SMALL | {"num_frames": 4}
DEEP = SHALLOW | {
    "point": "-1.3382386353713374537,-0.0572370590291312385",
    "start_delta": "1e-14",
    "end_delta": "1e-20",
}
SHARED = SHALLOW | {"sampling": "shared", "num_frames": 12, "end_delta": "1e-3"}


class Load(threading.Thread):
    """One visitor after another: patient, deep, repeating, pausing, rude, cancelling, curious or confused.

    Attributes:
        visits, videos, broken: how many; ``broken`` ended without an answer.
        wrong: answers other than a calm run's.
    """

    def __init__(self, port: int, seed: int):
        super().__init__(daemon=True)
        self.port, self.rng, self.ended = port, random.Random(seed), threading.Event()
        self.visits, self.videos, self.broken, self.wrong = 0, 0, 0, []
        self.start()

    def run(self) -> None:
        kinds = (
            self.watch,
            self.watch,
            self.watch,
            self.pause,
            self.vanish,
            self.cancel,
            self.look,
            self.babble,
        )
        while not self.ended.is_set():
            try:
                self.rng.choice(kinds)()
            except (MandelError, OSError):
                self.broken += 1
            except AssertionError as error:
                self.wrong.append(str(error))
            self.visits += 1

    def payload(self) -> dict:
        """Mostly one that nobody asked for before."""
        base = self.rng.choice((SHALLOW, SHALLOW, SHALLOW, DEEP, SHARED))
        return base | {"maxiter": self.rng.choice((400, self.rng.randint(401, 100_000)))}

    def expect(self, client: Client) -> None:
        """The video, frame by frame that of a calm run."""
        reply = client.answer(PATIENCE)
        assert reply.code is None, f"{client.fields}: {reply.last}"
        found, wanted = decoded(reply.video), calm(**client.fields)
        assert found == wanted, f"{client.fields}: frames differ from a calm run's: {found} {wanted}"
        self.videos += 1

    def watch(self) -> None:
        self.expect(Client(self.port, **self.payload()))

    def pause(self) -> None:
        client = Client(self.port, **self.payload(), priority=self.rng.randint(-2, 2))
        processes.wait_for(lambda: client.job or client.reply, PATIENCE, "the job is accepted")
        if client.job:
            ask(self.port, op="pause", job=client.job)
            ask(self.port, op="resume", job=client.job)
        client.answer(PATIENCE)

    def vanish(self) -> None:
        """In the middle, by RST."""
        sock, reply = send(self.port, **self.payload())
        with sock:
            reply.step()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def cancel(self) -> None:
        sock, reply = send(self.port, **self.payload() | {"num_frames": 200})
        with sock:
            reply.step()
            ask(self.port, op="cancel", job=reply.last["job"])

    def look(self) -> None:
        ask(self.port, op=self.rng.choice(["list", "status"]))

    def babble(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as sock:
            sock.sendall(self.rng.randbytes(200))
            sock.recv(1 << 16)


class Kills:
    """SIGKILL to a process of some role, each role in its own rhythm, if there was a video since the last.

    Args:
        seconds: the rhythm by role.
        planned: how many there must be at least of each role.
    """

    def __init__(self, seconds: dict[str, float], planned: int):
        self.done = Counter()
        self._planned = planned
        self._seconds = seconds
        self._last = dict.fromkeys(seconds, (time.monotonic(), 0))

    @property
    def missing(self) -> dict[str, int]:
        """Planned and not done yet, by role."""
        return {
            role: self._planned - self.done[role] for role in self._seconds if self.done[role] < self._planned
        }

    def kill(self, running: dict[int, str], videos: int) -> None:
        """Kills what is due, of processes by pid; ``videos`` there have been so far."""
        for role, seconds in self._seconds.items():
            pids = [
                pid
                for pid, command in running.items()
                if role_of(command) == role and "--head" not in command
            ]
            moment, before = self._last[role]
            if pids and time.monotonic() - moment > seconds and videos > before:
                self._last[role] = time.monotonic(), videos
                with contextlib.suppress(ProcessLookupError):  # it ended by itself meanwhile
                    os.kill(pids[0], signal.SIGKILL)
                    self.done[role] += 1


def test_nothing_grows(cluster, faults, tmp_path):
    """T21"""
    service = cluster.service(tmp_path / "DB", "--max-db-bytes", str(MAX_DB_BYTES))
    Client(service.port, **SMALL | {"maxiter": 398}).answer(PATIENCE)  # all threads that stay have begun
    resting = of_process(service.process.pid)["threads"]
    loads = [Load(service.port, seed) for seed in range(4)]
    try:
        long = SECONDS >= LONG_SECONDS
        watch = Watch()
        kills = Kills(
            {"worker": 30, "driver": SECONDS / 6, "raylet": SECONDS / 4}
            if long
            else {"worker": 5, "driver": 8},
            planned=2 if long else 1,
        )
        folders = {"DB": service.db, "Ray's folder": cluster.folder / "ray"}
        began, told = time.monotonic(), 0.0
        while (seconds := time.monotonic() - began) < SECONDS or kills.missing:
            assert seconds < SECONDS + PATIENCE, f"kills that never hit: {kills.missing}"
            time.sleep(5 if long else 1)  # the rhythm of the samples
            running = processes.marked(cluster.mark) | service.processes()
            watch.look(running, folders, service.db)
            kills.kill(running, sum(load.videos for load in loads))
            if long:
                whole(cluster)
            if seconds > told + 600:
                told = seconds
                right, wrong = (
                    sum(load.videos for load in loads),
                    [word for load in loads for word in load.wrong],
                )
                print(
                    f"\n{seconds:.0f} s, {kills.done.total()} kills, {right} videos right, wrong: {wrong}\n"
                    f"    {watch.report()}",
                    flush=True,
                )
        for load in loads:
            load.ended.set()
        for load in loads:
            load.join(PATIENCE)
        tell(
            "T21",
            seconds=SECONDS,
            kills=dict(kills.done),
            visits=sum(load.visits for load in loads),
            videos_equal_to_a_calm_run=sum(load.videos for load in loads),
            unanswered=sum(load.broken for load in loads),
            growth=f"\n    {watch.report()}",
        )
        wrong = [word for load in loads for word in load.wrong]
        assert not wrong, wrong
        payload = SMALL | {"maxiter": 399}
        assert decoded(Client(service.port, **payload).answer(PATIENCE).video) == calm(**payload)
        processes.wait_for(  # the last reply's thread may still be ending
            lambda: of_process(service.process.pid)["threads"] <= resting + MOST_IDLE,
            PATIENCE,
            "threads ended",
        )
        now = of_process(service.process.pid)
        assert now["descriptors"] <= 40, now
        if long:
            for name in ("listener KiB", "DB KiB", "object stores KiB"):
                middle, last = watch.series[name].thirds()
                assert last < 1.1 * middle + (10 << 10), f"{name}: {middle} to {last}"
        assert "Traceback" not in service.output(), service.output()
    finally:
        for load in loads:
            load.ended.set()
        service.kill()

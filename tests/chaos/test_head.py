"""T5, T7, T15 with the real driver and Ray: head, driver, anything killed at random moments; SIGTERM."""

import os
import random
import re
import signal
import sqlite3
import threading
import time
from collections import Counter

import pytest

from mandel.errors import MandelError
from mandel.plan.segment_plan import cut
from tests.support import processes
from tests.support.chaos import LONG, PATIENCE, SMALL, Client, Faults, amount, ask, calm, decoded, tell
from tests.support.usage import role_of

VICTIMS = ("gcs", "raylet", "driver", "leash")
# ffmpeg lives too shortly to be hit here; tests/chaos/test_jobs.py has its faults.
ANYTHING = ("listener", *VICTIMS, "worker", "agent", "dashboard")


class Prober(threading.Thread):
    """Asks for the list of jobs again and again; keeps the longest time without an answer, in ms."""

    def __init__(self, port: int):
        super().__init__(daemon=True)
        self.port, self.gap, self.ended = port, 0.0, threading.Event()
        self.start()

    def run(self) -> None:
        answered = time.monotonic()
        while not self.ended.wait(0.02):
            try:
                ask(self.port, op="list")
            except (MandelError, OSError):
                continue
            now = time.monotonic()
            self.gap, answered = max(self.gap, 1000 * (now - answered)), now

    def stop(self) -> float:
        self.ended.set()
        self.join()
        return self.gap


def stored_segments(db) -> set[int]:
    """Numbers of the segments of unfinished jobs that have a row."""
    with sqlite3.connect(f"file:{db / 'index.sqlite3'}?mode=ro", uri=True) as index:
        return {
            number
            for (number,) in index.execute(
                "SELECT number FROM files WHERE kind = 'segment' AND job IN (SELECT id FROM jobs WHERE state != 'done')"
            )
        }


def kind_of(command: str) -> str:
    """What a process is, in a word."""
    found = role_of(command)
    words = re.search(r"ffmpeg|log_monitor|dashboard|ray\.util\.client", command)
    return found if found != "other" else words[0] if words else "other"


def only(running: dict[int, str], role: str) -> int:
    """The process of a role, the first of them: a leash has a guard of the same role. It may just be starting."""
    return min(pid for pid, command in running.items() if role_of(command) == role)


def others(running: dict[int, str]) -> set[int]:
    """The head's processes but itself."""
    return {pid for pid, command in running.items() if "ray_head.py" not in command}


def spans_of(seconds: dict[str, list[float]]) -> str:
    return " ".join(f"{victim} {min(times):.0f} to {max(times):.0f}" for victim, times in seconds.items())


def numbers_begun(faults: Faults) -> Counter:
    """How often each frame of the only job was begun."""
    return Counter(int(label.split()[-1]) for _, label in faults.noted(" frame "))


def test_kills_at_random_moments(embedded, tmp_path):
    """T5, T7: the head's group, the driver, its leash, Ray's control store and raylet."""
    kills = amount(["gcs", "head"], None)
    rng = random.Random(3)
    if kills is None:
        kills = [rng.choice([*VICTIMS, "head", "head"]) for _ in range(50)]
    frames = 30 * (len(kills) + 1)
    payload = SMALL | {"num_frames": frames, "maxiter": 203}
    spans = cut(frames)
    faults = Faults(tmp_path / "faults")
    faults.set("note .", "sleep:0.25 frame")
    head = embedded()
    client = Client(lambda: head.port, **payload)
    gaps, ended, recovery, killed = [], {}, {}, Counter()

    def begun() -> Counter:
        return numbers_begun(faults)

    for victim in kills:
        since = len(begun())
        wanted = since + rng.randint(3, 28)
        processes.wait_for(lambda: len(begun()) >= wanted or client.reply, PATIENCE, "it goes on")
        if client.reply:
            break
        killed[victim] += 1
        prober = Prober(head.port)
        old = head.processes()
        stored, before = stored_segments(head.db), begun()
        moment = time.monotonic()
        if victim == "head":
            os.killpg(head.process.pid, signal.SIGKILL)
            prober.stop()
            head.process.wait()
            processes.wait_for(lambda: not head.processes(), PATIENCE, "nothing of it is left")
            head = embedded()
        else:
            os.kill(only(old, victim), signal.SIGKILL)
            processes.wait_for(
                lambda: not others(old) & set(head.processes()), PATIENCE, f"{victim} leaves nothing"
            )
        ended.setdefault(victim, []).append(time.monotonic() - moment)
        resumed = begun().total()
        processes.wait_for(
            lambda: begun().total() > resumed or client.reply, PATIENCE, f"recovery from {victim}"
        )
        recovery.setdefault(victim, []).append(time.monotonic() - moment)
        if victim != "head":
            gaps.append(prober.stop())
        finished = {frame for index in stored for frame in spans[index].frames}
        twice = {frame for frame, count in begun().items() if count > before[frame] > 0}
        assert not twice & finished, "frames of stored segments were rendered again"
    reply = client.answer(PATIENCE)
    assert reply.code is None, reply.last
    assert killed == Counter(kills), "not every planned kill hit"
    again = begun().total() - frames
    assert decoded(reply.video) == calm(**payload)
    assert head.stop() == 0
    tell(
        "T5 T7",
        kills=killed.total(),
        victims=dict(killed),
        lost_jobs=0,
        frames=frames,
        frames_begun_again=again,
        again_per_kill=f"{again / killed.total():.1f}",
        finished_segments_rendered_again=0,
        longest_gap_of_the_port_ms=f"{max(gaps, default=0):.0f}",
        orphans=0,
        seconds_to_the_end_of_its_processes=spans_of(ended),
        seconds_to_recovery=spans_of(recovery),
    )


@pytest.mark.skipif(not LONG, reason="long; tests/service has a stand-in's drain, the kills above the rest")
def test_any_process_is_killed_at_any_moment(embedded, tmp_path):
    """T5, T7: whatever runs, Ray's agents, workers and ffmpeg too, in whatever state it just is."""
    kills, rng = 40, random.Random(5)
    frames = 300 * len(os.sched_getaffinity(0))  # about a minute and a half of each job, on any machine
    faults = Faults(tmp_path / "faults")
    head = embedded()
    # Every role has its turns; which they are at which moment is left to chance.
    planned = [role for role in ANYTHING for _ in range(kills // len(ANYTHING))]
    rng.shuffle(planned)
    victims, spans, again, jobs = Counter(), cut(frames), 0, 0
    while planned:  # one job after the other, until all have had their turns
        payload = SMALL | {"num_frames": frames, "maxiter": 204 + jobs}
        jobs += 1
        faults.set("note .", "sleep:0.2 frame", "sleep:0.5 segment")
        client = Client(lambda: head.port, **payload)
        once = {}  # frames of stored segments, how often begun
        while planned and client.reply is None:
            time.sleep(rng.expovariate(1 / 8))  # the moment of the kill is the test's input
            running = head.processes()
            if head.process.poll() is not None or not running:
                head = embedded()
                continue
            able = [pid for pid, command in running.items() if kind_of(command) == planned[-1]]
            if not able:
                planned.insert(0, planned.pop())  # it just does not run
                continue
            stored = stored_segments(head.db)
            begun = numbers_begun(faults)
            for frame in (frame for index in stored for frame in spans[index].frames):
                once.setdefault(frame, begun[frame])
            pid = rng.choice(sorted(able))
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:  # it has just ended by itself
                continue
            victims[planned.pop()] += 1
            tell("T5 T7 anything", killed=dict(victims), jobs=jobs)
            if pid == head.process.pid:
                head.process.wait()
                processes.wait_for(lambda: not head.processes(), PATIENCE, "nothing of it is left")
                head = embedded()
        reply = client.answer(PATIENCE)
        assert reply.code is None, reply.last
        begun = numbers_begun(faults)
        assert {frame: begun[frame] for frame in once} == once, (
            "frames of stored segments were rendered again"
        )
        again += begun.total() - frames
        faults.set()
        assert decoded(reply.video) == calm(**payload)
    assert victims == Counter(dict.fromkeys(ANYTHING, kills // len(ANYTHING)))
    assert head.stop() == 0
    tell(
        "T5 T7 anything",
        kills=victims.total(),
        victims=dict(victims),
        jobs=jobs,
        frames=jobs * frames,
        lost_jobs=0,
        frames_begun_again=again,
        finished_segments_rendered_again=0,
    )


@pytest.mark.skipif(not LONG, reason="long; tests/service has a stand-in's drain")
def test_sigterm_drains(embedded, tmp_path):
    """T15"""
    payload = SMALL | {"num_frames": 120, "maxiter": 205}
    faults = Faults(tmp_path / "faults")
    faults.set("note .", "sleep:0.25 frame")
    head = embedded()
    client = Client(lambda: head.port, **payload)
    seconds = []
    for mark in (20, 60):
        processes.wait_for(lambda: numbers_begun(faults).total() >= mark, PATIENCE, f"{mark} frames")
        moment = time.monotonic()
        assert head.stop() == 0
        seconds.append(time.monotonic() - moment)
        head = embedded()
    processes.wait_for(lambda: numbers_begun(faults).total() >= 90, PATIENCE, "it goes on")
    head.process.send_signal(signal.SIGTERM)
    processes.wait_for(lambda: "stopping" in head.output(), PATIENCE, "it drains")
    moment = time.monotonic()
    head.process.send_signal(signal.SIGTERM)
    head.process.wait(PATIENCE)
    at_once = time.monotonic() - moment
    processes.wait_for(lambda: not head.processes(), PATIENCE, "nothing of it is left")
    head = embedded()
    reply = client.answer(PATIENCE)
    assert decoded(reply.video) == calm(**payload)
    tell(
        "T15",
        seconds_to_the_end=[f"{s:.1f}" for s in seconds],
        after_the_second_signal=f"{at_once:.1f}",
        frames=120,
        frames_begun_again=numbers_begun(faults).total() - 120,
    )
    assert head.stop() == 0

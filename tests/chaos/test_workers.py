"""T1: raylets, workers and encoders killed during a job. T2: a raylet that hangs."""

import os
import random
import signal
import time
from collections import Counter

import pytest

from tests.chaos.conftest import whole
from tests.support import processes
from tests.support.chaos import PATIENCE, SMALL, Client, amount, ask, calm, decoded, tell

# Beyond 100 KiB pictures lie in the node's shared memory and die with it.
LARGE = SMALL | {"frame_width": 384, "frame_height": 288}


def kill(pid: int, signum: int = signal.SIGKILL) -> None:
    os.kill(pid, signum)


def labels(faults, job: str, kind: str) -> Counter:
    """How often each item of a job was begun."""
    return Counter(label for _, label in faults.noted(f"{job[:8]} {kind} "))


def test_raylets_are_killed_and_come_back(cluster, faults, service):
    """T1"""
    frames, kills = amount((48, 1), (240, 10))
    payload = LARGE | {"num_frames": frames}
    faults.set("note .", f"sleep:{amount(0.3, 1.2)} frame")
    rng = random.Random(1)
    client = Client(service.port, **payload)
    for number in range(1, kills + 1):
        mark = number * frames // (kills + 1)
        processes.wait_for(lambda: client.done >= mark or client.reply, PATIENCE, f"{mark} frames")
        pid = rng.choice(sorted(cluster.raylets()))
        kill(pid)
        processes.wait_for(lambda: pid not in cluster.raylets(), PATIENCE, "the raylet is gone")
        whole(cluster)
    reply = client.answer(PATIENCE)
    assert reply.code is None, reply.last
    found, begun = decoded(reply.video), labels(faults, client.job, "frame")
    status = ask(service.port, op="status", job=client.job).last
    tell(
        "T1 raylets",
        kills=kills,
        frames=frames,
        frames_lost=frames - len(found),
        attempts_per_frame=f"{begun.total() / frames:.2f} (most {max(begun.values())})",
        nodes=len(status["nodes"]),
    )
    assert found == calm(**payload)


def test_workers_and_encoders_are_killed(cluster, faults, service):
    """T1: a worker in mid-frame, ffmpeg in mid-segment."""
    kills = amount(3, 20)
    payload = SMALL | {"num_frames": 20 * kills, "maxiter": 201}
    faults.set("note .", "sleep:0.2 frame", "sleep:0.3 segment")
    rng = random.Random(2)
    client = Client(service.port, **payload)
    processes.wait_for(lambda: client.job, PATIENCE, "the job is accepted")
    for _number in range(kills):
        seen = len(faults.noted())
        # What was lost, queued tasks of a dead worker too, ends before the next one: a third time would be poison.
        processes.wait_for(
            lambda: len(faults.noted()) > seen + 12 or client.reply, PATIENCE, "tasks are begun"
        )
        busy = [pid for pid, command in processes.marked(cluster.mark).items() if "frame" in command]
        if busy:
            kill(rng.choice(busy))
    reply = client.answer(PATIENCE)
    assert reply.code is None, reply.last
    begun = labels(faults, client.job, "frame")
    tell("T1 workers", kills=kills, attempts_per_frame=f"{begun.total() / payload['num_frames']:.2f}")
    assert decoded(reply.video) == calm(**payload)


@pytest.mark.parametrize("number", range(amount(1, 3)))
def test_a_hung_raylet_is_noticed(cluster, faults, service, number):
    """T2"""
    payload = LARGE | {"num_frames": 36, "maxiter": 210 + number}
    faults.set("sleep:0.5 frame")
    client = Client(service.port, **payload)
    processes.wait_for(lambda: client.done >= 6, PATIENCE, "six frames")
    pid, node = next(iter(cluster.raylets().items()))
    kill(pid, signal.SIGSTOP)
    stopped = time.monotonic()

    def noticed() -> bool:
        nodes = ask(service.port, op="status").last["cluster"]["nodes"]
        return any(n["id"] == node and not n["alive"] for n in nodes)

    try:
        processes.wait_for(noticed, PATIENCE, "the status says that the node is dead")
        seconds = time.monotonic() - stopped
        reply = client.answer(PATIENCE)
        answered = time.monotonic() - stopped
    finally:
        kill(pid)
    tell("T2", seconds_to_detection=f"{seconds:.1f}", seconds_to_the_video=f"{answered:.1f}")
    assert reply.code is None, reply.last
    assert decoded(reply.video) == calm(**payload)


def test_a_hung_worker_is_left_behind(cluster, faults, service):
    """T2: a worker's process is stopped in mid-frame; its node is well, so that nobody notices."""
    payload = SMALL | {"num_frames": 24, "maxiter": 203}
    faults.set("note .", "sleep:0.3 frame")
    client = Client(service.port, **payload)

    def busy() -> list[int]:
        running = processes.marked(cluster.mark).items()
        return [pid for pid, command in running if client.job and f"{client.job[:8]} frame" in command]

    pid = processes.wait_for(busy, PATIENCE, "a frame is under way")[0]
    kill(pid, signal.SIGSTOP)
    stopped = time.monotonic()
    try:
        reply = client.answer(PATIENCE)
    finally:
        kill(pid)
    begun = labels(faults, client.job, "frame")
    seconds = time.monotonic() - stopped
    tell("T2 worker", seconds_to_the_video=f"{seconds:.1f}", most_attempts=max(begun.values()))
    assert reply.code is None, reply.last
    assert decoded(reply.video) == calm(**payload)

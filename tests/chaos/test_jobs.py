"""T3, T4, T16, T17, T20: what becomes of jobs when frames, nodes, encoders or people are bad."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from mandel.driver.jobs.policy import DEFAULT_POLICY
from mandel.payload.payload import parse
from mandel.protocol.strict_json import loads
from tests.support import ffmpeg, processes
from tests.support.chaos import LONG, PATIENCE, SMALL, Client, Faults, amount, ask, calm, decoded, tell
from tests.support.cluster import Cluster


def job_id(payload: dict) -> str:
    return parse(loads(json.dumps(payload).encode())).job_id()


def test_poison_frames(cluster, faults, service):
    """T3"""
    actions = {"kill": "WORKER_LOST", "raise": "INTERNAL", "eat:1": "INTERNAL"}
    poisoned = {action: SMALL | {"maxiter": 300 + k} for k, action in enumerate(actions)}
    faults.set("note .", *(f"{action} {job_id(p)[:8]} frame 4$" for action, p in poisoned.items()))
    good = Client(service.port, **SMALL | {"maxiter": 310})
    clients = {action: Client(service.port, **p) for action, p in poisoned.items()}
    figures = {}
    for action, client in clients.items():
        reply = client.answer(PATIENCE)
        assert reply.code == actions[action] and "frame 4" in reply.last["message"], reply.last
        assert "the last error: " in reply.last["message"]
        begun = sum(label.endswith(" frame 4") for _, label in faults.noted(client.job[:8]))
        # On a starved machine a late attempt is started twice (driver/jobs/stragglers.py), and says so.
        copies = service.output().count(f"{client.job[:8]}: frame 4 takes suspiciously long")
        assert begun <= 3 + copies
        figures[action] = begun
    assert decoded(good.answer(PATIENCE).video) == calm(**SMALL | {"maxiter": 310})
    tell("T3", attempts=figures, other_job="done")


@pytest.mark.skipif(not LONG, reason="takes 6 GiB")
def test_ray_kills_what_eats_memory(tmp_path):
    """T3: Ray's own memory monitor kills the worker of a frame that takes too much."""
    memory = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    total, free = (int(memory[name].split()[0]) << 10 for name in ("MemTotal", "MemAvailable"))
    if free < 10 << 30:
        pytest.skip("10 GiB must be free")
    cluster = Cluster(
        RAY_memory_usage_threshold=f"{1 - (free - (3 << 30)) / total:.3f}",
        RAY_memory_monitor_refresh_ms="100",
    )
    service = None
    try:
        head = cluster.head()
        assert head.returncode == 0, head.stderr + head.stdout
        service = cluster.service(tmp_path / "DB")
        payload = SMALL | {"maxiter": 315}
        faults = Faults(cluster.faults)
        faults.set("note .", f"eat:6 {job_id(payload)[:8]} frame 4$")
        good, poisoned = (Client(service.port, **p) for p in (SMALL | {"maxiter": 316}, payload))
        reply = poisoned.answer(PATIENCE)
        assert decoded(good.answer(PATIENCE).video) == calm(**SMALL | {"maxiter": 316})
        begun = sum(label.endswith(" frame 4") for _, label in faults.noted(poisoned.job[:8]))
        tell("T3 memory monitor", attempts=begun, code=reply.code, said=reply.last["message"][:120])
        assert reply.code == "WORKER_LOST" and "frame 4" in reply.last["message"] and begun <= 3
        assert "OutOfMemory" in reply.last["message"]
    finally:
        if service is not None:
            service.kill()
        cluster.end()


def test_a_bad_node_is_set_aside(cluster, faults, service):
    """T4"""
    pid = next(iter(cluster.raylets()))
    os.kill(pid, signal.SIGKILL)
    processes.wait_for(lambda: pid not in cluster.raylets(), PATIENCE, "the raylet is gone")
    before = set(cluster.raylets())
    bad = Faults(cluster.folder / "bad")
    bad.set("note .", "raise .")
    assert cluster.worker(MANDEL_TASK_FAULTS=str(bad.path)).returncode == 0
    (pid,) = set(cluster.raylets()) - before
    payload = SMALL | {"num_frames": amount(36, 120), "maxiter": 320}
    faults.set("sleep:0.3 .")
    try:
        reply = Client(service.port, **payload).answer(PATIENCE)
    finally:
        os.kill(pid, signal.SIGKILL)
    wasted = len(bad.noted(" frame "))  # workers that join also warm up
    tell("T4", attempts_wasted_on_the_bad_node=wasted, frames=payload["num_frames"])
    assert reply.code is None, reply.last
    assert decoded(reply.video) == calm(**payload)
    assert wasted <= 3 + DEFAULT_POLICY.max_batch  # calls that are on their way when the first one fails


def test_cancel_is_prompt(cluster, faults, service):
    """T16"""
    slowest = 0.0
    for number in range(amount(1, 10)):
        payload = SMALL | {"num_frames": 100, "maxiter": 330 + number}
        faults.set("sleep:0.3 frame", "sleep:1 segment")
        client = Client(service.port, **payload)
        processes.wait_for(lambda: client.done >= 30, PATIENCE, "30 % are rendered")
        moment = time.monotonic()
        ask(service.port, op="cancel", job=client.job)

        def idle() -> bool:
            running = processes.marked(cluster.mark).values()
            return not any(client.job[:8] in command or "ffmpeg" in command for command in running)

        processes.wait_for(idle, PATIENCE, "workers are idle, ffmpeg is gone")
        slowest = max(slowest, time.monotonic() - moment)
        assert client.answer(PATIENCE).code == "CANCELLED"
        assert not list(service.db.rglob(f"{client.job}/*.mp4"))
    tell("T16", cancels=number + 1, slowest_s=f"{slowest:.2f}", frame_s=0.3, final_files=0)


# Each takes minutes at least: all samples of a frame, or of a strip, are inside the set; the orbit of a bulb's
# root never returns.
INSIDE = SMALL | {"point": "-0.1,0.65", "start_delta": "0.02", "end_delta": "0.01", "maxiter": 2_000_000_000}
ORBIT = SMALL | {"point": "-0.75,0", "start_delta": "1e-59", "end_delta": "1e-60", "maxiter": 2_000_000_000}


def of_job(cluster: Cluster, job: str) -> list[str]:
    """What workers and encoders are at."""
    return [c for c in processes.marked(cluster.mark).values() if job[:8] in c or "ffmpeg" in c]


def idle(cluster: Cluster) -> int:
    """How many workers have nothing to do, whenever they were started."""
    return sum(command.startswith("ray::IDLE") for command in processes.marked(cluster.mark).values())


def test_a_cancel_frees_the_slots_whatever_is_computed(cluster, faults, service):
    """T16: real launches, none of which lasts, of tasks that would take minutes or hours."""
    kinds = {
        "frame": INSIDE,
        "strip": INSIDE | {"sampling": "shared"},
        "reference": ORBIT,
        "limit": INSIDE
        | {
            "maxiter": "auto",
            "frame_width": 1920,
            "frame_height": 1080,
            "num_frames": 200,
            "start_delta": "3",
            "end_delta": "1e-25",
        },
    }
    if LONG:
        kinds["large frame"] = INSIDE | {"frame_width": 16128, "frame_height": 16128}
        kinds["segment"] = SMALL | {"frame_width": 3840, "frame_height": 2160, "sampling": "shared"}
    seconds = {}
    for kind, payload in kinds.items():
        faults.set("note .")
        client = Client(service.port, **payload)
        processes.wait_for(lambda: faults.noted(f" {kind.split()[-1]} "), PATIENCE, f"a {kind} is begun")
        time.sleep(0 if kind in ("limit", "segment") else 2)
        # Waited for, as between two short tasks nothing runs for a moment.
        processes.wait_for(lambda: of_job(cluster, client.job), PATIENCE, "workers are busy with it")
        assert client.reply is None
        moment = time.monotonic()
        ask(service.port, op="cancel", job=client.job)
        processes.wait_for(lambda: not of_job(cluster, client.job), PATIENCE, "workers are idle")
        seconds[kind] = time.monotonic() - moment
        assert client.answer(PATIENCE).code == "CANCELLED"
    tell("T16 cancel", **{f"{kind}_s".replace(" ", "_"): f"{took:.2f}" for kind, took in seconds.items()})
    assert max(seconds.values()) < 60


def test_newcomers_see_frames_while_long_tasks_fill_every_slot(cluster, faults, service):
    """T20: first one client's, then also those of three that stay where newcomers are served."""
    faults.set("note .")
    firsts, long = [], [Client(service.port, client="long", **INSIDE)]
    processes.wait_for(lambda: len(faults.noted(" frame ")) >= 3, PATIENCE, "every slot is taken")
    for number in range(amount(2, 10)):
        if number == 1:
            long += [
                Client(service.port, client=f"longer {n}", **INSIDE | {"end_delta": f"0.01{n + 1}"})
                for n in range(3)
            ]
            processes.wait_for(
                lambda: all(faults.noted(c.job[:8]) for c in long if c.job), PATIENCE, "all have begun"
            )
            # The spare worker of each node is at work now, and would not be free at once for the newcomer.
            processes.wait_for(lambda: idle(cluster) >= 3, PATIENCE, "each node has another one")
        moment = time.monotonic()
        # Its colours follow from key views, which come before its first frame.
        limit = {"maxiter": "auto" if number % 2 else 370, "mapping": "even"}
        asked = SMALL | limit | {"num_frames": 6, "end_delta": f"0.0{number + 1}1"}
        small = Client(service.port, client=f"new {number}", **asked)
        processes.wait_for(lambda: small.done, PATIENCE, "a frame is shown")
        firsts.append(time.monotonic() - moment)
        assert small.answer(PATIENCE).code is None, "the video comes as well"
    assert not any(client.done or client.reply for client in long), (
        "the others are still at their first frames"
    )
    for client in long:
        ask(service.port, op="cancel", job=client.job)
        assert client.answer(PATIENCE).code == "CANCELLED"
    tell(
        "T20 first frames",
        newcomers=len(firsts),
        median_s=f"{sorted(firsts)[len(firsts) // 2]:.2f}",
        slowest_s=f"{max(firsts):.2f}",
    )


def test_encoders_fail(cluster, faults, encoders, service):
    """T17: two encoders of each job fail: a third time for one segment would be the end of the job."""
    orders = [(ffmpeg.KILLED, {"seconds": 0.02 * index}) for index in range(amount(2, 10))]
    orders += [(ffmpeg.FLOODS, {}), (ffmpeg.LIES, {})]
    faults.set("note .")
    slowest = 0.0
    for number in range(len(orders) // 2):
        for order, values in orders[2 * number : 2 * number + 2]:
            encoders.order(order, **values)
        payload = SMALL | {"maxiter": 340 + number}
        client = Client(service.port, **payload)
        reply = client.answer(PATIENCE)
        assert reply.code is None, reply.last
        assert decoded(reply.video) == calm(**payload)
        assert encoders.waiting == 0
        slowest = max(slowest, client.latency)
    begun = len(faults.noted(" segment "))
    tell(
        "T17", encoders_failed=len(orders), jobs=number + 1, segments_begun=begun, slowest_s=f"{slowest:.1f}"
    )
    processes.wait_for(
        lambda: not any("ffmpeg" in c for c in processes.marked(cluster.mark).values()),
        PATIENCE,
        "no encoder is left",
    )


def test_a_huge_job_starves_nobody(cluster, faults, service):
    """T20"""
    faults.set("sleep:0.1 frame")
    huge = Client(service.port, **SMALL | {"num_frames": 5000, "maxiter": 350})
    processes.wait_for(lambda: huge.done >= 10, PATIENCE, "the huge job is under way")
    latencies = []
    for number in range(10):
        small = Client(service.port, **SMALL | {"num_frames": 6, "maxiter": 360 + number})
        assert small.answer(PATIENCE).code is None
        latencies.append(small.latency)
    assert huge.reply is None, "it is still under way"
    ask(service.port, op="cancel", job=huge.job)
    huge.answer(PATIENCE)
    tell("T20", small_jobs=10, median_s=f"{sorted(latencies)[5]:.2f}", p95_s=f"{sorted(latencies)[9]:.2f}")


def test_a_full_disk(cluster, faults, tmp_path):
    """T17: the disk fills up in the middle of a job; asked again, the job goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", str(disk)]).returncode:
        pytest.skip("a small disk can be mounted by root alone")
    service = None
    try:
        service = cluster.service(disk / "DB")
        payload = SMALL | {"num_frames": 48, "maxiter": 380}
        faults.set("note .", "sleep:0.3 frame")
        client = Client(service.port, **payload)
        processes.wait_for(
            lambda: client.said and client.said[-1].get("segments", 0) >= 2, PATIENCE, "two segments"
        )
        moment = time.monotonic()
        with open(disk / "filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(1 << 16))
        reply = client.answer(PATIENCE)
        seconds = time.monotonic() - moment
        assert reply.code == "DISK_FULL" and "free some" in reply.last["message"]
        assert ask(service.port, **SMALL | {"maxiter": 381}).code == "DISK_FULL"
        (disk / "filler").unlink()
        reply = Client(service.port, **payload).answer(PATIENCE)
        assert reply.code is None, reply.last
        assert decoded(reply.video) == calm(**payload)
        again = Counter(label for _, label in faults.noted(f"{client.job[:8]} frame"))
        tell(
            "T17 full disk",
            seconds_until_the_job_said_so=f"{seconds:.1f}",
            frames_begun_again=again.total() - len(again),
        )
        assert "Traceback" not in service.output(), service.output()
        assert service.stop() == 0
        assert "/3.0 CPU" in cluster.status(), "a service leaves a cluster that it joined as it was"
    finally:
        if service is not None:
            service.kill()
        subprocess.run(["umount", "-l", str(disk)], check=True)

"""Tasks that take much memory ask for it: on a real Ray they start only where a node has it left."""

import json
from pathlib import Path

from mandel.driver.jobs.job_run import JobRun
from mandel.payload.payload import parse
from mandel.plan.memory_needs import frame_bytes
from mandel.protocol.strict_json import loads
from tests.support.processes import run_with_ray

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import os, time
os.sched_getaffinity = lambda pid: {0, 1, 2}  # three slots, whatever this machine has
from mandel.driver.executors.ray_token import ensure_token
ensure_token()
from mandel.tasks.executor import Task
from mandel.driver.executors.ray_executor import RayExecutor
from mandel.colour.style import ColourStyle
from mandel.plan.view import View
from mandel.tasks.units import FrameUnit, ReferenceUnit
own = RayExecutor("local", "cpu")
long = ReferenceUnit("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139", 3000, 10**8)
short = FrameUnit(View("-0.5", "0", "2", 64, 64), 100, 1000.0, ColourStyle(), 1)
most = int(max(node["resources"]["memory"] for node in own.nodes()))
for memory in (0, int(0.6 * most)):
    tickets = own.submit([Task("reference", long, label="job a", memory=memory)])
    tickets += own.submit([Task("reference", long, label="job b", memory=memory)])
    end, enough = time.monotonic() + 90, 2 if not memory else 1
    while sum(own.progress(ticket) is not None for ticket in tickets) < enough and time.monotonic() < end:
        own.wait(0.05)
    [frame] = own.submit([Task("frame", short, label="job frame")])  # the third slot is free
    while frame not in [outcome.ticket for outcome in own.wait(0.05)] and time.monotonic() < end:
        pass
    print(sum(own.progress(ticket) is not None for ticket in tickets), flush=True)
    for ticket in tickets:
        own.cancel(ticket)
    while own._running and time.monotonic() < end:
        own.wait(0.05)
own.close()
"""


def test_two_that_a_node_cannot_hold_together_run_one_after_the_other():
    done = run_with_ray(SCRIPT)
    assert done.stdout.split() == ["2", "1"], done.stdout + done.stderr


def test_tasks_of_large_frames_ask_and_others_do_not():
    def tasks_of(side):
        asked = {"frame_width": side, "frame_height": side, "num_frames": 1, "maxiter": 9, "mapping": "root"}
        payload = parse(loads(json.dumps(asked).encode()))
        job = JobRun("j", payload, Path("/nowhere"), {})
        item, frame = job.next("cpu")
        [(_, segment)] = job.ended(item, object())
        return frame, segment

    assert [task.memory for task in tasks_of(12_000)] == [frame_bytes(12_000, 12_000)] * 2
    assert [task.memory for task in tasks_of(1_000)] == [0, 0]

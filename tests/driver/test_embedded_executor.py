"""The executor without Ray: real processes, killed and interrupted."""

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mandel.colour.style import ColourStyle
from mandel.device import machine
from mandel.device.choose import devices
from mandel.driver.executors.embedded_executor import EmbeddedExecutor
from mandel.errors import RenderError
from mandel.plan.view import View
from mandel.tasks.executor import Task
from mandel.tasks.units import FrameUnit, SegmentUnit
from tests.support.processes import wait_for


@pytest.fixture
def executor():
    executor = EmbeddedExecutor("cpu")
    yield executor
    executor.close()


def frame(name="frame 1", size=64, maxiter=100, **more):
    unit = FrameUnit(View("-0.75", "0.1", "0.1", size, size), maxiter, 1000.0, ColourStyle(), 1)
    return Task("frame", unit, label=f"job {name}", **more)


def endless(name="frame 1", **more):
    """A frame of which nothing escapes before 125,000 iterations: direct, so that no block skips them; many minutes."""
    unit = FrameUnit(View("-0.75", "0.00002", "1e-5", 2048, 2048), 2 * 10**9, 1000.0, ColourStyle(), 4)
    return Task("frame", unit, label=f"job {name}", **more)


def ended(executor, tickets, seconds=60):
    """The outcomes of these tickets, in order."""
    outcomes, until = {}, time.monotonic() + seconds
    while not outcomes.keys() >= set(tickets):
        assert time.monotonic() < until, "tasks do not end"
        outcomes |= {outcome.ticket: outcome for outcome in executor.wait(0.2)}
    return [outcomes[ticket] for ticket in tickets]


def descriptors():
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def test_results_small_and_large_come_as_they_were_made(executor):
    small, large = ended(executor, [executor.submit([frame(size=size)])[0] for size in (64, 640)])
    pictures = [executor.fetch(outcome.handle) for outcome in (small, large)]
    assert [picture.shape for picture in pictures] == [(96, 64), (960, 640)]
    assert small.handle.descriptor is None and large.handle.descriptor is not None
    assert small.info["node"] == executor.nodes()[0]["id"]
    with pytest.raises(ValueError, match="read-only"):
        pictures[1][0, 0] = 1  # the memory is everybody's


def test_results_of_earlier_tasks_and_published_values_are_inputs(executor):
    frames = ended(executor, executor.submit([frame(f"frame {n}", 320) for n in range(2)]))
    strips = [outcome.handle for outcome in frames]
    unit = SegmentUnit(320, 320, 30)
    made = executor.submit([Task("segment", unit, (strips[0], strips[1]), label="job segment 0")])
    published = [executor.publish(executor.fetch(handle).copy()) for handle in strips]
    again = executor.submit([Task("segment", unit, tuple(published), label="job segment 1")])
    plain = executor.submit(
        [Task("segment", unit, tuple(map(executor.fetch, strips)), label="job segment 2")]
    )
    segments = [executor.fetch(outcome.handle) for outcome in ended(executor, [*made, *again, *plain])]
    assert all(np.array_equal(segments[0], other) for other in segments[1:]) and segments[0].size > 100


def test_memory_is_freed_with_the_handles(executor):
    ended(executor, [executor.submit([frame(f"frame {n}")])[0] for n in range(machine.cores())])
    before = descriptors()
    outcomes = ended(executor, [executor.submit([frame(f"frame {n}", 640)])[0] for n in range(6)])
    assert descriptors() >= before + 6
    outcomes.clear()
    wait_for(lambda: descriptors() <= before, 30, "a thread closes them")


def test_a_killed_worker_fails_its_call_alone_and_is_replaced(executor):
    (first,) = ended(executor, executor.submit([frame()]))
    tickets = [executor.submit([endless(f"frame {n}"), frame(f"frame {n}a")]) for n in range(machine.cores())]
    time.sleep(0.5)
    os.kill(first.info["pid"], signal.SIGKILL)
    lost, until = [], time.monotonic() + 60
    while not lost and time.monotonic() < until:
        lost = executor.wait(0.2)
    assert [outcome.error["code"] for outcome in lost] == ["WORKER_LOST"] * 2
    assert [bool(outcome.info.get("node")) for outcome in lost] == [True, False]
    for pair in tickets:
        for ticket in pair:
            executor.cancel(ticket)
    (after,) = ended(executor, executor.submit([frame("frame 9", failures=1)]))
    assert after.error is None
    alive = {worker.process.pid for worker in executor._workers}
    assert first.info["pid"] not in alive and len(alive) >= machine.cores()


def test_a_cancelled_call_ends_and_its_worker_goes_on(executor):
    (first,) = ended(executor, executor.submit([frame()]))
    running = [executor.submit([endless(f"frame {n}")])[0] for n in range(machine.cores())]
    (waiting,) = executor.submit([frame("frame 77")])
    time.sleep(1)
    for ticket in (*running, waiting):
        executor.cancel(ticket)
    outcomes = ended(executor, [*running, waiting])
    assert {outcome.error["code"] for outcome in outcomes} == {"CANCELLED"}
    again = ended(executor, [executor.submit([frame(f"frame {n}")])[0] for n in range(2 * machine.cores())])
    assert all(outcome.error is None for outcome in again)
    assert first.info["pid"] in {worker.process.pid for worker in executor._workers}


def test_a_task_that_names_the_node_starts_beside_full_slots(executor):
    running = [executor.submit([endless(f"frame {n}")])[0] for n in range(machine.cores())]
    (beside,) = executor.submit([frame("frame 99", node=executor.nodes()[0]["id"])])
    assert ended(executor, [beside])[0].error is None
    for ticket in running:
        executor.cancel(ticket)
    ended(executor, running)


def test_a_call_that_has_lasted_long_enough_hands_the_rest_back(executor):
    batch = [frame(f"frame {n}", call_seconds=1e-9) for n in range(3)]
    codes = [out.error and out.error["code"] for out in ended(executor, executor.submit(batch))]
    assert codes == [None, "RETURNED_UNTRIED", "RETURNED_UNTRIED"]


def test_a_long_call_gives_signs_of_life_and_tasks_that_need_memory_wait(executor):
    share = int(0.5 * machine.memory_bytes())
    (long,) = executor.submit([endless(memory=share)])
    (other,) = executor.submit([frame("frame 2", memory=share)])
    until = time.monotonic() + 60
    while not executor.heard([long]) and time.monotonic() < until:
        assert executor.wait(0.2) == []
    assert executor.heard([long, other]).keys() == {long}
    executor.cancel(long)
    outcomes = ended(executor, [long, other])
    assert outcomes[0].error["code"] == "CANCELLED" and outcomes[1].error is None


def test_stopped_workers_are_replaced_and_those_at_work_are_not(monkeypatch, tmp_path):
    """All slots hang at once, so that no copy could help: one in mid-call, the others before they got theirs."""
    monkeypatch.setattr("mandel.driver.executors.embedded_executor._SILENT_SECONDS", 12.0)
    faults = tmp_path / "faults"
    faults.write_text("sleep:18 asleep\n")  # takes no time of a core, and says that it is at work
    monkeypatch.setenv("MANDEL_TASK_FAULTS", str(faults))
    executor = EmbeddedExecutor("cpu")
    try:
        ended(executor, [executor.submit([frame(f"frame {n}")])[0] for n in range(4 * machine.cores())])
        stopped = [worker.process.pid for worker in executor._workers]
        os.kill(stopped[0], signal.SIGSTOP)
        first = [executor.submit([endless(f"frame {n}"), frame(f"frame {n}a")]) for n in range(len(stopped))]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        outcomes = ended(executor, [ticket for pair in first for ticket in pair], 600)
        assert {outcome.error["code"] for outcome in outcomes} == {"WORKER_HUNG"}
        assert "did nothing" in outcomes[0].error["message"]
        assert not any(Path(f"/proc/{pid}").exists() for pid in stopped)
        # Others have taken their places, and long calls stay for longer than the stopped ones did.
        (asleep,) = executor.submit([frame("asleep")])
        working = [executor.submit([endless(f"frame {n}")])[0] for n in range(machine.cores() - 1)]
        assert ended(executor, [asleep], 600)[0].error is None
        for ticket in working:
            executor.cancel(ticket)
        codes = {outcome.error["code"] for outcome in ended(executor, working, 600)}
        assert codes <= {"CANCELLED"}
    finally:
        executor.close()


def test_workers_that_cannot_start_are_told_of(monkeypatch):
    monkeypatch.setattr("mandel.driver.executors.embedded_executor.sys.executable", "/bin/false")
    executor = EmbeddedExecutor("cpu")
    with pytest.raises(RenderError, match="end as they start"):
        for _ in range(100):
            executor.wait(0.1)
    executor.close()


def test_a_machine_without_a_gpu_says_so():
    if any(device.is_gpu and device.usable for device in devices()):
        pytest.skip("this machine has a GPU")
    with pytest.raises(RenderError, match="no GPU here"):
        EmbeddedExecutor("gpu")


def test_no_worker_outlives_its_driver():
    """Killed as it is, it cannot tell them: they see that the line is closed."""
    program = (
        "import time; from mandel.driver.executors.embedded_executor import EmbeddedExecutor; "
        "e = EmbeddedExecutor('cpu'); print(*(w.process.pid for w in e._workers), flush=True); time.sleep(100)"
    )
    driver = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    pids = [int(word) for word in driver.stdout.readline().split()]
    driver.stdout.close()
    assert len(pids) == machine.cores() and all(Path(f"/proc/{pid}").exists() for pid in pids)
    driver.kill()
    driver.wait()
    until = time.monotonic() + 60  # they read the line once they have started
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)

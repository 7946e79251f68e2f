"""Cancelling a call in a worker leaves nothing half made."""

import _thread
from pathlib import Path

import pytest

from mandel.colour.style import ColourStyle
from mandel.plan.view import View
from mandel.tasks.units import FrameUnit
from mandel.worker import functions
from mandel.worker.interrupt import held_back
from tests.support import processes

SLOT = functions.Slot("cpu", 1)


def test_an_interrupt_comes_at_the_end_of_the_block():
    done = []
    with pytest.raises(KeyboardInterrupt), held_back():
        _thread.interrupt_main()
        done.append(sum(range(1000)))
    assert done
    with held_back():  # and only once
        pass
    with pytest.raises(KeyboardInterrupt):
        _thread.interrupt_main()
        sum(range(1000))


def test_an_interrupted_task_leaves_no_studio(monkeypatch):
    unit = FrameUnit(View("-0.5", "0", "2", 32, 32), 50, 1000.0, ColourStyle(), 1)
    # A job of this test alone: what failed of another one in this process would be handed back untried.
    before, _ = functions.run("frame", unit, SLOT, label="of-this-test 1")
    half_made = functions.worker_context(SLOT)

    def interrupted(unit, slot):
        assert functions.worker_context(slot) is half_made
        _thread.interrupt_main()
        return sum(range(1000))

    monkeypatch.setitem(functions.FUNCTIONS, "slow", interrupted)
    with pytest.raises(KeyboardInterrupt):
        functions.run("slow", unit, SLOT, label="of-this-test 2")
    after, facts = functions.run("frame", unit, SLOT, label="of-this-test 3")
    assert "error" not in facts and (before == after).all()
    assert (
        functions.worker_context(SLOT) is not half_made
        and functions.worker_context(SLOT).context is not half_made.context
    )


SCRIPT = """
import os, time
os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
from mandel.driver.executors.ray_token import ensure_token
ensure_token()
from mandel.driver.executors import ray_executor
from mandel.tasks.executor import Task
from mandel.colour.style import ColourStyle
from mandel.plan.view import View
from mandel.tasks.units import FrameUnit, ReferenceUnit
ray_executor._GRACE_SECONDS = 0
own = ray_executor.RayExecutor("local", "cpu")
short = FrameUnit(View("-0.5", "0", "2", 64, 64), 100, 1000.0, ColourStyle(), 1)
long = ReferenceUnit("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139", 3000, 10**8)

def wait(seconds, ticket=None):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for outcome in own.wait(0.02):
            if outcome.ticket == ticket:
                return outcome

for seconds, name in ((0.9, "job"), (0.3, "job"), (0.6, "deaf"), (0.0, "job")):  # the first: about when it imports
    [ticket] = own.submit([Task("reference", long, label=f"job {name}")])
    wait(seconds)
    own.cancel(ticket)
    [ticket] = own.submit([Task("frame", short, label="job frame")])
    outcome = wait(60, ticket)
    print("frame", outcome.error if outcome else "never ended", flush=True)
own.close()
"""


def test_a_worker_whose_calls_are_cancelled_goes_on(tmp_path):
    """Whenever the interrupt comes, and though the first one of the third call is lost."""
    faults = tmp_path / "faults"
    faults.write_text("deaf:300 job deaf\n")
    done = processes.run_with_ray(SCRIPT, MANDEL_TASK_FAULTS=str(faults))
    assert done.stdout.splitlines() == ["frame None"] * 4, done.stdout + done.stderr
    assert "deaf job deaf" in Path(f"{faults}.log").read_text()

"""What there is in the cluster is asked of Ray on a thread: its answer may take long."""

from pathlib import Path

from tests.support.processes import run_with_ray

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import threading, time
from mandel.driver.executors.ray_token import ensure_token
ensure_token()
import ray
from mandel.colour.style import ColourStyle
from mandel.driver.executors.ray_executor import RayExecutor
from mandel.plan.view import View
from mandel.tasks.executor import Task
from mandel.tasks.units import FrameUnit
own = RayExecutor("local", "cpu")
asked, goes_on, nodes = threading.Event(), threading.Event(), ray.nodes

def hang():
    asked.set()
    goes_on.wait()
    return nodes()

ray.nodes = hang
print(asked.wait(60), flush=True)
[ticket] = own.submit([Task("frame", FrameUnit(View("-0.5", "0", "2", 64, 64), 100, 1000.0, ColourStyle(), 1))])
end, outcomes = time.monotonic() + 300, []
while not outcomes and time.monotonic() < end:
    outcomes = own.wait(0.05)
    assert own.nodes()[0]["alive"] and own.slots()["cpu"] and own.memory()
print([(it.ticket == ticket, it.error) for it in outcomes], goes_on.is_set(), flush=True)
goes_on.set()
own.close()
"""


def test_nobody_waits_for_what_ray_says_of_its_nodes():
    done = run_with_ray(SCRIPT)
    assert done.stdout.splitlines() == ["True", "[(True, None)] False"], done.stdout + done.stderr

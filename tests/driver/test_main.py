"""The driver's orders, without a cluster."""

import socket
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

from mandel.driver import main
from mandel.driver.jobs.scheduler import Scheduler
from mandel.driver.main import Channel, _obey
from mandel.protocol import control
from tests.support.local_executor import LocalExecutor
from tests.support.processes import wait_for
from tests.support.service import ROOT

JOB = "a" * 64


def test_a_job_that_cannot_be_read_fails_alone(tmp_path):
    said = []
    channel, executor = SimpleNamespace(send=said.append), LocalExecutor()
    scheduler = Scheduler(executor, channel.send)
    order = control.Render(job=JOB, payload={}, tmp=str(tmp_path), segments=[], strips=[])
    for payload in ({"num_frames": "many"}, {"palette": "gone"}, None):
        assert _obey(replace(order, payload=payload), channel, scheduler, lambda: None)
        event = said.pop()
        assert (type(event), event.job, event.code) == (control.Failed, JOB, "BAD_JOB")
    assert not scheduler.busy and not said
    assert not _obey(control.Stop(), channel, scheduler, lambda: None)
    scheduler.close()
    executor.close()


def test_an_order_that_cannot_be_read_fails_its_job_alone():
    ours, theirs = socket.socketpair()
    channel = Channel(theirs.detach())  # its thread ends with the first line that is no order
    bad = control.encode(control.Render(job=JOB, payload=None, tmp="t", segments=[], strips=[]))
    with ours:
        ours.sendall(bad + control.encode(control.Cancel(job=JOB)))
        assert list(channel.orders(20)) == [control.Cancel(job=JOB)]
        said = control.decode_event(ours.recv(1 << 16))
        assert (said.job, said.code) == (JOB, "BAD_JOB") and "payload" in said.message
        ours.sendall(b"no JSON\n")
        assert list(channel.orders(20)) == [control.Stop()]  # as if the head were gone
    channel._reader.close()
    channel._socket.close()


def test_orders_that_take_long_come_one_at_a_time(monkeypatch):
    """Between them slots are filled, and the loop shows that it is alive."""
    monkeypatch.setattr(main, "_STEP_SECONDS", 0.0)  # whatever an order takes is long
    ours, theirs = socket.socketpair()
    channel, wanted = Channel(theirs.detach()), [control.Cancel(job=letter * 64) for letter in "abc"]
    with ours:
        ours.sendall(b"".join(map(control.encode, wanted)) + b"no JSON\n")
        wanted.append(control.Stop())
        wait_for(lambda: channel._inbox.qsize() == len(wanted), 20, "all is read")
        assert [list(channel.orders(20)) for _ in wanted] == [[order] for order in wanted]
    channel._reader.close()
    channel._socket.close()


HUNG = """
import runpy, sys, threading
from mandel.driver.executors import embedded_executor
from mandel.errors import RenderError

def failing(device):
    threading.Thread(target=threading.Event().wait).start()  # as one does whose disk hangs
    raise RenderError("NO_DEVICE", "injected")

embedded_executor.EmbeddedExecutor = failing
sys.argv = ["driver", "--fd", sys.argv[1], "--address", "embedded"]
runpy.run_module("mandel.driver.main", run_name="__main__")
"""


def test_a_driver_that_failed_ends_whatever_its_threads_wait_for():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-c", HUNG, str(theirs.fileno())]
        with subprocess.Popen(command, pass_fds=(theirs.fileno(),), cwd=ROOT) as driver:
            try:
                assert driver.wait(60) == 3
            finally:
                driver.kill()
        events = map(control.decode_event, ours.makefile("rb"))
        said = next(event for event in events if not isinstance(event, control.Alive))
        assert isinstance(said, control.Unavailable) and said.message == "injected"

"""The driver's process: takes jobs from the head, gives back files and events.

When Ray's control store dies, Ray ends this process without running ``finally``. So the driver is a process of its own,
and keeps nothing that the head has not been given.
"""

from __future__ import annotations

import argparse
import os
import queue
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mandel.driver.executors.embedded_executor import EmbeddedExecutor
from mandel.driver.executors.ray_cluster import EMBEDDED
from mandel.driver.executors.ray_token import ensure_token
from mandel.driver.files.disk_cache import Cache
from mandel.driver.files.strip_files import StripFiles
from mandel.driver.heartbeat import Heartbeat
from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.scheduler import Scheduler
from mandel.errors import MandelError
from mandel.payload.payload import Payload
from mandel.protocol import control
from mandel.tasks.executor import Executor

if TYPE_CHECKING:
    from mandel.driver.executors.ray_executor import RayExecutor

_STEP_SECONDS = 0.2
_CLUSTER_SECONDS = 2.0
# Exit statuses, as service/jobs/suspects.py weighs them. Ray ends this process with 1 when its control store is gone.
_LOST_RAY, _FAILED = 4, 5
_LATE_SECONDS = 60.0  # on a machine at full load Ray starts in 40 s


class Channel:
    """Messages to and from the supervisor over a connected socket."""

    def __init__(self, descriptor: int):
        self._socket = socket.socket(fileno=descriptor)
        self._reader = self._socket.makefile("rb")
        self._sending = threading.Lock()
        self._inbox: queue.SimpleQueue[control.Order | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="mandel-inbox", daemon=True).start()

    def _read(self) -> None:
        try:
            for line in self._reader:
                try:
                    self._inbox.put(control.decode_order(line))
                except control.BadMessage as error:
                    if error.job is None:
                        break
                    self.send(_unreadable(error.job, error))
        except OSError:
            pass
        self._inbox.put(control.Stop())  # the supervisor is gone

    def wake(self) -> None:
        """Lets ``orders`` return; any thread may call it."""
        self._inbox.put(None)

    def orders(self, timeout: float) -> Iterator[control.Order]:
        """What has arrived; waits for something, or for ``wake``, at most ``timeout`` seconds.

        Planning a job may take seconds. So after a moment what is left is for the next call: slots are to be filled
        in between, and the loop goes round.
        """
        try:
            order = self._inbox.get(timeout=timeout)
            began = time.monotonic()
            while True:
                if order is not None:
                    yield order
                if time.monotonic() - began > _STEP_SECONDS:
                    return
                order = self._inbox.get_nowait()
        except queue.Empty:
            return

    def send(self, event: control.Event) -> None:
        """Sends one event, from any thread; a supervisor that is gone is noticed by the reader."""
        line = control.encode(event)
        try:
            with self._sending:
                self._socket.sendall(line)
        except OSError:
            pass


def _unreadable(job: str, error: Exception) -> control.Failed:
    """What is said of a job that this version cannot read, as another stored it: it fails alone."""
    said = f"the job cannot be read ({type(error).__name__}: {error}); send its payload again"
    return control.Failed(job=job, code="BAD_JOB", message=said)


def _job_run(order: control.Render | control.Estimate) -> JobRun:
    """The job of an order. Raises MandelError, and what reading a payload of another version may raise."""
    payload = Payload.from_canonical(order.payload)
    source = Payload.from_canonical(order.source) if order.source is not None else None
    cache = Cache(Path(order.cache)) if order.cache is not None else None
    tmp = Path(order.tmp) if isinstance(order, control.Render) else Path()
    found = {strip.strip: (strip.path, strip.base, strip.bytes, strip.sha256) for strip in order.strips}
    strips = StripFiles(order.job, tmp, found, payload.keep_strips or source is not None)
    if isinstance(order, control.Estimate):
        return JobRun(order.job, payload, tmp, {}, 0, cache, order.client, strips, source, estimated=True)
    finished = {segment.index: Path(segment.path) for segment in order.segments}
    return JobRun(order.job, payload, tmp, finished, order.priority, cache, order.client, strips, source)


def _obey(
    order: control.Order, channel: Channel, scheduler: Scheduler, round_done: Callable[[], None]
) -> bool:
    """Carries out one order; False when it is the last."""
    match order:
        case control.Render() | control.Estimate():
            try:
                job = _job_run(order)
            except (
                MandelError,
                ArithmeticError,
                AttributeError,
                LookupError,
                TypeError,
                ValueError,
            ) as error:
                channel.send(_unreadable(order.job, error))
            else:
                scheduler.add(job)
        case control.Change():
            scheduler.change(order.job, order.priority, order.client)
        case control.Adopted():
            scheduler.adopted(order.job, order.index, Path(order.path))
        case control.Cancel():
            scheduler.cancel(order.job)
        case control.Stop():
            scheduler.drain(order.seconds, round_done)
            return False
    return True


def _drive(channel: Channel, executor: Executor, heartbeat: Heartbeat) -> None:
    scheduler = Scheduler(executor, channel.send, channel.wake)
    told = 0.0
    try:
        while True:
            heartbeat.round_done()
            if time.monotonic() - told > _CLUSTER_SECONDS:
                told = time.monotonic()
                channel.send(
                    control.Cluster(
                        nodes=executor.nodes(),
                        slots=executor.slots(),
                        tasks=scheduler.tasks,
                        store=executor.memory(),
                    )
                )
            # With tasks under way the driver waits for the next outcome, else for the next order.
            for order in channel.orders(0 if scheduler.tasks else _STEP_SECONDS):
                if not _obey(order, channel, scheduler, heartbeat.round_done):
                    return
            if scheduler.busy or scheduler.tasks:  # those of a job that was cancelled end here too
                scheduler.step(_STEP_SECONDS if scheduler.tasks else 0)
    finally:
        scheduler.close()


def _tell_late(channel: Channel, address: str) -> None:
    said = (
        f"Ray ({address}) has not answered for {_LATE_SECONDS:.0f} s. If it is a head's address, something else "
        "may answer there, or not take this token; --address names another"
    )
    channel.send(control.Log(level="error", message=said))


def _executor(address: str, device: str, channel: Channel) -> RayExecutor | EmbeddedExecutor:
    """The executor that the setting ``address`` names. Ray is imported only where it is used: it takes a second."""
    if address == EMBEDDED:
        return EmbeddedExecutor(device)
    if word := ensure_token():
        channel.send(control.Log(level="warning", message=word))
    from mandel.driver.executors.ray_executor import RayExecutor

    return RayExecutor(address, device)


def main(argv: list[str] | None = None) -> int:
    """Runs until told to stop or until the supervisor is gone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fd", type=int, required=True, help="descriptor of the supervisor's socket")
    parser.add_argument("--address", default="auto", help="Ray cluster, as ray_head.py takes it")
    parser.add_argument("--device", default="auto", help="OpenCL device, as ray_head.py takes it")
    options = parser.parse_args(argv)
    # Ctrl-C in a terminal is the supervisor's business. A handler, not SIG_IGN: that would be
    # inherited by Ray's workers, and ray.cancel interrupts them by SIGINT.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    channel = Channel(options.fd)
    heartbeat = Heartbeat(channel.send)
    late = threading.Timer(_LATE_SECONDS, _tell_late, (channel, options.address))
    late.daemon = True
    late.start()
    try:
        executor = _executor(options.address, options.device, channel)
    except MandelError as error:
        channel.send(control.Unavailable(code=error.code, message=error.message))
        return 3
    finally:
        late.cancel()
    channel.send(
        control.Ready(
            address=executor.address,
            dashboard=executor.dashboard,
            joined=executor.joined,
            nodes=executor.nodes(),
        )
    )
    if executor.notice:
        channel.send(control.Log(level="warning", message=executor.notice))
    try:
        _drive(channel, executor, heartbeat)
    except MandelError as error:
        channel.send(control.Log(level="error", message=error.message))
        return _LOST_RAY  # closing may wait for ever; the supervisor ends what is left
    except Exception as error:
        traceback.print_exc()
        channel.send(control.Log(level="error", message=f"the program failed: {error!r}"))
        return _FAILED
    executor.close()
    return 0


if __name__ == "__main__":
    exit_status = main()
    # A thread whose disk hangs would keep this process, and all jobs would wait for the next one.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_status)

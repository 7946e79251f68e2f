"""The supervisor: keeps a driver alive, hands it the jobs, has its files stored.

It has four threads. ``keeper`` starts the driver, hears what it says, and starts another when it dies. ``sender`` gives
it its orders, so that a driver that does not listen blocks nobody else. Neither works on the disk while a driver lives.
``storing`` carries out what the driver said, in that order. ``beginning`` proves the segments of jobs that are about to
begin.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mandel.errors import MandelError, RenderError, StoreError
from mandel.protocol import control
from mandel.service.jobs import cluster_nodes, strips
from mandel.service.jobs.job import Job, check_engine
from mandel.service.jobs.registry import Registry
from mandel.service.supervision.driver_output import DriverOutput
from mandel.service.supervision.driver_process import DriverProcess
from mandel.service.supervision.estimates import Estimates
from mandel.service.supervision.reports import AT_ONCE, Reports, words
from mandel.store.durable import remove

_log = logging.getLogger("mandel")

_LONGEST_PAUSE = 30.0
_SHORT_PAUSE = 3.0  # after one that was ready: starting it took its time
_HEALTHY_SECONDS = 60.0  # a driver that lived so long is started again at once
_START_SECONDS = 120.0  # without a word; on a machine at full load the driver's imports alone take long
_MOST_WAITING = 10_000  # events; the driver's own bounds keep it far below that
_END_SECONDS = 4.0  # of the drain time, for the driver to leave Ray


class Supervisor:
    """Runs the jobs of ``registry``.

    Args:
        command: how to start the driver; ``--fd N`` is added.
        silence: seconds without a word after which a driver that was ready is replaced.

    Attributes:
        facts: state of the driver, how often it was started, its last error.
        cluster: what it told of its cluster: address, dashboard, nodes, slots, tasks.
        estimates: of what payloads would take.
        unready_since: from when on there was no driver that was ready; monotonic time in s, None: there is one.
    """

    def __init__(self, registry: Registry, command: Sequence[str], silence: float):
        self.facts: dict[str, Any] = {"state": "starting", "starts": 0, "error": None}
        self.cluster: dict[str, Any] = {"nodes": []}
        self._registry = registry
        self._command = tuple(command)
        self._joined: tuple[str, ...] = ()  # the cluster that a driver joined: this one is waited for
        self._chatter = DriverOutput(registry.store.names.renderer_log)
        self.unready_since: float | None = time.monotonic()
        self._silence = silence
        self._driver: DriverProcess | None = None
        self._outbox: deque[control.Order] = deque()
        # The jobs that the driver has, and where it writes for them; under the registry's lock.
        self._folders: dict[str, Path] = {}
        self._reports = Reports(registry, self._tell)
        self.estimates = Estimates(self._tell, str(registry.store.names.cache))
        self._storing = ThreadPoolExecutor(1, "storing")
        self._storing_room = threading.Semaphore(_MOST_WAITING)
        self._beginning = ThreadPoolExecutor(1, "beginning")
        self._trouble = ""  # why what the driver said could not be carried out
        self._stopping = threading.Event()
        self._stop_said = False
        self._drain_seconds = 0.0
        self._keeper = threading.Thread(target=self._keep, name="keeper")
        self._sender = threading.Thread(target=self._send, name="sender")

    def start(self) -> None:
        """Starts the threads, and so the driver."""
        self._keeper.start()
        self._sender.start()
        for pool in (self._storing, self._beginning):
            pool.submit(lambda: None)  # its thread begins now, not with the first job

    def stop(self, patience: float) -> None:
        """Lets the driver hand over what it has finished for ``patience`` seconds, then ends it.

        The registry must have been closed. Loses no job.
        """
        with self._registry.lock:
            self._drain_seconds = max(0.0, patience - _END_SECONDS)
            self._stopping.set()
            self._registry.work.notify_all()
            driver = self._driver
        if driver is not None and not driver.ready:
            driver.signal(signal.SIGTERM)  # it does not listen yet
        self._keeper.join(patience)
        if self._keeper.is_alive() and driver is not None:
            driver.signal(signal.SIGKILL)
        self._keeper.join()
        with self._registry.lock:
            self._registry.work.notify_all()
        self._sender.join()
        self._beginning.shutdown()
        self._storing.shutdown()
        self.estimates.close()

    # -- sender -----------------------------------------------------------

    def _tell(self, order: control.Order) -> None:
        """Has the sender give an order."""
        with self._registry.lock:
            self._outbox.append(order)
            self._registry.work.notify_all()

    def _next(self) -> tuple[DriverProcess, Job | control.Order] | None:
        """A job to begin or what to tell the driver, if it listens."""
        if self._driver is None or not self._driver.ready:
            return None
        if self._outbox:
            return self._driver, self._outbox.popleft()
        while (work := self._registry.next()) is not None:
            # Of a job that is just beginning it need not hear: ``_begin`` looks whether that is still wanted.
            if isinstance(work, Job) or work.job in self._folders:
                return self._driver, work
        if self._stopping.is_set() and not self._stop_said:
            self._stop_said = True
            return self._driver, control.Stop(seconds=self._drain_seconds)
        return None

    def _send(self) -> None:
        while True:
            with self._registry.lock:
                while (found := self._next()) is None:
                    if self._stopping.is_set() and not self._keeper.is_alive():
                        return
                    self._registry.work.wait()
            driver, work = found
            if isinstance(work, Job):
                self._beginning.submit(self._begin, work, driver)
            elif not driver.send(work):
                with self._registry.lock:
                    if self._driver is driver:
                        driver.signal(signal.SIGKILL)  # what it was told of is not known any more

    def _begin(self, job: Job, driver: DriverProcess | None) -> None:
        """Has the driver begin a job, unless that cannot be or is not wanted any more."""
        try:
            check_engine(job)
            segments = self._registry.store.segments(job.id)
            notes = self._registry.store.notes(job.id)
            source, strip_files = strips.order(job, self._registry.store)
            payload = job.payload.canonical()
            folder = self._registry.store.new_tmp(job.id)
        except Exception as error:  # whatever is wrong with this job, the others go on
            if not isinstance(error, MandelError):
                error = StoreError("INTERNAL", f"the job could not be begun: {error!r}")
            self._registry.fail(job, error)
            self._registry.cancel_confirmed(job.id)  # if it was cancelled meanwhile: the driver never had it
            return
        with self._registry.lock:
            if self._driver is driver:  # else it died meanwhile, and the job was given back
                if job.id not in self._registry.cancelling:
                    self._folders[job.id] = folder
                    job.begin({segment.number: segment.frames for segment in segments}, notes)
                    self._tell(
                        control.Render(
                            job=job.id,
                            payload=payload,
                            tmp=str(folder),
                            cache=str(self._registry.store.names.cache),
                            segments=[control.SegmentFile(it.number, str(it.path)) for it in segments],
                            source=source,
                            strips=strip_files,
                            priority=job.priority,
                            client=job.client,
                        )
                    )
                    return
                self._registry.cancel_confirmed(job.id)
        remove(folder)

    # -- keeper -----------------------------------------------------------

    def _keep(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            began = time.monotonic()
            longest = _LONGEST_PAUSE
            try:
                if self._one_life():
                    longest = _SHORT_PAUSE
            except Exception as error:  # out of processes or memory: tried again
                self.facts["error"] = f"could not start it: {error}"
                _log.error("driver: %s", self.facts["error"])
            if time.monotonic() - began > _HEALTHY_SECONDS:
                pause = 0.0
            pause = min(longest, 2 * pause + 0.2)
            self.facts["state"] = "restarting"
        self.facts["state"] = "stopped"

    def _one_life(self) -> bool:
        """One life of a driver, from its start to the end of its process group; whether it was ever ready."""
        driver = DriverProcess((*self._command, *self._joined), _START_SECONDS, self._chatter.pipe())
        self.facts |= {"state": "starting", "starts": self.facts["starts"] + 1, "pid": driver.pid}
        with self._registry.lock:
            self._driver = driver
            if self._stopping.is_set():
                driver.signal(signal.SIGKILL)
        why, ready = "", 0.0
        self._trouble = ""
        try:
            for line in driver.lines():
                self._hear(driver, line)
                ready = ready or (driver.ready and time.monotonic())
        except RenderError as error:
            why = f"it said what cannot be: {error.message}"
        except TimeoutError:
            why = "it said nothing for too long"
        except Exception as error:  # whatever it said, the service must outlive it
            why = f"what it said could not be carried out: {error!r}"
        if self.unready_since is None:
            self.unready_since = time.monotonic()
        with self._registry.lock:
            self._driver = None
        self._storing.submit(lambda: None).result()  # all that it said is carried out
        why = why or self._trouble
        with self._registry.lock:
            # Those that it was told of. Others were just being begun here: it cannot have died of them.
            had = self._folders.keys() - {
                order.job for order in self._outbox if isinstance(order, control.Render)
            }
            self._outbox.clear()
            folders = list(self._folders.values())
            self._folders.clear()
        of_estimate = self.estimates.driver_died(why or "it was stopped", driver.ready)
        status, hung = driver.end(0.0 if why else 2.0), bool(why)
        if not why:
            why = f"it ended with status {status}"
            if words := status and self._chatter.last():
                why += f": {words}"
        if not self._stopping.is_set():
            _log.error("driver %d: %s; starting another", driver.pid, why)
            self.facts["error"] = self.facts["error"] or why
        self.cluster = {"nodes": []}
        for folder in folders:
            remove(folder)
        lived = time.monotonic() - ready if ready else 0.0
        self._registry.driver_died(why, lived, None if hung else status, () if of_estimate else had)
        return driver.ready

    def _hear(self, driver: DriverProcess, line: bytes) -> None:
        """Carries out what the driver says, or has it carried out.

        Raises:
            BadMessage: it is not right, and about no job that the driver has.
        """
        try:
            event = control.decode_event(line)
        except control.BadMessage as error:
            folder = None if error.job is None else self._folder(error.job, error.ends)
            if error.job is None or folder is None:
                raise
            ended = folder if error.ends else None
            self._later(driver, self._reports.distrust, error.job, error.message, ended)
            return
        match event:
            case control.Log():
                self._log(event)
            case control.Ready():
                self._is_ready(driver, event)
            case control.Cluster():
                for change in cluster_nodes.changes(self.cluster["nodes"], event.nodes):
                    _log.info("%s", change)
                self._learn(event)
                with self._registry.lock:
                    self._registry.work.notify_all()  # suspects' trials end by the clock
            case control.Unavailable():
                self._is_unavailable(event)
            case control.JobEvent() if self.estimates.take(event):
                pass
            case control.JobEvent():
                self._hear_of_job(driver, event)

    def _log(self, event: control.Log) -> None:
        level = event.level.upper()
        number = logging.getLevelNamesMapping().get(level, logging.INFO)
        _log.log(number, "driver: %s", event.message)
        if level in ("ERROR", "CRITICAL"):
            self.facts["error"] = event.message

    def _is_ready(self, driver: DriverProcess, event: control.Ready) -> None:
        self._learn(event)
        self.facts |= {"state": "ready", "error": None}
        self.unready_since = None
        if event.joined:
            self._joined = ("--address", event.address)
        with self._registry.lock:
            driver.is_ready(self._silence)
            self._registry.work.notify_all()
        _log.info(
            "driver %d is ready: %s, dashboard %s, nodes: %d",
            driver.pid,
            f"Ray at {event.address}" if event.address else "processes of this machine, without Ray",
            f"http://{event.dashboard}" if event.dashboard else "off",
            len(cluster_nodes.alive(event.nodes)),
        )

    def _is_unavailable(self, event: control.Unavailable) -> None:
        said = event.message
        if self._joined:
            said = (
                f"the Ray cluster at {self._joined[1]}, which this service joined, has gone; its jobs wait for "
                f"it and go on when it is back (to go on without it, start the service anew). {said}"
            )
        self.facts["error"] = said
        _log.error("driver: %s", said)

    def _learn(self, event: control.Ready | control.Cluster) -> None:
        self.cluster |= {name: value for name, value in vars(event).items() if value is not None}

    def _hear_of_job(self, driver: DriverProcess, event: control.JobEvent) -> None:
        """Carries out an event about a job, or has it carried out; one that the driver does not have is passed over."""
        folder = self._folder(event.job, isinstance(event, control.ENDS))
        if folder is None:
            return
        if not isinstance(event, AT_ONCE):
            self._later(driver, self._reports.take, event, folder)
            return
        try:
            self._reports.carry_out(event, folder)
        except Exception as error:  # after what it said before: segments of it may be stored
            self._later(driver, self._reports.distrust, event.job, words(error))

    def _folder(self, job: str, ends: bool) -> Path | None:
        """Where the driver writes for a job; None when it does not have it, as after what ``ends`` it."""
        with self._registry.lock:
            return self._folders.pop(job, None) if ends else self._folders.get(job)

    def _later(self, driver: DriverProcess, act: Callable[..., None], *arguments: object) -> None:
        """Has ``storing`` do something, after all that it was given before; never waits for it.

        Raises:
            RenderError: too much waits already. A driver that says so much is not right, and is replaced.
        """
        if not self._storing_room.acquire(blocking=False):
            raise RenderError("BAD_MESSAGE", f"{_MOST_WAITING} events wait to be stored, and more come")

        def carry_out() -> None:
            try:
                act(*arguments)
            except Exception as error:  # whatever it said, the service must outlive it
                self._trouble = f"what it said could not be carried out: {error!r}"
                driver.signal(signal.SIGKILL)
            finally:
                self._storing_room.release()

        self._storing.submit(carry_out)

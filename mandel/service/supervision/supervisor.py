"""The supervisor: keeps a driver alive, hands it the jobs, stores what it makes.

Two threads. ``keeper`` starts the driver, carries out what it reports and
starts it again when it dies; ``sender`` hands it the jobs, so that a driver
that does not listen blocks nobody else.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from mandel.errors import MandelError, RenderError, StoreError
from mandel.protocol import control
from mandel.service.jobs import cluster_nodes, strips
from mandel.service.jobs.job import RUNNING, Job, check_engine
from mandel.service.jobs.registry import Registry
from mandel.service.supervision.driver_output import DriverOutput
from mandel.service.supervision.driver_process import DriverProcess
from mandel.store.durable import remove
from mandel.store.names import SEGMENT

_log = logging.getLogger("mandel")

_LONGEST_PAUSE = 30.0
_SHORT_PAUSE = 3.0  # after one that was ready: starting it took its time
_HEALTHY_SECONDS = 60.0  # a driver that lived so long is started again at once
_START_SECONDS = 120.0  # without a word; on a machine at full load the driver's imports alone take long
_END_SECONDS = 4.0  # of the drain time, for the driver to leave Ray
_DISK_CODES = ("DISK_FULL", "INDEX_FAILED")  # not the driver's fault; trying again would not help


class Supervisor:
    """Runs the jobs of ``registry``.

    Args:
        command: how to start the driver; ``--fd N`` is added.
        silence: seconds without a word after which a driver that was ready is replaced.

    Attributes:
        facts: state of the driver, how often it was started, its last error.
        cluster: what it told of its cluster: address, dashboard, nodes, slots, tasks.
        unready_since: from when on there was no driver that was ready; monotonic time in s, None: there is one.
    """

    def __init__(self, registry: Registry, command: Sequence[str], silence: float):
        self.facts: dict = {"state": "starting", "starts": 0, "error": None}
        self.cluster: dict = {"nodes": []}
        self._registry = registry
        self._command = tuple(command)
        self._joined: tuple[str, ...] = ()  # the cluster that a driver joined: this one is waited for
        self._chatter = DriverOutput(registry.store.names.renderer_log)
        self.unready_since: float | None = time.monotonic()
        self._silence = silence
        self._driver: DriverProcess | None = None
        self._outbox: deque[dict] = deque()
        self._folders: dict[str, Path] = {}  # where the driver writes, by job; under the register's lock
        self._stopping = threading.Event()
        self._stop_said = False
        self._drain_seconds = 0.0
        self._keeper = threading.Thread(target=self._keep, name="keeper")
        self._sender = threading.Thread(target=self._send, name="sender")

    def start(self) -> None:
        """Starts the threads, and so the driver."""
        self._keeper.start()
        self._sender.start()

    def stop(self, patience: float) -> None:
        """Lets the driver hand over what it has finished for ``patience`` seconds, then ends it.

        The register must have been closed. Loses no job.
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

    # -- sender -----------------------------------------------------------

    def _next(self) -> Job | dict | None:
        """What to say to the driver, if it listens."""
        if self._driver is None or not self._driver.ready:
            return None
        if self._outbox:
            return self._outbox.popleft()
        work = self._registry.next()
        if work is None and self._stopping.is_set() and not self._stop_said:
            self._stop_said = True
            return {"do": "stop", "seconds": self._drain_seconds}
        return work

    def _send(self) -> None:
        while True:
            with self._registry.lock:
                while (work := self._next()) is None:
                    if self._stopping.is_set() and not self._keeper.is_alive():
                        return
                    self._registry.work.wait()
                driver = self._driver
            if isinstance(work, Job):
                work = self._order(work, driver)
            if work is not None and not driver.send(work):
                with self._registry.lock:
                    if self._driver is driver:
                        driver.signal(signal.SIGKILL)  # what it was told of is not known any more

    def _order(self, job: Job, driver: DriverProcess) -> dict | None:
        """What to tell the driver of a job to begin; None when there is nothing to begin any more."""
        try:
            check_engine(job)
            segments = self._registry.store.segments(job.id)
            notes = self._registry.store.notes(job.id)
            strips_there = strips.order(job, self._registry.store)
            folder = self._registry.store.new_tmp(job.id)
        except Exception as error:  # whatever is wrong with this job, the others go on
            if not isinstance(error, MandelError):
                error = StoreError("INTERNAL", f"the job could not be begun: {error!r}")
            self._registry.fail(job, error)
            self._registry.cancel_confirmed(job.id)  # if it was cancelled meanwhile: the driver never had it
            return None
        with self._registry.lock:
            if self._driver is not driver:  # it died meanwhile; the job was given back
                remove(folder)
                return None
            self._folders[job.id] = folder
            job.begin({segment.number: segment.frames for segment in segments}, notes)
        return {
            "do": "render",
            "job": job.id,
            "payload": job.payload.canonical(),
            "tmp": str(folder),
            "priority": job.priority,
            "client": job.client,
            "cache": str(self._registry.store.names.cache),
            "segments": {str(segment.number): str(segment.path) for segment in segments},
            "strips": strips_there,
        }

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
        try:
            for message in driver.messages():
                self._carry_out(driver, message)
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
            self._outbox.clear()
            folders = list(self._folders.values())
            self._folders.clear()
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
        self._registry.driver_died(why, lived, None if hung else status)
        return driver.ready

    def _carry_out(self, driver: DriverProcess, message: dict) -> None:
        try:
            message = control.checked(message)
        except RenderError as error:
            if not self._disbelieve(message, error.message):
                raise
            return
        event = message["event"]
        if event == "alive":
            return
        if event == "log":
            level = str(message["level"]).upper()
            number = logging.getLevelNamesMapping().get(level, logging.INFO)
            _log.log(number, "driver: %s", message["message"])
            if level in ("ERROR", "CRITICAL"):
                self.facts["error"] = message["message"]
        elif event == "ready":
            self._learn(message)
            self.facts |= {"state": "ready", "error": None}
            self.unready_since = None
            if message.get("joined"):
                self._joined = ("--address", message["address"])
            with self._registry.lock:
                driver.is_ready(self._silence)
                self._registry.work.notify_all()
            dashboard = message.get("dashboard")
            _log.info(
                "driver %d is ready: Ray at %s, dashboard %s, nodes: %d",
                driver.pid,
                message["address"],
                f"http://{dashboard}" if dashboard else "off",
                len(cluster_nodes.alive(message["nodes"])),
            )
        elif event == "cluster":
            for line in cluster_nodes.changes(self.cluster["nodes"], message["nodes"]):
                _log.info("%s", line)
            self._learn(message)
            with self._registry.lock:
                self._registry.work.notify_all()  # suspects' trials end by the clock
        elif event == "unavailable":
            words = message["message"]
            if self._joined:
                words = (
                    f"the Ray cluster at {self._joined[1]}, which this service joined, has gone; its jobs wait for "
                    f"it and go on when it is back (to go on without it, start the service anew). {words}"
                )
            self.facts["error"] = words
            _log.error("driver: %s", words)
        else:
            self._hear_of(event, message)

    def _hear_of(self, event: str, message: dict) -> None:
        """Carries out a checked message about a job; one that the driver does not have is passed over."""
        job, folder = self._registry.live(message["job"]), self._folder(message["job"])
        if folder is not None:
            try:
                message = control.of_job(message, job.frames if job else control.LARGE, folder)
                if job is not None and job.state == RUNNING and job.id not in self._registry.cancelling:
                    self._carry_out_for(job, event, message)
                elif "path" in message:
                    remove(message["path"])
            except Exception as error:  # the message in hand is this job's: no other is to blame
                words = (
                    error.message
                    if isinstance(error, MandelError)
                    else f"it could not be carried out: {error!r}"
                )
                self._disbelieve(message, words)
                return
        if event in control.ENDS:
            self._cancel_confirmed(message["job"])

    def _folder(self, job) -> Path | None:
        """Where the driver writes for a job; None when it does not have it."""
        with self._registry.lock:
            return self._folders.get(job) if isinstance(job, str) else None

    def _cancel_confirmed(self, job: str) -> None:
        """The driver does nothing more for this job."""
        with self._registry.lock:
            folder = self._folders.pop(job, None)
        if folder is not None:
            remove(folder)
        self._registry.cancel_confirmed(job)

    def _disbelieve(self, message: dict, why: str) -> bool:
        """Takes the job from the driver that it said nonsense of; False if it is of none that it has."""
        name = message.get("job")
        if self._folder(name) is None:
            return False
        _log.error("job %s: what the driver said is not right: %s", name[:12], why)
        job = self._registry.live(name)
        blamed = job is not None and job.state == RUNNING and name not in self._registry.cancelling
        if message.get("event") in control.ENDS:
            self._cancel_confirmed(name)
        elif blamed:
            self._registry.drop(job)
        if blamed:  # else it is being taken from it already
            self._registry.requeue(job, why)
        return True

    def _learn(self, message: dict) -> None:
        self.cluster |= {key: value for key, value in message.items() if key != "event"}

    def _carry_out_for(self, job: Job, event: str, message: dict) -> None:  # noqa: C901, PLR0912
        try:
            if event == "frame":
                with self._registry.lock:
                    job.frame(
                        message["frame"],
                        message.get("node") or "",
                        message.get("attempt", 1),
                        message.get("host") or "",
                        message.get("found"),
                    )
            elif event == "kept":
                with self._registry.lock:
                    job.restored(message["frame"], message.get("found"))
            elif event == "limit":
                with self._registry.lock:
                    job.note(message["notes"])
            elif event == "stage":
                over = message["done"] >= message["total"]
                with self._registry.lock:
                    job.stage = None if over else {key: message[key] for key in ("stage", "done", "total")}
            elif event == "segment":
                number = message["index"]
                self._registry.add_segment(
                    job,
                    number,
                    message["path"],
                    message["frames"],
                    message["sha256"],
                    message.get("first", 0),
                    message.get("notes"),
                )
                final = str(self._registry.store.names.file(job.id, SEGMENT, number))
                with self._registry.lock:
                    self._outbox.append({"do": "adopted", "job": job.id, "index": number, "path": final})
                    self._registry.work.notify_all()
            elif event == "spoilt":
                _log.warning(
                    "job %s: segment %d is not right and is made again", job.id[:12], message["index"]
                )
                self._registry.discard_segment(job, message["index"])
            elif event == "strip":
                strips.made(job, self._registry.store, message)
            elif event == "unneeded":
                strips.unneeded(job, self._registry.store, message["strips"])
            elif event == "video":
                self._registry.finish(
                    job, message["path"], message.get("poster"), message["frames"], message["sha256"]
                )
            elif event == "failed":
                frame = message.get("frame")
                where = "" if frame is None else f" (frame {frame})"
                self._registry.fail(job, RenderError(message["code"], message["message"] + where))
            elif event == "cancelled":  # not asked by us: it gave the job up
                self._registry.requeue(job, "it gave the job up")
        except StoreError as error:
            if event not in control.ENDS:
                self._registry.drop(job)
            if error.code in _DISK_CODES:
                self._registry.fail(job, error)
            else:  # the file was not what it said
                _log.error("job %s: %s", job.id[:12], error.message)
                self._registry.requeue(job, error.message)

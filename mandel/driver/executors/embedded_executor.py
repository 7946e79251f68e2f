"""Runs tasks in processes of this machine, without Ray. It is ready in a second or two."""

from __future__ import annotations

import itertools
import os
import platform
import resource
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import wait as wait_for_any
from pathlib import Path
from typing import Any

import mandel
from mandel.device import machine
from mandel.errors import RenderError
from mandel.tasks.calls import AtWork, Call, CalledTask, CancelCall, Ended, Hello, Progress
from mandel.tasks.executor import TASKS_PER_GPU, Outcome, Task, shared_inputs
from mandel.tasks.shared_values import Line, SharedValue, close_on_a_thread

_NODE = "embedded"
# Shares of the machine's memory: what results may take together, and what tasks that ask beforehand may.
_RESULTS_SHARE, _TASKS_SHARE = 0.25, 0.6
# An interrupt may be lost: it is sent again.
_AGAIN_SECONDS = 2.0
# A worker that has a call, says nothing and takes no time of a core for so long was stopped, or hangs. Long calls say
# every two seconds that they are at work, and no machine is so busy that it leaves a process nothing for a minute.
_SILENT_SECONDS = 60.0
# So many workers in a row that end before they are ready: there is no use in starting more.
_MOST_STILLBORN = 4
_CLOSE_SECONDS = 3.0


def _allow_descriptors() -> None:
    """Raises the limit of descriptors as far as the system lets us, for the workers too: each large value is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hasattr(os, "memfd_create") and soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _Pending:
    """A call that was submitted and has not ended."""

    def __init__(self, tickets: list[int], batch: Sequence[Task]):
        self.tickets = tickets
        self.kind, self.memory, self.beside = (
            batch[0].kind,
            max(task.memory for task in batch),
            bool(batch[0].node),
        )
        inputs, places = shared_inputs(batch)
        self.inputs = [
            handle if isinstance(handle, SharedValue) else SharedValue.of(handle) for handle in inputs
        ]
        self.call = Call(
            tuple(
                CalledTask(
                    ticket,
                    task.function,
                    task.argument,
                    own,
                    task.label or task.function,
                    task.failures,
                    task.call_seconds,
                )
                for ticket, task, own in zip(tickets, batch, places, strict=True)
            )
        )
        self.unwanted: set[int] = set()
        self.cancel_sent: float | None = None
        self.heard: float | None = None  # when its last sign of life came


class _Worker:
    """A process and the line to it."""

    def __init__(self, kind: str, slot: tuple[str, ...]):
        ours, theirs = Pipe()
        path = os.pathsep.join(
            filter(None, (str(Path(mandel.__file__).parents[1]), os.environ.get("PYTHONPATH")))
        )
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mandel.worker.embedded", str(theirs.fileno()), *slot],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": path},
        )
        theirs.close()
        self.kind, self.slot = kind, slot
        self.line = Line(ours)
        self.ready = False
        self.pending: _Pending | None = None
        self.silent = 0.0  # seconds without a word, and without time of a core
        self._ticks: int | None = None

    def listened(self, seconds: float) -> None:
        """Nothing was heard from it for ``seconds`` more."""
        before, self._ticks = self._ticks, _ticks(self.process.pid)
        still = self._ticks is not None and self._ticks == before
        self.silent = self.silent + seconds if still and (self.pending is not None or not self.ready) else 0.0


def _ticks(process: int) -> int | None:
    """The time of cores that a process has taken; None where the system does not tell."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    except (OSError, LookupError, ValueError):
        return None


class EmbeddedExecutor:
    """Tasks on worker processes, one for each core and three for each GPU of this machine.

    Args:
        device: the setting ``device``, as for ``RayExecutor``.

    Attributes:
        joined, address, dashboard, notice: as ``RayExecutor`` has them.

    Raises:
        RenderError: NO_DEVICE.
    """

    joined = False
    address = ""
    dashboard = ""
    notice = ""

    def __init__(self, device: str = "auto"):
        _allow_descriptors()
        close_on_a_thread()
        self._device = device
        self._tickets = itertools.count(1)
        self._workers: list[_Worker] = []
        self._waiting: deque[_Pending] = deque()
        self._calls: dict[int, _Pending] = {}  # by ticket
        self._told: dict[int, tuple[int, int]] = {}
        self._ended: list[Outcome] = []
        self._slots = {"cpu": machine.cores()} if device != "gpu" else {}
        self._stillborn = 0
        self._listened = time.monotonic()
        named = device if device not in ("auto", "gpu") else "cpu,auto"
        self._cpu = (named, "1")
        for _ in range(machine.cores() if self._slots else 1):
            self._start("cpu", self._cpu)
        while not self._slots:  # which GPUs there are is known when the first worker has looked
            self._listen(1.0)

    def slots(self) -> dict[str, int]:
        return dict(self._slots)

    def memory(self) -> int:
        return int(_RESULTS_SHARE * machine.memory_bytes())

    def nodes(self) -> list[dict[str, Any]]:
        resources = {kind.upper(): float(count) for kind, count in self._slots.items()}
        if "GPU" in resources:
            resources["GPU"] /= TASKS_PER_GPU
        resources["memory"] = _TASKS_SHARE * machine.memory_bytes()
        here = {"id": _NODE, "host": platform.node(), "address": "127.0.0.1", "alive": True}
        return [here | {"resources": resources}]

    def submit(self, batch: Sequence[Task]) -> list[int]:
        tickets = list(itertools.islice(self._tickets, len(batch)))
        pending = _Pending(tickets, batch)
        self._calls |= dict.fromkeys(tickets, pending)
        self._waiting.append(pending)
        self._hand_out()
        return tickets

    def _start(self, kind: str, slot: tuple[str, ...]) -> None:
        self._workers.append(_Worker(kind, slot))

    def _hand_out(self) -> None:
        """Gives what waits to workers that are free, in order; tasks beside full slots get one worker more."""
        for pending in list(self._waiting):
            working = [worker for worker in self._workers if worker.pending is not None]
            taken = sum(worker.pending.memory for worker in working if worker.pending is not None)
            of_kind = [worker for worker in self._workers if worker.kind == pending.kind]
            free = [worker for worker in of_kind if worker.pending is None]
            full = len(of_kind) - len(free) >= self._slots.get(pending.kind, 0)
            fits = not pending.memory or taken + pending.memory <= _TASKS_SHARE * machine.memory_bytes()
            if not fits or (full and not pending.beside):
                continue
            if not free and of_kind:  # all slots are full: one more, which stays for the next time
                if len(of_kind) > self._slots.get(pending.kind, 0):
                    continue
                self._start(pending.kind, of_kind[0].slot)
                free = self._workers[-1:]
            if free and self._give(free[0], pending):
                self._waiting.remove(pending)

    def _give(self, worker: _Worker, pending: _Pending) -> bool:
        worker.pending = pending
        try:
            worker.line.send(pending.call, pending.inputs)
        except OSError:  # it has just died, which ``_listen`` will notice
            worker.pending = None
            return False
        return True

    def wait(self, timeout: float) -> list[Outcome]:
        deadline = time.monotonic() + timeout
        while True:
            self._listen(0 if self._ended else max(0.0, min(deadline - time.monotonic(), _AGAIN_SECONDS)))
            self._send_cancels()
            self._hand_out()
            if self._ended or time.monotonic() >= deadline:
                break
        ended, self._ended = self._ended, []
        return ended

    def _listen(self, timeout: float) -> None:
        """Takes in what the workers have said; waits for something, at most ``timeout`` seconds."""
        ready = wait_for_any([worker.line.connection for worker in self._workers], timeout)
        for worker in [one for one in self._workers if one.line.connection in ready]:
            try:
                message, values = worker.line.receive()
            except (EOFError, OSError):
                self._lost(worker)
            else:
                worker.silent = 0.0
                self._take(worker, message, values)
        self._end_silent()

    def _end_silent(self) -> None:
        """Ends workers that do nothing. Others take their places, as ``_lost`` has it."""
        passed = time.monotonic() - self._listened
        if passed < _AGAIN_SECONDS:
            return
        self._listened += passed
        for worker in self._workers:
            # If this process itself was stopped meanwhile, it did not listen: that time does not count.
            worker.listened(min(passed, 2 * _AGAIN_SECONDS))
            if worker.silent > _SILENT_SECONDS:
                worker.process.kill()

    def _take(self, worker: _Worker, message: Any, values: list[SharedValue]) -> None:
        match message:
            case Hello(gpus):
                worker.ready = True
                self._stillborn = 0
                self._use(gpus)
            case AtWork(ticket):
                if (pending := self._calls.get(ticket)) is not None:
                    pending.heard = time.monotonic()
            case Progress(ticket, done, total):
                if ticket in self._calls:
                    self._told[ticket] = done, total
            case Ended(facts, cancelled):
                pending, worker.pending = worker.pending, None
                if pending is not None:
                    self._end(pending, self._outcomes(pending, facts, cancelled, values))

    def _use(self, gpus: tuple[int, ...]) -> None:
        """Starts the workers of the GPUs that OpenCL sees here, once, if the setting wants them."""
        if self._device not in ("auto", "gpu") or "gpu" in self._slots:
            return
        if gpus:
            self._slots["gpu"] = TASKS_PER_GPU * len(gpus)
            for gpu in gpus * TASKS_PER_GPU:
                self._start("gpu", (str(gpu),))
        elif self._device == "gpu":
            self.close()
            raise RenderError(
                "NO_DEVICE",
                "OpenCL sees no GPU here; use --device auto or cpu, or install the GPU's driver",
                field="device",
            )

    @staticmethod
    def _outcomes(
        pending: _Pending, facts: tuple[dict[str, Any], ...], cancelled: bool, values: list[SharedValue]
    ) -> list[Outcome]:
        if cancelled:
            error = {"code": "CANCELLED", "message": "cancelled"}
            return [Outcome(ticket, None, {}, error) for ticket in pending.tickets]
        results, outcomes = iter(values), []
        for ticket, about in zip(pending.tickets, facts, strict=True):
            error = about.pop("error", None)
            outcomes.append(
                Outcome(ticket, None if error else next(results), {**about, "node": _NODE}, error)
            )
        return outcomes

    def _end(self, pending: _Pending, outcomes: list[Outcome]) -> None:
        for ticket in pending.tickets:
            self._calls.pop(ticket, None)
            self._told.pop(ticket, None)
        self._ended += outcomes

    def _lost(self, worker: _Worker) -> None:
        """A worker's process has ended: its call has failed, another process takes its place."""
        self._workers.remove(worker)
        worker.line.connection.close()
        status = worker.process.wait()
        if (pending := worker.pending) is not None:
            error = {"code": "WORKER_LOST", "message": f"the worker process ended (status {status})"}
            if worker.silent > _SILENT_SECONDS:
                said = f"the worker process did nothing for {worker.silent:.0f} s, and was ended"
                error = {"code": "WORKER_HUNG", "message": said}
            self._end(
                pending,
                [
                    Outcome(ticket, None, {} if n else {"node": _NODE}, error)
                    for n, ticket in enumerate(pending.tickets)
                ],
            )
        self._stillborn += not worker.ready
        if self._stillborn >= _MOST_STILLBORN:
            raise RenderError(
                "NO_DEVICE",
                f"worker processes end as they start (status {status}); what they print stands above. "
                "`python -m mandel doctor` shows what works here",
            )
        self._start(worker.kind, worker.slot)

    def progress(self, ticket: int) -> tuple[int, int] | None:
        return self._told.get(ticket)

    def heard(self, tickets: Iterable[int]) -> dict[int, float]:
        now = time.monotonic()
        calls = {ticket: self._calls[ticket] for ticket in tickets if ticket in self._calls}
        return {ticket: now - call.heard for ticket, call in calls.items() if call.heard is not None}

    def fetch(self, handle: Any) -> Any:
        return handle.value() if isinstance(handle, SharedValue) else handle

    def publish(self, value: Any) -> Any:
        return SharedValue.of(value)

    def cancel(self, ticket: int) -> None:
        """As the interface says; a call ends when all its tasks are cancelled."""
        if (pending := self._calls.get(ticket)) is None:
            return  # it has ended
        pending.unwanted.add(ticket)
        if len(pending.unwanted) == len(pending.tickets) and pending in self._waiting:
            self._waiting.remove(pending)
            self._end(pending, self._outcomes(pending, (), True, []))

    def _send_cancels(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            pending = worker.pending
            if pending is None or len(pending.unwanted) < len(pending.tickets):
                continue
            if pending.cancel_sent is None or now - pending.cancel_sent > _AGAIN_SECONDS:
                pending.cancel_sent = now
                try:
                    worker.line.send(CancelCall(pending.tickets[0]))
                except OSError:
                    pass  # ``_listen`` will notice

    def close(self) -> None:
        for worker in self._workers:
            worker.line.connection.close()  # ends it
        deadline = time.monotonic() + _CLOSE_SECONDS
        for worker in self._workers:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        self._workers = []

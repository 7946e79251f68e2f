"""A worker process of the embedded executor. It runs one call after the other, for one slot.

    python -m mandel.worker.embedded DESCRIPTOR DEVICE [CORES]

It ends when the driver closes the line.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from mandel.device.choose import devices
from mandel.errors import MandelError
from mandel.tasks.calls import AtWork, Call, CancelCall, Ended, Hello, Progress
from mandel.tasks.heartbeats import CallHeartbeat
from mandel.tasks.shared_values import Line, SharedValue
from mandel.worker import functions


class EmbeddedWorker:
    """Takes calls from a line and runs them on the main thread, so that a cancelled one can be interrupted."""

    def __init__(self, line: Line, slot: functions.Slot):
        self._line, self._slot = line, slot
        self._inbox: queue.SimpleQueue[tuple[Call, list[SharedValue]]] = queue.SimpleQueue()
        self._running = 0  # the first ticket of the call under way
        self._cancelled: set[int] = set()
        self._heartbeat = CallHeartbeat(lambda key, _: line.send(AtWork(int(key))))
        signal.signal(signal.SIGINT, self._interrupt)

    def run(self) -> None:
        """Runs for ever; the process ends with the line."""
        gpus = tuple(device.index for device in devices() if device.is_gpu and device.usable)
        self._line.send(Hello(gpus))
        with suppress(MandelError):  # then the tasks say so
            functions.worker_context(self._slot)  # before the first call waits for it
        threading.Thread(target=self._read, name="mandel-calls", daemon=True).start()
        while True:
            self._line.send(*self._ended(*self._inbox.get()))

    def _read(self) -> None:
        try:
            while True:
                message, values = self._line.receive()
                if isinstance(message, Call):
                    self._inbox.put((message, values))
                elif isinstance(message, CancelCall):
                    self._cancelled.add(message.ticket)
                    # The main thread must get the signal itself: only that ends a wait of its own.
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        except (EOFError, OSError):
            os._exit(0)  # the driver is gone, whatever the main thread does

    def _interrupt(self, *_: object) -> None:
        """On the main thread: ends the call under way, if it is the one that was cancelled."""
        if self._running in self._cancelled:
            self._cancelled.discard(self._running)
            raise KeyboardInterrupt

    def _ended(self, call: Call, values: list[SharedValue]) -> tuple[Ended, list[SharedValue]]:
        first = call.tasks[0].ticket
        try:
            self._running = first
            if first in self._cancelled:
                raise KeyboardInterrupt
            return self._results(call, [value.value() for value in values])
        except KeyboardInterrupt:
            return Ended((), cancelled=True), []
        finally:
            self._running = 0
            self._cancelled.discard(first)

    def _results(self, call: Call, inputs: list[Any]) -> tuple[Ended, list[SharedValue]]:
        results: list[SharedValue] = []
        facts: list[dict[str, Any]] = []
        began = time.monotonic()
        with self._heartbeat.of(str(call.tasks[0].ticket).encode()):
            for task in call.tasks:
                result, about = functions.run(
                    task.function,
                    task.argument,
                    self._slot,
                    *(inputs[place] for place in task.inputs),
                    label=task.label,
                    failures=task.failures,
                    in_time=not facts or time.monotonic() - began < task.call_seconds,
                    tell=partial(self._tell, task.ticket),
                )
                facts.append(about)
                if "error" not in about:
                    results.append(SharedValue.of(result))
        return Ended(tuple(facts)), results

    def _tell(self, ticket: int, done: int, total: int) -> None:
        self._line.send(Progress(ticket, done, total))


def main(argv: list[str] | None = None) -> None:
    descriptor, device, *cores = sys.argv[1:] if argv is None else argv
    slot = functions.Slot(device, int(cores[0]) if cores else None)
    EmbeddedWorker(Line(Connection(int(descriptor))), slot).run()


if __name__ == "__main__":
    main()

"""Views spread over worker processes; one that a view crashes or hangs is replaced."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.sweep.tally import Tally

ROOT = Path(__file__).parents[2]
# A view takes about a second; this long, it hangs.
PATIENCE = 300


class Worker:
    """One process of ``tests.sweep.worker``, started anew after each that died."""

    def __init__(self, device: str):
        self._device = device
        self._process: subprocess.Popen | None = None
        self.name = ""

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.sweep.worker", self._device],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker for {self._device} does not start; see above")
        self.name = json.loads(line)["device"]

    def check(self, kind: str, seed: int) -> dict:
        if self._process is None:
            self._start()
        process = self._process
        try:
            print(kind, seed, file=process.stdin, flush=True)
        except BrokenPipeError:
            pass  # it has ended: it will not answer
        late = threading.Timer(PATIENCE, process.kill)
        late.start()
        line = process.stdout.readline()
        late.cancel()
        if line:
            return json.loads(line)
        self.close()
        status = process.returncode
        words = f"no answer for {PATIENCE} s" if status == -9 else f"the process ended with status {status}"
        return {
            "command": f"python -m tests.sweep --view {kind}:{seed}",
            "rows": {},
            "failures": [("crash", words)],
        }

    def close(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()
            process.stdout.close()


def sweep(
    work: Iterable[tuple[str, int]],
    device: str = "cpu",
    jobs: int = 1,
    until: float | None = None,
    tell: Callable[[str], object] = lambda line: None,
) -> Tally:
    """Checks views of ``work``, pairs of kind and seed, until there are none left or time is over.

    Args:
        until: of ``time.monotonic``.
        tell: gets a line for each failure, at once.
    """
    tally, lock, rest = Tally(), threading.Lock(), iter(work)
    errors: queue.SimpleQueue = queue.SimpleQueue()

    def next_one() -> tuple[str, int] | None:
        with lock:
            return None if until is not None and time.monotonic() > until else next(rest, None)

    def serve() -> None:
        worker = Worker(device)
        try:
            while (one := next_one()) is not None:
                found = worker.check(*one)
                with lock:
                    tally.device = worker.name
                    tally.take(one[0], found.pop("command"), found)
                    for command, check, words in tally.failures[
                        len(tally.failures) - len(found["failures"]) :
                    ]:
                        tell(f"FAILED {check}: {words}\n    {command}")
        except Exception as error:
            errors.put(error)
        finally:
            worker.close()

    threads = [threading.Thread(target=serve) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not errors.empty():
        raise errors.get()
    return tally

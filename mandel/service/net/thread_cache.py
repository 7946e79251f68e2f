"""Threads for replies, one for each. Some stay for later replies."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

MOST_IDLE = 8  # on a busy machine a thread that wakes has its turn before one that is new


class ThreadCache:
    """Runs calls at the same time, each on a daemon thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._idle = 0

    def run(self, call: Callable[[], None]) -> None:
        """Begins ``call``, which never raises, at once.

        Raises:
            RuntimeError: there can be no more threads.
        """
        with self._lock:
            idle = self._idle > 0
            self._idle -= idle
        if idle:
            self._calls.put(call)
        else:
            threading.Thread(target=self._work, args=(call,), name="reply", daemon=True).start()

    def _work(self, call: Callable[[], None]) -> None:
        while True:
            call()
            del call  # and what it holds
            with self._lock:
                if self._idle >= MOST_IDLE:
                    return
                self._idle += 1
            call = self._calls.get()

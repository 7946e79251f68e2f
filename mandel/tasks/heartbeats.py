"""A worker's sign of life: a call that takes long is told to be at work, again and again, by a thread beside it.

Who hears nothing of a task does not know whether it waits, hangs, or was lost
with its node; short calls, which are the most, say nothing and cost nothing.
The driver listens to all of them at once, now and then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

EVERY_SECONDS = 2.0
# Calls that take less than this are not told of.
LEAST_SECONDS = 1.0


class CallHeartbeat:
    """One of a worker process, which runs one call at a time.

    Args:
        tell: called as ``tell(key, count)`` on the thread, with the key of the call; its errors are passed over.
        every: seconds between two signs.
        least: seconds that a call runs before its first.
    """

    def __init__(
        self, tell: Callable[[bytes, int], None], every: float = EVERY_SECONDS, least: float = LEAST_SECONDS
    ):
        self._tell, self._every, self._least = tell, every, least
        self._lock = threading.Lock()
        self._call: tuple[bytes, float] | None = None
        self._count = 0
        threading.Thread(target=self._run, name="mandel-sign", daemon=True).start()

    @contextmanager
    def of(self, key: bytes) -> Iterator[None]:
        """While the block runs, signs are given of the call ``key``; none comes after it."""
        self._call = key, time.monotonic()
        try:
            yield
        finally:
            with self._lock:  # a sign that is just being given is ended first
                self._call = None

    def _run(self) -> None:
        while True:
            time.sleep(self._every)
            with self._lock:
                call = self._call
                if call is not None and time.monotonic() - call[1] >= self._least:
                    self._count += 1
                    try:
                        self._tell(call[0], self._count)
                    except Exception:  # noqa: S110 - the control store is away: so are the listeners
                        pass


class HeartbeatListener:
    """What the driver hears of its calls, by key.

    Attributes:
        quiet: seconds of listening since anything was heard: a sign, or what the owner ``notes``.
    """

    def __init__(self, read: Callable[[list[bytes]], Mapping[bytes, bytes]], every: float = 3.0):
        self._read, self._every = read, every
        self._heard: dict[bytes, tuple[bytes, float]] = {}  # the last sign of a call, and when it was new
        self._listened = time.monotonic()
        self.quiet = 0.0

    def note(self) -> None:
        """Something else shows that workers work, or that there was nothing to do."""
        self.quiet = 0.0

    def listen(self, calls: Collection[bytes]) -> None:
        """Hears the ``calls`` under way, if it is time to."""
        passed = time.monotonic() - self._listened
        if passed < self._every:
            return
        # A driver that was stopped itself has not listened meanwhile.
        self.quiet += min(passed, 2 * self._every)
        said, now = self._read(list(calls)) if calls else {}, time.monotonic()
        self._listened = now
        for key, sign in said.items():
            if self._heard.get(key, (b"", 0.0))[0] != sign:
                self._heard[key] = sign, now
                self.quiet = 0.0

    def age(self, call: bytes) -> float | None:
        """Seconds since the last sign of a call; None if there was none."""
        return time.monotonic() - self._heard[call][1] if call in self._heard else None

    def forget(self, call: bytes) -> None:
        """A call has ended."""
        self._heard.pop(call, None)

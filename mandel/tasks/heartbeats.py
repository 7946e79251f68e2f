"""Signs of life of long calls: while a call runs, a thread beside it tells again and again that it is at work.

Without them the driver would not know whether a task waits, hangs, or was lost with its node. Short calls, the most
frequent ones, give no sign and cost nothing. The driver reads the signs of all calls at once, every few seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

EVERY_SECONDS = 2.0
# Shorter calls give no sign.
LEAST_SECONDS = 1.0


class CallHeartbeat:
    """The signs of a worker process, which runs one call at a time.

    Args:
        tell: called as ``tell(key, count)`` on the thread, with the call's key; its errors are ignored.
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
        """While the block runs, the thread gives signs of the call ``key``; none comes after the block."""
        self._call = key, time.monotonic()
        try:
            yield
        finally:
            with self._lock:  # waits for a sign that is being given
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
                    except Exception:  # noqa: S110 - the control store is away, and nobody listens
                        pass


class HeartbeatListener:
    """Reads the signs of the driver's calls, by key.

    Attributes:
        quiet: seconds of listening since the last sign or ``note``.
    """

    def __init__(self, read: Callable[[list[bytes]], Mapping[bytes, bytes]], every: float = 3.0):
        self._read, self._every = read, every
        self._heard: dict[bytes, tuple[bytes, float]] = {}  # the last sign of a call, and when it was new
        self._listened = time.monotonic()
        self.quiet = 0.0

    def note(self) -> None:
        """Resets ``quiet``: something else shows that workers work, or there was nothing to do."""
        self.quiet = 0.0

    def listen(self, calls: Collection[bytes]) -> None:
        """Reads the signs of the ``calls`` under way, if it is time to."""
        passed = time.monotonic() - self._listened
        if passed < self._every:
            return
        # If the driver itself was stopped meanwhile, it did not listen: that time does not count.
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

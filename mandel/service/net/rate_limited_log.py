"""Limits what clients can write into the log, or anybody could fill the disk with it."""

from __future__ import annotations

import logging
import threading
import time

_BURST = 500
_PER_SECOND = 5.0


class RateLimitFilter(logging.Filter):
    """Lets errors through, of other records a burst and then so many a second; says what was left out.

    Args:
        burst: records that may come at once.
        per_second: what makes up for records that came.
    """

    def __init__(self, burst: int = _BURST, per_second: float = _PER_SECOND):
        super().__init__()
        self._burst, self._per_second = burst, per_second
        self._lock = threading.Lock()
        self._left, self._at = float(burst), time.monotonic()
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            return True
        with self._lock:
            now = time.monotonic()
            self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
            self._at = now
            if self._left < 1:
                self._left_out += 1
                return False
            self._left -= 1
            if self._left_out:
                record.msg = f"{record.getMessage()} ({self._left_out} lines before were left out)"
                record.args = ()
                self._left_out = 0
        return True


clients = logging.getLogger("mandel.clients")
clients.addFilter(RateLimitFilter())

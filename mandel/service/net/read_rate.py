"""Measures how fast a client reads its video."""

from __future__ import annotations

import math
from collections import deque

LEAST_RATE = 8 << 10  # bytes a second; who reads more slowly makes way when others wait
SEND_BUFFER = 256 << 10  # bytes of a socket; they seem taken before anything is read
WATCHED_SECONDS = 30.0  # or more; a socket's buffer empties in steps that make shorter times too uneven


class ReadRate:
    """Bytes that a client has taken, over the last 30 to 60 s. Times are those of a monotonic clock, in s.

    Attributes:
        taken: all of them, those in the socket's buffer included.
    """

    def __init__(self) -> None:
        self.taken = 0
        self._marks: deque[tuple[float, int]] = deque(maxlen=2)  # times, and bytes taken by then

    def took(self, count: int, now: float) -> None:
        """Takes note of ``count`` bytes more; the first call, of 0, begins it."""
        self.taken += count
        if not self._marks:
            self._marks.append((now, SEND_BUFFER))
        elif now - self._marks[-1][0] >= WATCHED_SECONDS:
            self._marks.append((now, self.taken))

    def rate(self, now: float) -> float:
        """Bytes a second of late; infinite as long as that is not known."""
        then, taken = self._marks[0] if self._marks else (now, 0)
        return max(0, self.taken - taken) / (now - then) if now - then >= WATCHED_SECONDS else math.inf

    def is_slow(self, now: float) -> bool:
        """Whether others need not wait for this client."""
        return self.rate(now) < LEAST_RATE

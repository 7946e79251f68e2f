"""Which tasks take suspiciously long: a worker may hang, or a node that hung may have swallowed them.

Ray notices processes that die. A stopped one keeps its connections, and what
was asked of it may never be answered, even after its node was given up.
"""

from __future__ import annotations

import time
from collections import Counter

# A task is late after so many times what its like takes, and at least so many seconds, waiting for a
# slot included: sooner when slots have nothing else to do.
_IDLE = (5.0, 10.0)
_BUSY = (30.0, 60.0)
# What a task is taken to need as long as none of its kind has ended.
_UNKNOWN_SECONDS = 24.0
_LOOK_SECONDS = 1.0
# Times the patience for each further copy: what is merely slow is copied a few times at most.
_MORE = 4


class Stragglers:
    """Watches tasks by ticket."""

    def __init__(self):
        self._watched: dict[int, tuple[float, tuple[str, str, str], int]] = {}
        self._usual: dict[tuple[str, str, str], float] = {}
        self._looked = 0.0

    def begun(self, ticket: int, job: str, item_kind: str, slot_kind: str, copies: int = 0) -> None:
        """A task was submitted; ``copies`` of it before, each of which has made more patience due."""
        self._watched[ticket] = (time.monotonic(), (job, item_kind, slot_kind), _MORE**copies)

    def ended(self, ticket: int, seconds: float | None = None) -> None:
        """A task is over, or need not be watched any more; ``seconds`` it took, if it went well."""
        _, like, _ = self._watched.pop(ticket, (0.0, None, 0))
        if like is not None and seconds is not None:
            self._usual[like] = max(seconds, 0.9 * self._usual.get(like, 0.0))

    def age(self, ticket: int) -> float:
        """Seconds since a task was submitted; 0 if it is not watched any more."""
        return time.monotonic() - self._watched[ticket][0] if ticket in self._watched else 0.0

    def forget(self, job: str) -> None:
        """A job is over; what it has under way tells nothing of others."""
        self._watched = {ticket: told for ticket, told in self._watched.items() if told[1][0] != job}
        for like in [like for like in self._usual if like[0] == job]:
            del self._usual[like]

    def late(self, slots: dict[str, int]) -> list[int]:
        """Tickets of tasks that are late; ``slots`` are how many of each kind there are.

        Where no slots of a kind are left, what waits for them waits in vain.
        """
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return []
        self._looked = now
        suspects, sound = [], Counter()
        for ticket, (since, like, more) in self._watched.items():
            age = (now - since) / more
            if age > self._patience(like, _IDLE):
                suspects.append((ticket, age, like))
            else:
                sound[like[2]] += 1
        return [ticket for ticket, age, like in suspects
                if sound[like[2]] < slots.get(like[2], 1) or age > self._patience(like, _BUSY)]

    def _patience(self, like: tuple[str, str, str], measure: tuple[float, float]) -> float:
        times, least = measure
        return max(times * self._usual.get(like, _UNKNOWN_SECONDS), least)

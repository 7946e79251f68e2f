"""Computes an answer once for all who ask for it at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable


class SharedAnswers:
    """A computation whose result goes to everybody who asked before it began: nobody is told what was so earlier.

    Args:
        compute: what is to be known; runs on the thread of one of those who ask, never twice at once.

    Attributes:
        waiting: how many wait for their turn.
    """

    def __init__(self, compute: Callable[[], bytes]):
        self._compute = compute
        self._turn = threading.Lock()
        self.waiting = 0
        self._counting = threading.Lock()
        self._begun = 0  # computations begun
        self._result: tuple[int, bytes] = 0, b""

    def get(self) -> bytes:
        """What ``compute`` said, in a run that began after this call."""
        with self._counting:
            needed = self._begun + 1
            self.waiting += 1
        with self._turn:
            with self._counting:
                self.waiting -= 1
            if self._result[0] < needed:
                self._begun += 1
                number = self._begun
                self._result = number, self._compute()
            return self._result[1]

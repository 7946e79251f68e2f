"""Tells the head every two seconds that the driver's loop goes round."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from mandel.protocol import control

_EVERY_SECONDS = 2.0
# Within one round of the watched loop Ray may start, or fetch a large result from far away.
_LONGEST_ROUND = 160.0


class Heartbeat:
    """Says ``alive`` every two seconds, from now on, while the loop that it watches goes round.

    A thread of its own: a loop that is busy, or a Ray that is starting, is no
    reason to be taken for hung, and a process that was stopped is noticed soon.

    Args:
        send: takes each event; called on that thread.
        every: seconds between signs of life.
        longest: seconds without ``round_done`` after which they cease.
    """

    def __init__(
        self,
        send: Callable[[control.Event], None],
        every: float = _EVERY_SECONDS,
        longest: float = _LONGEST_ROUND,
    ):
        self._send, self._every, self._longest = send, every, longest
        self._beaten = time.monotonic()
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="mandel-heartbeat", daemon=True).start()

    def round_done(self) -> None:
        """The loop has gone round."""
        self._beaten = time.monotonic()

    def end(self) -> None:
        """No more signs of life."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            if time.monotonic() - self._beaten < self._longest:
                self._send(control.Alive())

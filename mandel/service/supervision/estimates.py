"""Estimates: what the driver finds out for people who ask what a payload would take."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitedTooLong
from contextlib import suppress

from mandel.errors import MandelError, RenderError
from mandel.payload.fields import JsonObject
from mandel.payload.payload import Payload
from mandel.protocol import control

_MOST = 4  # that are waited for at once
_PATIENCE = 240.0  # seconds; a client is patient for 300
_LOOK_SECONDS = 1.0  # between looks whether the client still waits


class _Asked:
    """What the driver is asked, for some who wait for the same answer."""

    def __init__(self, job: str):
        self.job, self.askers = job, 0
        self.answer: Future[JsonObject] = Future()


class Estimates:
    """Asks the driver; who asks for what is asked already waits for the same answer. Thread-safe.

    Args:
        tell: gives the driver an order, at once or when it is ready.
        cache: where the driver keeps reference orbits.
    """

    def __init__(self, tell: Callable[[control.Order], None], cache: str):
        self._tell, self._cache = tell, cache
        self._lock = threading.Lock()
        self._names = itertools.count()
        self._waiting: dict[str, _Asked] = {}
        self._closed = False

    def ask(self, payload: Payload, client: str, has_left: Callable[[], bool]) -> JsonObject:
        """What a payload would take: the fields of ``control.Estimated``, but for the job. Blocks.

        Args:
            has_left: whether the client waits no longer. When all have left, the driver stops.

        Raises:
            MandelError: BUSY, NO_ESTIMATE, STOPPING; or why it cannot be rendered.
        """
        name, asked = self._begin(payload, client)
        deadline = time.monotonic() + _PATIENCE
        try:
            while not has_left():
                with suppress(WaitedTooLong):
                    return asked.answer.result(_LOOK_SECONDS)
                if time.monotonic() > deadline:
                    raise MandelError(
                        "NO_ESTIMATE",
                        f"the renderer has not told within {_PATIENCE:.0f} s: it is starting or busy; try again",
                    )
            raise _unknown("nobody waits for it")
        finally:
            self._leave(name, asked)

    def _begin(self, payload: Payload, client: str) -> tuple[str, _Asked]:
        job = payload.job_id()
        with self._lock:
            if self._closed:
                raise MandelError("STOPPING", "the service is stopping; ask again after its next start")
            found = next((each for each in self._waiting.items() if each[1].job == job), None)
            if found is None:
                if len(self._waiting) >= _MOST:
                    raise MandelError("BUSY", f"{_MOST} estimates are under way; try again in a few seconds")
                # No name comes twice: what is still said of one that was given up is about no other.
                name = hashlib.sha256(f"estimate {next(self._names)} {job}".encode()).hexdigest()
                found = name, _Asked(job)
                self._waiting[name] = found[1]
                self._tell(
                    control.Estimate(job=name, payload=payload.canonical(), cache=self._cache, client=client)
                )
            found[1].askers += 1
            return found

    def _leave(self, name: str, asked: _Asked) -> None:
        with self._lock:
            asked.askers -= 1
            if not asked.askers and self._waiting.pop(name, None) is not None:
                self._tell(control.Cancel(job=name))

    def take(self, event: control.JobEvent) -> bool:
        """Takes what the driver says of an estimate; False if it is about a job."""
        with self._lock:
            if event.job not in self._waiting:
                return False
            if not isinstance(event, _ANSWERS):
                return True
            answer = self._waiting.pop(event.job).answer
        if isinstance(event, control.Estimated):
            said = control.as_json(event)
            answer.set_result({field: said[field] for field in said if field not in ("event", "job")})
        elif isinstance(event, control.Failed):
            answer.set_exception(RenderError(event.code, event.message))
        else:
            answer.set_exception(_unknown("it was cancelled"))
        return True

    def close(self) -> None:
        """Nobody will answer any more: who waits is told so, and nobody waits from here on."""
        with self._lock:
            self._closed = True
        self.driver_died("the service stops")

    def driver_died(self, why: str) -> None:
        """Nothing that was asked for will be answered."""
        with self._lock:
            answers = [asked.answer for asked in self._waiting.values()]
            self._waiting.clear()
        for answer in answers:
            answer.set_exception(_unknown(f"the renderer ended: {why}"))


_ANSWERS = control.Estimated, control.Failed, control.Cancelled


def _unknown(why: str) -> MandelError:
    return MandelError("NO_ESTIMATE", f"there is no estimate, as {why}; try again")

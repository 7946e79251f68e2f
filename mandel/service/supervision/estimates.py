"""Estimates: what the driver finds out for people who ask what a payload would take."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitedTooLong

from mandel.errors import MandelError, RenderError
from mandel.payload.fields import JsonObject
from mandel.payload.payload import Payload
from mandel.protocol import control

_MOST = 4  # that are waited for at once
_PATIENCE = 240.0  # seconds; a client is patient for 300


class Estimates:
    """Asks the driver; who asks for what is asked already waits for the same answer. Thread-safe.

    Args:
        tell: gives the driver an order, at once or when it is ready.
        cache: where the driver keeps reference orbits.
    """

    def __init__(self, tell: Callable[[control.Order], None], cache: str):
        self._tell, self._cache = tell, cache
        self._lock = threading.Lock()
        self._waiting: dict[str, Future[JsonObject]] = {}

    def ask(self, payload: Payload, client: str) -> JsonObject:
        """What a payload would take: the fields of ``control.Estimated``, but for the job. Blocks.

        Raises:
            MandelError: BUSY, NO_ESTIMATE; or why it cannot be rendered.
        """
        name = hashlib.sha256(f"estimate {payload.job_id()}".encode()).hexdigest()
        with self._lock:
            answer = self._waiting.get(name)
            if answer is None:
                if len(self._waiting) >= _MOST:
                    raise MandelError("BUSY", f"{_MOST} estimates are under way; try again in a few seconds")
                answer = self._waiting[name] = Future()
                self._tell(
                    control.Estimate(job=name, payload=payload.canonical(), cache=self._cache, client=client)
                )
        try:
            return answer.result(_PATIENCE)
        except WaitedTooLong:
            self._tell(control.Cancel(job=name))
            with self._lock:
                self._waiting.pop(name, None)
            raise MandelError(
                "NO_ESTIMATE",
                f"the renderer has not told within {_PATIENCE:.0f} s: it is starting, busy, or still at the "
                "reference orbit or the iteration limits of a deep zoom; try again",
            ) from None

    def take(self, event: control.JobEvent) -> bool:
        """Takes what the driver says of an estimate; False if it is about a job."""
        with self._lock:
            if event.job not in self._waiting:
                return False
            if not isinstance(event, _ANSWERS):
                return True
            answer = self._waiting.pop(event.job)
        if isinstance(event, control.Estimated):
            said = control.as_json(event)
            answer.set_result({field: said[field] for field in said if field not in ("event", "job")})
        elif isinstance(event, control.Failed):
            answer.set_exception(RenderError(event.code, event.message))
        else:
            answer.set_exception(_unknown("it was cancelled"))
        return True

    def driver_died(self, why: str) -> None:
        """Nothing that was asked for will be answered."""
        with self._lock:
            answers = list(self._waiting.values())
            self._waiting.clear()
        for answer in answers:
            answer.set_exception(_unknown(f"the renderer ended: {why}"))


_ANSWERS = control.Estimated, control.Failed, control.Cancelled


def _unknown(why: str) -> MandelError:
    return MandelError("NO_ESTIMATE", f"there is no estimate, as {why}; try again")

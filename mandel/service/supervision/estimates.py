"""Estimates: has the driver find out what payloads would take, for people who ask."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitedTooLong
from contextlib import suppress
from typing import NamedTuple

from mandel.errors import MandelError, RenderError
from mandel.payload.fields import JsonObject
from mandel.payload.payload import Payload
from mandel.protocol import control
from mandel.service.jobs.queueing import address

_MOST = 4  # that are waited for at once
_PATIENCE = 240.0  # seconds; a client is patient for 300
_LOOK_SECONDS = 1.0  # between looks whether the client still waits
# An address whose estimates a dead driver had asks for none so long; each further death doubles it, up to the latter.
_BLAMED_SECONDS, _LONGEST_BLAMED = 60.0, 600.0


class _Asked:
    """What the driver is asked, for some who wait for the same answer; ``client`` was the first of them."""

    def __init__(self, job: str, client: str):
        self.job, self.client, self.askers = job, client, 0
        self.answer: Future[JsonObject] = Future()


class _Blame(NamedTuple):
    """Until when an address asks for nothing, in monotonic time, and how long that was."""

    until: float
    seconds: float


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
        self._given_up: dict[str, str] = {}  # those that the driver has not let go of yet: who asked, by name
        self._blamed: dict[str, _Blame] = {}  # by address
        self._closed = False

    def ask(
        self,
        payload: Payload,
        client: str,
        has_left: Callable[[], bool],
        kept: tuple[Payload, list[control.StripFile]] | None = None,
    ) -> JsonObject:
        """What a payload would take: the fields of ``control.Estimated``, but for the job. Blocks.

        Args:
            has_left: whether the client waits no longer. When all have left, the driver stops.
            kept: the payload whose strips it is to be made from, and these; None for its own, of which none is there.

        Raises:
            MandelError: BUSY, NO_ESTIMATE, STOPPING; or why it cannot be rendered.
        """
        name, asked = self._begin(payload, client, kept)
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

    def _begin(
        self, payload: Payload, client: str, kept: tuple[Payload, list[control.StripFile]] | None
    ) -> tuple[str, _Asked]:
        source, strips = kept if kept is not None else (None, [])
        job = payload.job_id() + (f" {source.job_id()}" if source else "")
        with self._lock:
            if self._closed:
                raise MandelError("STOPPING", "the service is stopping; ask again after its next start")
            found = next((each for each in self._waiting.items() if each[1].job == job), None)
            if found is None:
                self._check_blame(address(client))
                self._make_room(client)
                # No name comes twice: what is still said of one that was given up is about no other.
                name = hashlib.sha256(f"estimate {next(self._names)} {job}".encode()).hexdigest()
                found = name, _Asked(job, client)
                self._waiting[name] = found[1]
                self._tell(
                    control.Estimate(
                        job=name,
                        payload=payload.canonical(),
                        cache=self._cache,
                        client=client,
                        source=source.canonical() if source else None,
                        strips=strips,
                    )
                )
            found[1].askers += 1
            return found

    def _check_blame(self, here: str) -> None:
        left = self._blamed.get(here, _NOBODY).until - time.monotonic()
        if left > 0:
            raise MandelError(
                "NO_ESTIMATE",
                "the renderer ended while it worked on estimates for your address, and works on no others for it "
                f"now; try again in {left:.0f} s",
            )

    def _make_room(self, client: str) -> None:
        """Where all places are taken, gives up the newest estimate of who has most, addresses before names.

        What the driver may be busy with for the same address takes a place too.

        Raises:
            MandelError: BUSY.
        """
        busy = MandelError("BUSY", f"{_MOST} estimates are under way; try again in a few seconds")
        clients = [asked.client for asked in self._waiting.values()]
        have, here = Counter(clients), Counter(map(address, clients))
        own = here[address(client)] + sum(address(it) == address(client) for it in self._given_up.values())

        def has_more(other: str) -> bool:
            if address(other) == address(client):
                return have[other] > have[client] + 1
            return here[address(other)] > own + 1

        if len(clients) < _MOST > own:
            return
        newest = filter(has_more, reversed(clients))
        greedy = max(newest, key=lambda it: (here[address(it)], have[it]), default=None)
        if greedy is None:
            raise busy
        name = [name for name, asked in self._waiting.items() if asked.client == greedy][-1]
        self._give_up(name, self._waiting[name]).answer.set_exception(busy)

    def _give_up(self, name: str, asked: _Asked) -> _Asked:
        """The driver need not find it out; until it says so, it may be busy with it."""
        del self._waiting[name]
        self._given_up[name] = asked.client
        self._tell(control.Cancel(job=name))
        return asked

    def _leave(self, name: str, asked: _Asked) -> None:
        with self._lock:
            asked.askers -= 1
            if not asked.askers and name in self._waiting:
                self._give_up(name, asked)

    def take(self, event: control.JobEvent) -> bool:
        """Takes what the driver says of an estimate; False if it is about a job."""
        with self._lock:
            if event.job not in self._waiting:
                if isinstance(event, _ANSWERS):
                    self._given_up.pop(event.job, None)
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
        self._end_all("the service stops")

    def driver_died(self, why: str, was_ready: bool) -> bool:
        """Nothing that was asked for will be answered; whether the driver was at something, which is then to blame."""
        asked = self._end_all(why)
        if not was_ready:
            return False  # it had not been told yet
        now = time.monotonic()
        with self._lock:
            self._blamed = {
                here: blame for here, blame in self._blamed.items() if now < blame.until + 2 * _LONGEST_BLAMED
            }
            for here in set(map(address, asked)):
                seconds = min(2 * self._blamed.get(here, _NOBODY).seconds, _LONGEST_BLAMED)
                self._blamed[here] = _Blame(now + seconds, seconds)
        return bool(asked)

    def _end_all(self, why: str) -> list[str]:
        """Tells all who wait; the clients of what the driver was at."""
        with self._lock:
            asked = list(self._waiting.values())
            clients = [*(each.client for each in asked), *self._given_up.values()]
            self._waiting.clear()
            self._given_up.clear()
        for each in asked:
            each.answer.set_exception(_unknown(f"the renderer ended: {why}"))
        return clients


_NOBODY = _Blame(0.0, _BLAMED_SECONDS / 2)
_ANSWERS = control.Estimated, control.Failed, control.Cancelled


def _unknown(why: str) -> MandelError:
    return MandelError("NO_ESTIMATE", f"there is no estimate, as {why}; try again")

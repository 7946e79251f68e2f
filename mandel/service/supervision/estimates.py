"""Estimates: has the driver find out what payloads would take, for people who ask."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitedTooLong
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from mandel.errors import MandelError, RenderError
from mandel.payload.fields import JsonObject
from mandel.payload.payload import Payload
from mandel.protocol import control
from mandel.protocol.control import address

_MOST = 4  # that the driver is at, at once
_MOST_WAITING = 16  # that are waited for
_PATIENCE = 240.0  # seconds; a client is patient for 300
_LOOK_SECONDS = 1.0  # between looks whether the client still waits
# An address whose estimates a dead driver had asks for none so long; each further death doubles it, up to the latter.
_BLAMED_SECONDS, _LONGEST_BLAMED = 60.0, 600.0


class _Asked:
    """What the driver is asked, for some who wait for the same answer.

    Attributes:
        job: what it is about.
        order: what the driver is told, but for the name that it goes by there.
        name: that name; "" before its turn has come.
        askers: how many wait.
    """

    def __init__(self, job: str, order: control.Estimate):
        self.job, self.order, self.name, self.askers = job, order, "", 0
        self.answer: Future[JsonObject] = Future()

    @property
    def client(self) -> str:
        """Who was the first to ask."""
        return self.order.client


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
        self._waiting: list[_Asked] = []  # the oldest first
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
        asked = self._begin(payload, client, kept)
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
            self._leave(asked)

    def _begin(
        self, payload: Payload, client: str, kept: tuple[Payload, list[control.StripFile]] | None
    ) -> _Asked:
        source, strips = kept if kept is not None else (None, [])
        job = payload.job_id() + (f" {source.job_id()}" if source else "")
        with self._lock:
            if self._closed:
                raise MandelError("STOPPING", "the service is stopping; ask again after its next start")
            asked = next((each for each in self._waiting if each.job == job), None)
            if asked is None:
                self._check_blame(address(client))
                self._make_room(client)
                order = control.Estimate(
                    job="",
                    payload=payload.canonical(),
                    cache=self._cache,
                    client=client,
                    source=source.canonical() if source else None,
                    strips=strips,
                )
                asked = _Asked(job, order)
                self._waiting.append(asked)
                self._deal()
            asked.askers += 1
            return asked

    def _check_blame(self, here: str) -> None:
        left = self._blamed.get(here, _NOBODY).until - time.monotonic()
        if left > 0:
            raise MandelError(
                "NO_ESTIMATE",
                "the renderer ended while it worked on estimates for your address, and works on no others for it "
                f"now; try again in {left:.0f} s",
            )

    def _make_room(self, client: str) -> None:
        """Where as many are waited for as may be, gives up the newest one of who has most. Raises MandelError: BUSY."""
        if len(self._waiting) < _MOST_WAITING:
            return
        busy = MandelError("BUSY", f"{_MOST_WAITING} estimates are waited for; try again in a few seconds")
        if (newest := _newest_of_who_has_more(self._waiting, client, Counter())) is None:
            raise busy
        self._waiting.remove(newest)
        self._take_back(newest)
        newest.answer.set_exception(busy)

    def _deal(self) -> None:
        """Tells the driver of those whose turn has come: of who has fewest there, addresses before names.

        What it may be busy with for the same address takes a place of that address too. Where all places are taken,
        the newest of who has most there makes way, and waits again.
        """
        while True:
            told = [asked for asked in self._waiting if asked.name]
            busy = Counter(map(address, self._given_up.values()))
            here = busy + Counter(address(asked.client) for asked in told)
            names = Counter(asked.client for asked in told)
            able = [it for it in self._waiting if not it.name]
            for chosen in sorted(able, key=lambda it: (here[address(it.client)], names[it.client])):
                if len(told) < _MOST > here[address(chosen.client)]:
                    break
                if (newest := _newest_of_who_has_more(told, chosen.client, busy)) is not None:
                    self._take_back(newest)
                    break
            else:
                return
            # No name comes twice: what is still said of one that was given up is about no other.
            text = f"estimate {next(self._names)} {chosen.job}"
            chosen.name = hashlib.sha256(text.encode()).hexdigest()
            self._tell(replace(chosen.order, job=chosen.name))

    def _take_back(self, asked: _Asked) -> None:
        """The driver need not find it out; until it says so, it may be busy with it."""
        if asked.name:
            self._given_up[asked.name] = asked.client
            self._tell(control.Cancel(job=asked.name))
            asked.name = ""

    def _leave(self, asked: _Asked) -> None:
        with self._lock:
            asked.askers -= 1
            if not asked.askers and asked in self._waiting:
                self._waiting.remove(asked)
                self._take_back(asked)
                self._deal()

    def take(self, event: control.JobEvent) -> bool:
        """Takes what the driver says of an estimate; False if it is about a job."""
        with self._lock:
            asked = next((each for each in self._waiting if each.name == event.job), None)
            if not isinstance(event, _ANSWERS):
                return asked is not None
            if asked is None:
                if self._given_up.pop(event.job, None) is not None:
                    self._deal()
                return False
            self._waiting.remove(asked)
            self._deal()
            answer = asked.answer
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
            self._end(self._waiting, "the service stops")

    def driver_died(self, why: str, was_ready: bool) -> bool:
        """What the driver was at will not be answered; whether it was at something, which is then to blame.

        All others wait for the next driver.
        """
        now = time.monotonic()
        with self._lock:
            # A driver that was not ready had not been told of any yet.
            told = [asked for asked in self._waiting if asked.name and was_ready]
            blamed = {address(it.client) for it in told}
            if was_ready:
                blamed |= set(map(address, self._given_up.values()))
            self._given_up.clear()
            self._blamed = {
                here: blame for here, blame in self._blamed.items() if now < blame.until + 2 * _LONGEST_BLAMED
            }
            for here in blamed:
                seconds = min(2 * self._blamed.get(here, _NOBODY).seconds, _LONGEST_BLAMED)
                self._blamed[here] = _Blame(now + seconds, seconds)
            self._end([asked for asked in self._waiting if address(asked.client) in blamed], why)
            for asked in self._waiting:
                asked.name = ""
            self._deal()
        return bool(blamed)

    def _end(self, asked: Iterable[_Asked], why: str) -> None:
        """Tells those who wait for these that they wait in vain."""
        for each in list(asked):
            self._waiting.remove(each)
            each.answer.set_exception(_unknown(f"the renderer ended: {why}"))


def _newest_of_who_has_more(those: Sequence[_Asked], client: str, busy: Mapping[str, int]) -> _Asked | None:
    """The newest of who has most of ``those``, if that is more than ``client`` would have: addresses before names.

    Args:
        busy: how many more count for an address.
    """
    have, here = Counter(it.client for it in those), Counter(address(it.client) for it in those)

    def has_more(asked: _Asked) -> bool:
        if address(asked.client) == address(client):
            return have[asked.client] > have[client] + 1
        return here[address(asked.client)] > here[address(client)] + busy.get(address(client), 0) + 1

    newest = filter(has_more, reversed(those))
    return max(newest, key=lambda it: (here[address(it.client)], have[it.client]), default=None)


_NOBODY = _Blame(0.0, _BLAMED_SECONDS / 2)
_ANSWERS = control.Estimated, control.Failed, control.Cancelled


def _unknown(why: str) -> MandelError:
    return MandelError("NO_ESTIMATE", f"there is no estimate, as {why}; try again")

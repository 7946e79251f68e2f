"""Whose work is done next: addresses take turns, at each its clients; what takes long holds nobody else up for long.

A place works on one thing at a time. Who finds all of them held by others gets a second one beside one of these. Where
those are held as well, what has been there longest makes way, and waits again. A place is a tile maker, or a desk
(makers.py), where orbits, minibrots and long digits are worked out; docs/web.md tells it in full.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any, Protocol, Self

from mandel.protocol.control import address

_HELD_SECONDS = 1.0  # after which a place counts as held
_TURN_SECONDS, _LONGEST_TURN = 2.0, 16.0  # in a second place, before others; doubled each time
_LOOK_SECONDS = 0.25
_MANY = 1_024


class Place(Protocol):
    """Where calls are carried out, one after the other.

    Attributes:
        calls: those that it was given and has not answered, the one that it works on first.
    """

    calls: list[asyncio.Task[Any]]

    def begin(self, *call: Any) -> asyncio.Task[Any]:
        """Takes a call."""

    def stop(self, call: asyncio.Task[Any]) -> bool:
        """Ends a call that it works on; False if another one comes first."""

    def clear(self) -> None:
        """Ends all calls."""

    def another(self) -> Self:
        """One more in the same place."""


class _Call:
    """What some wait for.

    Attributes:
        waiting: client and order of each of them.
        client: in whose turn it was begun; "" before.
        turn: how long it may be in a second place while others wait.
    """

    def __init__(self, key: Hashable, arguments: tuple[Any, ...]):
        self.key, self.arguments, self.client, self.turn = key, arguments, "", _TURN_SECONDS
        self.waiting: dict[object, tuple[str, int]] = {}
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


def _waits(call: _Call) -> bool:
    """It was neither begun, in another's turn perhaps, nor given up."""
    return not (call.client or call.answer.done())


class _Used:
    """Seconds that those who have something here have used. Who comes new starts level with who has used least."""

    def __init__(self) -> None:
        self._here: dict[str, float] = {}  # by address
        self._own: dict[str, float] = {}  # by client

    def enter(self, client: str) -> None:
        """It has something here."""
        where = address(client)
        self._here.setdefault(where, min(self._here.values(), default=0.0))
        beside = (used for other, used in self._own.items() if address(other) == where)
        self._own.setdefault(client, min(beside, default=0.0))

    def keep(self, clients: set[str]) -> None:
        """Forgets all others."""
        here = set(map(address, clients))
        self._own = {client: used for client, used in self._own.items() if client in clients}
        self._here = {where: used for where, used in self._here.items() if where in here}

    def charge(self, client: str, seconds: float) -> None:
        """A place worked for it."""
        if client in self._own:
            self._own[client] += seconds
            self._here[address(client)] += seconds

    def rank(self, client: str) -> tuple[float, float]:
        """The least is next."""
        return self._here[address(client)], self._own[client]


class Turns:
    """Shares places out, on the loop's thread.

    Args:
        depth: calls of one client that a place has at once: the next one is sent while one is carried out.
        patience: seconds that a place goes on with what nobody wants any more.
    """

    def __init__(self, places: Sequence[Place], depth: int, patience: float):
        self._places, self._depth, self._patience = list(places), depth, patience
        self._seconds: list[Place] = []  # those beside others
        self._calls: dict[Hashable, _Call] = {}
        self._queues: dict[str, list[tuple[int, int, _Call]]] = {}  # by client: order, number
        self._numbers = itertools.count()
        self._begun: dict[asyncio.Task[Any], _Call] = {}
        self._since: dict[Place, float] = {}  # when it began with what it works on
        self._used = _Used()
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, key: Hashable, client: str, order: int, *arguments: Any) -> Any:
        """What a call brings. Who asks for a key that is waited for already waits for the same, each in his own turn.

        Args:
            client: NAME@ADDRESS, or ADDRESS.
            order: of a client's calls the least goes first.
        """
        if (call := self._calls.get(key)) is None:
            call = self._calls[key] = _Call(key, arguments)
        waiter = object()
        call.waiting[waiter] = client, order
        if not call.client:
            self._queue(call, client, order)
            self._deal()
        self._look_later()
        try:
            return await asyncio.shield(call.answer)
        finally:
            del call.waiting[waiter]
            if not call.waiting and self._calls.get(key) is call:
                del self._calls[key]  # at once: who asks again must not wait for what is given up
                if not call.answer.done():
                    call.answer.cancel()
                    self._give_up(call)

    def _queue(self, call: _Call, client: str, order: int) -> None:
        self._used.enter(client)
        queue = self._queues.setdefault(client, [])
        if len(queue) % _MANY == _MANY - 1:  # while nothing moves on, what is given up must not pile up
            queue[:] = [each for each in queue if _waits(each[2])]
            heapq.heapify(queue)
        heapq.heappush(queue, (order, next(self._numbers), call))

    def _give_up(self, call: _Call) -> None:
        making = next((one for one, begun in self._begun.items() if begun is call), None)
        if making is not None and self._patience:
            asyncio.get_running_loop().call_later(self._patience, self._stop, making)
        elif making is not None:
            self._stop(making)

    def _stop(self, making: asyncio.Task[Any]) -> None:
        """Ends the making of what nobody waits for, if it takes long."""
        for place in (*self._places, *self._seconds):
            if making in place.calls and not place.stop(making):
                asyncio.get_running_loop().call_later(self._patience, self._stop, making)

    # -- whose turn it is -------------------------------------------------

    def _deal(self) -> None:
        places = sorted((*self._places, *self._seconds), key=lambda one: len(one.calls))
        while any(self._fill(place) for place in places):
            places.sort(key=lambda one: len(one.calls))

    def _fill(self, place: Place) -> bool:
        """Gives a place a call, if it has room and somebody has one for it."""
        if len(place.calls) >= self._depth:
            return False
        for client in sorted(self._queues, key=self._used.rank):
            may = place in self._places or address(client) not in self._holders()
            if may and self._wants(client):
                # Behind a call of another client it might wait for ever. Nor does that one go on here before it.
                if mine := all(self._client(making) == client for making in place.calls):
                    self._begin(place, heapq.heappop(self._queues[client])[2], client)
                return mine
        return False

    def _client(self, making: asyncio.Task[Any]) -> str:
        call = self._begun.get(making)
        return call.client if call is not None else ""

    def _holders(self) -> set[str]:
        """The addresses that a first place works for."""
        return {address(self._client(place.calls[0])) for place in self._places if place.calls}

    def _wants(self, client: str) -> bool:
        """Whether a client has a call that waits, which then is the first one of its queue."""
        queue = self._queues[client]
        while queue and not _waits(queue[0][2]):
            heapq.heappop(queue)
        if not queue:
            del self._queues[client]
        return bool(queue)

    def _begin(self, place: Place, call: _Call, client: str) -> None:
        call.client = client
        if not place.calls:
            self._since[place] = time.monotonic()
        making = place.begin(*call.arguments)
        self._begun[making] = call
        making.add_done_callback(partial(self._ended, place))

    def _ended(self, place: Place, making: asyncio.Task[Any]) -> None:
        error = None if making.cancelled() else making.exception()
        if (call := self._begun.pop(making, None)) is not None:  # else it has made way
            self._charge(place, call)
            self._used.keep({*self._queues, *(begun.client for begun in self._begun.values())})
            if not call.answer.done():
                del self._calls[call.key]
                if making.cancelled():
                    call.answer.cancel()
                elif error is not None:
                    call.answer.set_exception(error)
                else:
                    call.answer.set_result(making.result())
        self._deal()

    def _charge(self, place: Place, call: _Call) -> None:
        now = time.monotonic()
        self._used.charge(call.client, now - self._since[place])
        self._since[place] = now

    # -- what takes long --------------------------------------------------

    def _look_later(self) -> None:
        if self._timer is None and self._calls:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Makes room for who waits while all places are held by others."""
        self._timer = None
        now = time.monotonic()
        held = [place for place in self._places if place.calls and now - self._since[place] > _HELD_SECONDS]
        try:
            for making in (making for place in held for making in place.calls[1:]):
                self._withdraw(making)
            served = {address(call.client) for call in self._begun.values()}
            if any(address(client) not in served and self._wants(client) for client in list(self._queues)):
                self._make_room(held)
        finally:
            self._look_later()

    def _make_room(self, held: list[Place]) -> None:
        now = time.monotonic()
        there = [place for place in self._seconds if place.calls and place.calls[0] in self._begun]
        if len(held) > len(self._seconds):
            self._seconds.append(held[len(self._seconds)].another())
        elif over := [place for place in there if now - self._since[place] > self._turn(place)]:
            self._take_back(min(over, key=lambda place: self._since[place]))
        self._deal()

    def _withdraw(self, making: asyncio.Task[Any]) -> None:
        """What waits behind a call that takes long is done elsewhere, if others want it too."""
        call = self._begun.get(making)
        if call is not None and (others := {who for who in call.waiting.values() if who[0] != call.client}):
            del self._begun[making]
            making.cancel()
            self._wait_again(call, others)

    def _turn(self, place: Place) -> float:
        """How long the call that a second place works on may be there."""
        call = self._begun.get(place.calls[0])
        return call.turn if call is not None and address(call.client) not in self._holders() else 0.0

    def _take_back(self, place: Place) -> None:
        for making in place.calls:
            if (call := self._begun.pop(making, None)) is not None:
                self._charge(place, call)
                call.turn = min(2 * call.turn, _LONGEST_TURN)
                self._wait_again(call, set(call.waiting.values()))
        place.clear()

    def _wait_again(self, call: _Call, whose: set[tuple[str, int]]) -> None:
        call.client = ""
        for client, order in whose:
            self._queue(call, client, order)

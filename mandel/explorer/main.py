"""The explorer's process: takes requests from the head, and has them done in the cluster.

It is a process of its own, so that what somebody looks at can neither hold up a film nor end it. The head starts it
when somebody looks, and ends it when nobody has for a while.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import sys
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

from mandel.device import machine
from mandel.driver.executors.ray_token import ensure_token
from mandel.errors import MandelError, RenderError
from mandel.explorer.makers import Desk, Pool
from mandel.explorer.turns import Turns
from mandel.explorer.work import SquareName, middle_of, squares_about
from mandel.plan.arithmetic import DIRECT, arithmetic
from mandel.plan.colour_views import curve_of
from mandel.plan.grid import Grid
from mandel.plan.iteration_limit import REFERENCE_STEPS
from mandel.plan.tile import Anchor
from mandel.plan.view import View
from mandel.protocol.tiles import Message, first_of_who_has_most, packed, received

_log = logging.getLogger("mandel")

_MOST_ANCHORS = 64
_CALLS = 2  # of a maker at once: one is sent while the other is made
_STALE_SECONDS = 3.0  # that a maker goes on with what nobody wants any more
_ALIVE_SECONDS = 2.0  # between signs of life
_LEAST_ORBIT = 4_096
_ORBIT_BYTES = 512 << 20  # of all anchors; one of 8 million steps takes that much
_LIMIT_SAMPLES = 10_000
_LEAST_DESKS = 4  # for orbits, minibrots and what has many digits
_FEW_DIGITS = 6_000  # level of an anchor up to which its digits take no time worth mentioning
_FEW_PLACES = 2  # of a curve, that are worked out here
_MOST_SQUARES = 4_096  # of which it is known how their counts are distributed

_TILE = ("anchor", "dlevel", "dx", "dy", "step", "maxiter", "shaded")

Asker = tuple[str, int]  # client and order


class Shelf:
    """Which orbits are kept: those used last, up to a number of bytes; the last one in any case.

    Those of the address that has most bytes go first.

    Args:
        most: bytes of all orbits, wherever the pool has them.
    """

    def __init__(self, most: int = _ORBIT_BYTES):
        self._most, self._bytes = most, 0
        self._kept: OrderedDict[object, tuple[int, str, Callable[[], None]]] = OrderedDict()

    def use(self, orbit: object) -> None:
        """An orbit is used now."""
        self._kept.move_to_end(orbit)

    def keep(self, orbit: object, size: int, client: str, drop: Callable[[], None]) -> None:
        """Keeps a client's orbit of so many bytes; ``drop`` is called when it is to be forgotten."""
        self._kept[orbit] = size, client, drop
        self._bytes += size
        while self._bytes > self._most and len(self._kept) > 1:
            others = (
                (one, size, client) for one, (size, client, _) in self._kept.items() if one is not orbit
            )
            self._kept[first_of_who_has_most(others)][2]()

    def remove(self, orbit: object) -> None:
        """An orbit is kept no longer."""
        self._bytes -= self._kept.pop(orbit)[0]


class Orbits:
    """The reference orbits of one anchor; each is computed once for all who want it.

    Args:
        client: who posted the anchor.
        tell: is told how far an orbit is.
        desks: where they are computed.
    """

    def __init__(
        self,
        pool: Pool,
        anchor: Anchor,
        client: str,
        tell: Callable[[int, int], object],
        shelf: Shelf,
        desks: Turns,
    ):
        self._pool, self._anchor, self._client, self._tell = pool, anchor, client, tell
        self._shelf, self._desks = shelf, desks
        self._found: dict[object, tuple[int, dict[str, Any], Any]] = {}  # bits, facts, handle

    async def serving(self, asker: Asker, grid: Grid, dlevel: int, maxiter: int | None) -> Any:
        """The handle of an orbit for a grid; None if it needs none.

        Args:
            maxiter: the samples' limit; None while it is looked for.
        """
        if arithmetic(grid).engine == DIRECT:
            return None
        bits, radius = self._anchor.orbit(dlevel)
        for orbit, (known, facts, handle) in self._found.items():
            if known == bits and (facts["complete"] or facts["limit"] >= (maxiter or 0)):
                self._shelf.use(orbit)
                return handle
        # A little longer than needed: the next higher limit may do with it.
        limit = REFERENCE_STEPS if maxiter is None else max(_LEAST_ORBIT, 1 << (maxiter - 1).bit_length())
        wanted = bits, limit, radius, maxiter is None
        return await self._desks.take((self, *wanted), *asker, self._compute, *wanted)

    async def _compute(self, bits: int, limit: int, radius: str, gives_up: bool) -> Any:
        handle, facts = await self._pool.orbit(
            *self._anchor.middle, bits, limit, radius, gives_up, told=self._tell
        )
        orbit = object()
        self._found[orbit] = bits, facts, handle
        self._shelf.keep(orbit, facts["bytes"], self._client, partial(self._drop, orbit))
        return handle

    def _drop(self, orbit: object) -> None:
        del self._found[orbit]
        self._shelf.remove(orbit)

    def close(self) -> None:
        """Forgets all of them: nobody will ask for this anchor."""
        for orbit in list(self._found):
            self._drop(orbit)


class Explorer:
    """Carries out requests: of each client those that came last first, and clients in turns.

    Args:
        say: sends a message to the head, and bytes with it.
    """

    def __init__(self, pool: Pool, say: Callable[..., Coroutine[Any, Any, None]]):
        self._pool, self._say = pool, say
        self._anchors: OrderedDict[str, tuple[Anchor, Orbits]] = OrderedDict()
        self._owners: dict[str, str] = {}  # who posted each anchor
        self._shelf = Shelf()
        # Of squares, by name and the limit that was given.
        self._counts: OrderedDict[tuple[SquareName, int | None], Sequence[float]] = OrderedDict()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._makers = Turns(pool.makers, _CALLS, _STALE_SECONDS)
        self._desks = Turns([Desk() for _ in range(max(_LEAST_DESKS, machine.cores() // 2))], 1, 0.0)

    def hear(self, message: Message) -> None:
        """Begins what the head asks for."""
        match message["do"]:
            case "anchor":
                self._keep(message)
            case "cancel":
                if (task := self._tasks.get(message["id"])) is not None:
                    task.cancel()
            case "tile" | "limit" | "locate" | "curve" as what:
                acts = {
                    "tile": self._tile, "limit": self._limit, "locate": self._locate, "curve": self._curve
                }  # fmt: skip
                act = acts[what]
                task = asyncio.create_task(self._carry_out(act, message))
                self._tasks[message["id"]] = task
                task.add_done_callback(lambda _: self._tasks.pop(message["id"], None))

    def _keep(self, message: Message) -> None:
        name = message["anchor"]
        anchor = Anchor(message["level"], int(message["x"], 16), int(message["y"], 16))
        self._forget(name)
        tell = partial(self._tell_stage, anchor=name)
        client = self._owners[name] = message["client"]
        if len(self._anchors) >= _MOST_ANCHORS:
            self._forget(first_of_who_has_most((one, 1, self._owners[one]) for one in self._anchors))
        self._anchors[name] = anchor, Orbits(self._pool, anchor, client, tell, self._shelf, self._desks)

    def _forget(self, name: str) -> None:
        if (known := self._anchors.pop(name, None)) is not None:
            known[1].close()
            del self._owners[name]

    def _tell_stage(self, done: int, total: int, **whose: object) -> None:
        telling = asyncio.create_task(self._say({"event": "stage", "done": done, "total": total, **whose}))
        telling.add_done_callback(_noticed)

    async def _carry_out(self, act: Callable[[Message], Coroutine[Any, Any, Any]], message: Message) -> None:
        try:
            found = await act(message)
            if isinstance(found, dict):
                await self._say({"event": "done", "id": message["id"], "found": found})
            else:
                await self._say({"event": "done", "id": message["id"]}, found)
        except MandelError as error:
            await self._say({"event": "failed", "id": message["id"], "error": error.as_dict()})
        except ConnectionError:  # the line to the head is gone: ``_serve`` sees it as well
            raise
        except Exception as failure:  # Ray's of a lost orbit, say: unanswered, the head would wait for ever
            _log.exception("%s: %r", message["do"], failure)
            self._forget(message.get("anchor", ""))  # posted again, it begins without a lost orbit
            told = RenderError("INTERNAL", f"the explorer failed ({type(failure).__name__}); ask again")
            await self._say({"event": "failed", "id": message["id"], "error": told.as_dict()})

    def _anchor(self, message: Message) -> tuple[Anchor, Orbits]:
        if (found := self._anchors.get(message["anchor"])) is None:
            raise RenderError("NO_ANCHOR", "this anchor is not known any more; post it again")
        self._anchors.move_to_end(message["anchor"])
        return found

    async def _all_digits(self, asker: Asker, anchor: Anchor) -> None:
        """Has the digits of an anchor's middle made: thousands of them take long, and all others would wait."""
        if anchor.level > _FEW_DIGITS and "middle" not in vars(anchor):
            digits = anchor.level, anchor.x, anchor.y
            vars(anchor)["middle"] = await self._desks.take(
                (middle_of, digits), *asker, self._pool.apart, middle_of, *digits
            )

    async def _tile(self, message: Message) -> Any:
        (anchor, orbits), asker = self._anchor(message), _asker(message)
        await self._all_digits(asker, anchor)
        dlevel, maxiter = message["dlevel"], message["maxiter"]
        grid = anchor.grid(dlevel, message["dx"], message["dy"], message["step"])
        orbit = await orbits.serving(asker, grid, dlevel, maxiter)
        key = tuple(message[name] for name in _TILE)
        return memoryview(
            await self._makers.take(key, *asker, "tile", grid, maxiter, message["shaded"], orbit)
        )

    async def _limit(self, message: Message) -> Any:
        (anchor, orbits), asker = self._anchor(message), _asker(message)
        await self._all_digits(asker, anchor)
        (left, right), (low, high) = message["x"], message["y"]
        width, height = Fraction(right) - Fraction(left), Fraction(high) - Fraction(low)
        # As a float the quotient might be too large, or 0.
        ratio = min(max(width / height, Fraction(1, _LIMIT_SAMPLES)), Fraction(_LIMIT_SAMPLES))
        cols = max(1, min(_LIMIT_SAMPLES, round((_LIMIT_SAMPLES * float(ratio)) ** 0.5)))
        rows = max(1, min(_LIMIT_SAMPLES, round(cols / float(ratio))))
        step = width * 256 / cols
        grid = anchor.part(message["dlevel"], Fraction(left), Fraction(low), cols, rows, step)
        orbit = await orbits.serving(asker, grid, message["dlevel"], None)
        middle = [
            row * cols + col
            for row in range(max(rows // 2 - 2, 0), min(rows // 2 + 2, rows))
            for col in range(max(cols // 2 - 2, 0), min(cols // 2 + 2, cols))
        ]
        return await self._makers.take(object(), *asker, "limit", grid, middle, orbit)

    async def _curve(self, message: Message) -> Any:
        """The curve that a film through these places has (plan/colour_views.py)."""
        anchors, asker = [self._anchor(place)[0] for place in message["places"]], _asker(message)
        for anchor in anchors:
            await self._all_digits(asker, anchor)
        is_much = len(anchors) > _FEW_PLACES or sum(anchor.level for anchor in anchors) > _FEW_DIGITS
        act = self._pool.apart if is_much else _in_thread
        places = [
            (anchor, place["dlevel"], tuple(place["x"]), tuple(place["y"]))
            for anchor, place in zip(anchors, message["places"], strict=True)
        ]
        found = await self._desks.take(object(), *asker, act, squares_about, places)
        telling = (self._told(name, view, message, number) for name, view, number in found)
        counts = await asyncio.gather(*telling)
        views = [(view, number) for _, view, number in found]
        return {"knots": await self._desks.take(object(), *asker, act, curve_of, views, counts)}

    async def _told(self, name: SquareName, view: View, message: Message, number: int) -> Any:
        """How the counts of a square are distributed; once it is known, it is not looked at again."""
        maxiter, place = message["maxiter"], message["places"][number]
        if (key := (name, maxiter)) not in self._counts:
            grid = view.grid()
            asker = _asker(message)
            orbit = await self._anchor(place)[1].serving(asker, grid, place["dlevel"], maxiter)
            told = await self._makers.take((name, maxiter), *asker, "counts", grid, maxiter, orbit)
            self._counts[key] = told["counts"]
        self._counts.move_to_end(key)
        if len(self._counts) > _MOST_SQUARES:
            self._counts.popitem(last=False)
        return self._counts[key]

    async def _locate(self, message: Message) -> Any:
        telling = partial(self._pool.nucleus, told=partial(self._tell_stage, id=message["id"]))
        given = (message[name] for name in ("re", "im", "delta", "max_period"))
        return await self._desks.take(object(), *_asker(message), telling, *given)


def _asker(message: Message) -> Asker:
    return message["client"], message["order"]


async def _in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns. Cancelled, it ends when the thread does: until then its place is taken."""
    running = asyncio.create_task(asyncio.to_thread(function, *arguments))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


def _noticed(task: asyncio.Task[Any]) -> None:
    """Nobody else may look at its error."""
    if not task.cancelled():
        task.exception()


def _pool(address: str, joined: bool, device: str) -> Pool:
    if not address:
        from mandel.explorer.local_pool import LocalPool

        return LocalPool(device)
    ensure_token()
    from mandel.explorer.ray_pool import RayPool  # imports ray, which reads the token

    return RayPool(address, joined, device)


async def _serve(descriptor: int, address: str, joined: bool, device: str) -> int:
    head = socket.socket(fileno=descriptor)
    reader, writer = await asyncio.open_connection(sock=head)
    sending = asyncio.Lock()

    async def say(message: Message, body: bytes | memoryview = b"") -> None:
        async with sending:
            writer.write(packed(message, body))
            await writer.drain()

    try:
        pool = _pool(address, joined, device)
        await pool.makers[0].begin("warm_up")
    except MandelError as error:
        await say({"event": "unavailable", "error": error.as_dict()})
        return 3
    await say({"event": "ready", "makers": len(pool.makers)})
    explorer = Explorer(pool, say)
    beating = asyncio.create_task(_beat(say))
    while (found := await received(reader)) is not None:
        explorer.hear(found[0])
    beating.cancel()
    return 0


async def _beat(say: Callable[[Message], Coroutine[Any, Any, None]]) -> None:
    """Tells the head that this loop goes round: an explorer that hangs is replaced."""
    while True:
        await say({"event": "alive"})
        await asyncio.sleep(_ALIVE_SECONDS)


def main(argv: list[str] | None = None) -> int:
    """Runs until the head closes the line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fd", type=int, required=True, help="descriptor of the head's socket")
    parser.add_argument(
        "--address", default="", help="HOST:PORT of the Ray cluster; without it, this machine"
    )
    parser.add_argument("--joined", action="store_true", help="the cluster was there before the service")
    parser.add_argument("--device", default="auto", help="OpenCL device, as ray_head.py takes it")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C in a terminal is the head's business
    return asyncio.run(_serve(options.fd, options.address, options.joined, options.device))


if __name__ == "__main__":
    sys.exit(main())

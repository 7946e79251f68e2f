"""Tiles: asked for once however many want them, kept in memory, streamed as they come, dropped when nobody waits."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import struct
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from aiohttp import web

from mandel.errors import MandelError, RequestError
from mandel.payload import payload
from mandel.payload.decimal_text import Number
from mandel.payload.fields import JsonObject
from mandel.plan.tile import MAX_DLEVEL, MAX_OFFSET, SIZE, STEPS, Anchor
from mandel.protocol.control import address
from mandel.protocol.tiles import Message, first_of_who_has_most
from mandel.settings import Settings
from mandel.version import ENGINE
from mandel.web.answers import (
    ADDRESS,
    CLIENT,
    Shares,
    answer,
    decimal,
    fields,
    known_fields,
    text,
    whole,
    write,
)
from mandel.web.explorer import Explorer

_KEPT_BYTES = 128 << 20
_MOST_ANCHORS, _ANCHOR_BYTES = 256, 16 << 20
_MOST_WAITING, _MOST_AT_ONCE = 4_096, 512
_MOST_FINDING = 16  # each is a process
_STAGE = 2**32 - 1
_LATEST_SECONDS = 0.25  # requests that come within it are of equal rank
_LARGEST_LIMIT = 2_000_000_000
_MOST_VIEWS = 64  # of a curve
_LEAST_EXTENT, _MAX_EXTENT = 1e-9, 4_096  # tiles of a view; far below, its spacing is no double
_MAX_PERIOD = 2_000_000_000
_HEX = re.compile(r"-?[0-9a-f]{1,45000}")
_NAME = re.compile(r"[0-9a-f]{32}")
_LENGTHS = struct.Struct("<II")

_VIEW = ("anchor", "dlevel", "x", "y")

Tile = tuple[str, int, int, bool, int, int, int]  # anchor, maxiter, step, whether shaded, dlevel, dx, dy

FACTS = {"size": SIZE, "steps": STEPS, "max_dlevel": MAX_DLEVEL, "max_offset": MAX_OFFSET}


class Anchors:
    """The anchors that pages have posted, by digest; the longest unused of who has most are forgotten."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Message] = OrderedDict()
        self._bytes = 0

    def add(self, level: int, x: str, y: str, client: str) -> str:
        """The name of an anchor, which counts for who is the first to post it.

        Raises:
            RequestError: OUT_OF_RANGE.
        """
        for name, value in (("x", x), ("y", y)):
            if not _HEX.fullmatch(value):
                raise RequestError("BAD_NUMBER", f"{name} is a hexadecimal number, as -1f3a", field=name)
        x, y = (format(int(value, 16), "x") for value in (x, y))
        Anchor(level, int(x, 16), int(y, 16))
        digest = hashlib.sha256(f"{level} {x} {y}".encode()).hexdigest()[:32]
        if digest not in self._known:
            self._bytes += len(x) + len(y)
            while len(self._known) >= _MOST_ANCHORS or self._bytes > _ANCHOR_BYTES:
                sizes = ((name, _size(one), one["client"]) for name, one in self._known.items())
                self._bytes -= _size(self._known.pop(first_of_who_has_most(sizes)), 0)
            self._known[digest] = {
                "do": "anchor", "client": client, "anchor": digest, "level": level, "x": x, "y": y,
            }  # fmt: skip
        self._known.move_to_end(digest)
        return digest

    def get(self, name: str) -> Message:
        """An anchor as the explorer is told it.

        Raises:
            RequestError: NO_ANCHOR.
        """
        if (found := self._known.get(name)) is None:
            raise RequestError("NO_ANCHOR", "this anchor is not known here any more; post it again")
        self._known.move_to_end(name)
        return found


def _size(anchor: Message, least: int = _ANCHOR_BYTES // _MOST_ANCHORS) -> int:
    """How much of the room an anchor takes."""
    return max(least, len(anchor["x"]) + len(anchor["y"]))


class Cache:
    """Bodies of tiles, up to a number of bytes; the longest unused go first."""

    def __init__(self, most: int = _KEPT_BYTES):
        self._most, self._bytes = most, 0
        self._kept: OrderedDict[Tile, bytes] = OrderedDict()

    def get(self, tile: Tile) -> bytes | None:
        """A tile's body, if it is there."""
        if (found := self._kept.get(tile)) is not None:
            self._kept.move_to_end(tile)
        return found

    def keep(self, tile: Tile, body: bytes) -> None:
        """Keeps a body."""
        self._bytes += len(body) - len(self._kept.pop(tile, b""))
        self._kept[tile] = body
        while self._bytes > self._most:
            self._bytes -= len(self._kept.popitem(last=False)[1])


class Tiles:
    """Handlers for ``/api/anchors``, ``/tile``, ``/api/tiles``, ``/api/limit``, ``/api/curve`` and ``/api/locate``."""

    def __init__(self, explorer: Explorer, settings: Settings):
        self._explorer, self._limits, self._patience = explorer, settings.limits, settings.stall_timeout
        self._anchors, self._cache = Anchors(), Cache()
        # By client: who waits for a tile that a stranger asked for first would wait for all that the stranger wants.
        self._coming: dict[tuple[str, Tile], tuple[asyncio.Task[bytes], set[object]]] = {}
        self._wanted = Shares(_MOST_WAITING, "tiles are wanted")
        self._finding = Shares(_MOST_FINDING, "minibrots are looked for")

    async def anchor(self, asked: web.Request) -> web.Response:
        """``POST /api/anchors``."""
        given = await fields(asked, ("level", "x", "y"))
        level = whole(given["level"], "level", -1_000, 1_000_000)
        name = self._anchors.add(level, text(given, "x"), text(given, "y"), asked[CLIENT])
        self._explorer.prepare()
        return answer({"anchor": name})

    async def one(self, asked: web.Request) -> web.Response:
        """``GET /tile/...``."""
        said = asked.match_info
        if said["engine"] != str(ENGINE):
            raise RequestError(
                "NOT_FOUND", f"this service makes tiles of engine {ENGINE}: load the page again"
            )
        maxiter, *place = (Number(said[name]) for name in ("maxiter", "dlevel", "dx", "dy"))
        shaded = {"1": True, "0": False}.get(asked.query.get("shaded", "0"))
        tile = self._tile(said["anchor"], maxiter, Number(asked.query.get("step", "1")), shaded, place)
        body = await self._body(tile, *_rank(asked))
        return web.Response(
            body=body,
            content_type="application/octet-stream",
            headers={"Cache-Control": "private, max-age=86400, immutable"},
        )

    async def many(self, asked: web.Request) -> web.StreamResponse:
        """``POST /api/tiles``."""
        tiles = self._tiles(await fields(asked, ("anchor", "maxiter", "tiles"), ("step", "shaded")))
        self._anchors.get(tiles[0][0])
        sent = web.StreamResponse(headers={"Cache-Control": "no-store"})
        sent.content_type = "application/octet-stream"
        await sent.prepare(asked)
        async with aclosing(self._as_they_come(tiles, *_rank(asked))) as coming:
            async for index, body in coming:
                await write(asked, sent, _LENGTHS.pack(index, len(body)) + body, self._patience)
        return sent

    async def limit(self, asked: web.Request) -> web.Response:
        """``POST /api/limit``."""
        view, anchor = self._view(await fields(asked, _VIEW))
        return answer(await self._explorer.ask({"do": "limit"} | _asker(asked) | view, anchor))

    async def curve(self, asked: web.Request) -> web.Response:
        """``POST /api/curve``."""
        given = await fields(asked, ("views",), ("maxiter",))
        views = [
            self._view(known_fields(view, "a view", _VIEW)) for view in _list_of("views", given, _MOST_VIEWS)
        ]
        maxiter = given.get("maxiter")
        message: Message = _asker(asked) | {
            "do": "curve",
            "places": [view for view, _ in views],
            "maxiter": None if maxiter is None else self._limit(maxiter),
        }
        return answer(await self._explorer.ask(message, *(anchor for _, anchor in views)))

    def _view(self, given: JsonObject) -> tuple[Message, Message]:
        """A view as it was asked for, checked, and its anchor."""
        anchor = self._anchors.get(text(given, "anchor"))
        dlevel = whole(given["dlevel"], "dlevel", -MAX_DLEVEL, MAX_DLEVEL)
        sides = {name: _interval(given[name], name) for name in ("x", "y")}
        return {"anchor": anchor["anchor"], "dlevel": dlevel} | sides, anchor

    def _limit(self, maxiter: object) -> int:
        return whole(maxiter, "maxiter", 1, min(self._limits.max_maxiter, _LARGEST_LIMIT))

    async def locate(self, asked: web.Request) -> web.StreamResponse:
        """``POST /api/locate``."""
        given = await fields(asked, ("re", "im", "delta"), ("max_period",))
        point = f"{text(given, 're')},{text(given, 'im')}"
        most = (
            whole(given["max_period"], "max_period", 1, _MAX_PERIOD) if "max_period" in given else 1_000_000
        )
        deltas = {"start_delta": text(given, "delta"), "end_delta": text(given, "delta")}
        try:
            wanted = payload.parse({"point": point, "num_frames": 1, **deltas}, self._limits)
        except MandelError as error:
            field = "delta" if error.field in deltas else error.field
            words = error.message.replace("start_delta", "delta")
            raise RequestError(error.code, words, field=field, limit=error.limit) from None
        message: Message = _asker(asked) | {
            "do": "locate", "re": wanted.re, "im": wanted.im, "delta": wanted.start_delta, "max_period": most,
        }  # fmt: skip
        with self._finding.take(asked[ADDRESS]):
            return await self._find(asked, message)

    async def _find(self, asked: web.Request, message: Message) -> web.StreamResponse:
        """Lines of how far it is, and one of what was found."""
        sent = web.StreamResponse(headers={"Cache-Control": "no-store"})
        sent.content_type = "application/x-ndjson"
        await sent.prepare(asked)
        told: asyncio.Queue[Message] = asyncio.Queue(1)
        finding = asyncio.create_task(self._explorer.ask(message, stage=lambda *far: _replace(told, far)))
        try:
            while not finding.done():
                listening = asyncio.create_task(told.get())
                try:
                    await asyncio.wait({finding, listening}, return_when=asyncio.FIRST_COMPLETED)
                    if listening.done():
                        await write(asked, sent, _as_line(listening.result()), self._patience)
                finally:
                    listening.cancel()  # also where the browser has gone meanwhile
            try:
                await write(asked, sent, _as_line({"found": finding.result()}), self._patience)
            except MandelError as error:
                await write(asked, sent, _as_line({"error": error.as_dict()}), self._patience)
        finally:
            finding.cancel()
        return sent

    # -- tiles ------------------------------------------------------------

    def _tile(self, anchor: object, maxiter: object, step: object, shaded: object, place: Any) -> Tile:
        """A tile as it was asked for, checked.

        Raises:
            RequestError: WRONG_TYPE, OUT_OF_RANGE.
        """
        if not (isinstance(anchor, str) and _NAME.fullmatch(anchor)):
            raise RequestError("NO_ANCHOR", "an anchor is named by 32 hexadecimal digits", field="anchor")
        if not (isinstance(place, list) and len(place) == 3):
            raise RequestError("WRONG_TYPE", "a tile is [dlevel, dx, dy]", field="tiles")
        limit = self._limit(maxiter)
        if (size := whole(step, "step", 1, STEPS[-1])) not in STEPS:
            raise RequestError("OUT_OF_RANGE", "step is 1, 2, 4 or 8", field="step", limit=list(STEPS))
        if not isinstance(shaded, bool):
            raise RequestError("WRONG_TYPE", "shaded must be true or false", field="shaded")
        dlevel = whole(place[0], "dlevel", -MAX_DLEVEL, MAX_DLEVEL)
        dx, dy = (
            whole(at, name, -MAX_OFFSET, MAX_OFFSET) for at, name in zip(place[1:], ("dx", "dy"), strict=True)
        )
        return anchor, limit, size, shaded, dlevel, dx, dy

    def _tiles(self, given: JsonObject) -> list[Tile]:
        asked = _list_of("tiles", given, _MOST_AT_ONCE)
        first = given["anchor"], given["maxiter"], given.get("step", Number("1")), given.get("shaded", False)
        return [self._tile(*first, place) for place in asked]

    async def _body(self, tile: Tile, client: str, order: int) -> bytes:
        """A tile's body; several requests of a client that want it wait for the same."""
        if (kept := self._cache.get(tile)) is not None:
            return kept
        key = client, tile
        if key not in self._coming:
            self._coming[key] = asyncio.create_task(self._make(tile, client, order)), set()
        making, waiting = self._coming[key]
        waiter = object()
        waiting.add(waiter)
        try:
            return await asyncio.shield(making)
        finally:
            waiting.discard(waiter)
            if not waiting:
                making.cancel()
                self._forget(key, making)  # at once: who asks again must not wait for what is cancelled

    async def _make(self, tile: Tile, client: str, order: int) -> bytes:
        anchor, maxiter, step, shaded, dlevel, dx, dy = tile
        message = {
            "do": "tile", "anchor": anchor, "maxiter": maxiter, "step": step, "shaded": shaded,
            "dlevel": dlevel, "dx": dx, "dy": dy, "client": client, "order": order,
        }  # fmt: skip
        try:
            with self._wanted.take(address(client)):
                body: bytes = await self._explorer.ask(message, self._anchors.get(anchor))
        finally:
            self._forget((client, tile), asyncio.current_task())
        self._cache.keep(tile, body)
        return body

    def _forget(self, key: tuple[str, Tile], making: object) -> None:
        if key in self._coming and self._coming[key][0] is making:
            del self._coming[key]

    async def _as_they_come(
        self, tiles: list[Tile], client: str, order: int
    ) -> AsyncGenerator[tuple[int, bytes], None]:
        """Index and body of each tile, and what is told of the orbit that they wait for."""
        queue: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()

        async def one(index: int, tile: Tile) -> None:
            try:
                body = await self._body(tile, client, order)
            except MandelError as error:
                body = json.dumps({"error": error.as_dict()}).encode()
            queue.put_nowait((index, body))

        def stage(done: int, total: int) -> None:
            told = {"stage": "reference", "done": done, "total": total}
            queue.put_nowait((_STAGE, json.dumps(told).encode()))

        tasks = [asyncio.create_task(one(index, tile)) for index, tile in enumerate(tiles)]
        try:
            with self._explorer.hearing(tiles[0][0], stage):
                left = len(tasks)
                while left:
                    index, body = await queue.get()
                    left -= index != _STAGE
                    yield index, body
        finally:
            for task in tasks:
                task.cancel()


def _rank(asked: web.Request) -> tuple[str, int]:
    """Whom a request counts for, and its order: later ones first, those of one moment as they came."""
    return asked[CLIENT], -int(time.monotonic() / _LATEST_SECONDS)


def _asker(asked: web.Request) -> Message:
    return dict(zip(("client", "order"), _rank(asked), strict=True))


def _list_of(name: str, given: JsonObject, most: int) -> list[Any]:
    """A field that is a list of 1 to ``most``. Raises RequestError."""
    value = given[name]
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise RequestError("OUT_OF_RANGE", f"{name} is a list of 1 to {most} {name}", field=name, limit=most)
    return value


def _interval(value: object, name: str) -> tuple[float, float]:
    if not (isinstance(value, list) and len(value) == 2):
        raise RequestError("WRONG_TYPE", f"{name} is two numbers, from and to", field=name)
    low, high = (decimal(end, name) for end in value)
    if not (
        abs(low) <= MAX_OFFSET and abs(high) <= MAX_OFFSET and _LEAST_EXTENT <= high - low <= _MAX_EXTENT
    ):
        raise RequestError(
            "OUT_OF_RANGE",
            f"{name} goes from a smaller to a larger number of tiles, by {_LEAST_EXTENT} to {_MAX_EXTENT}",
            field=name,
        )
    return low, high


def _replace(told: asyncio.Queue[Message], far: tuple[int, int]) -> None:
    if told.full():
        told.get_nowait()
    told.put_nowait({"done": far[0], "total": far[1]})


def _as_line(what: object) -> bytes:
    return json.dumps(what, separators=(",", ":")).encode() + b"\n"

"""Nobody waits for a stranger: real tiles by real HTTP, of a real explorer, for people at several addresses."""

import asyncio
import json
import os
import signal
import struct
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from mandel.errors import MandelError
from mandel.settings import Settings
from mandel.web.answers import ADDRESS, CLIENT
from mandel.web.explorer import Explorer
from mandel.web.tiles import Tiles

PATIENCE = 240  # seconds, on a machine however slow; what is dear takes hours
STAGE = 2**32 - 1
# On the edge of a disc of period 3, where nothing tells soon that samples lie inside: half an hour for the first one.
DEAR = {"maxiter": 1_900_000_000, "tiles": [[8, -26 + n % 20, 166 - n // 20] for n in range(400)]}
HOME = [[0, dx, dy] for dx in range(-3, 2) for dy in range(-2, 2)]


@asynccontextmanager
async def page():
    """A page's tiles; whoever asks says in a header from where."""
    supervisor = SimpleNamespace(facts={"state": "ready"}, cluster={"address": ""})
    explorer = Explorer(SimpleNamespace(supervisor=supervisor, settings=Settings()))
    tiles = Tiles(explorer, Settings())

    @web.middleware
    async def whose(asked, handler):
        asked[ADDRESS] = asked[CLIENT] = asked.headers["X-From"]
        return await handler(asked)

    app = web.Application(middlewares=[whose])
    app.add_routes([web.post("/api/anchors", tiles.anchor), web.post("/api/tiles", tiles.many)])
    server = TestServer(app)
    async with TestClient(server), ClientSession(server.make_url("/")) as session:
        try:
            yield session, explorer
        finally:
            await explorer.close()


async def anchor(session, whom, level, x=0, y=0):
    told = await session.post(
        "/api/anchors",
        json={"level": level, "x": format(x, "x"), "y": format(y, "x")},
        headers={"X-From": whom},
    )
    return (await told.json())["anchor"]


@asynccontextmanager
async def asking(session, whom, name, **what):
    """A request for tiles, and those that have come, by index."""
    found = {}

    async def read(answer):
        while head := await answer.content.read(8):
            head += await answer.content.readexactly(8 - len(head))
            index, size = struct.unpack("<II", head)
            body = await answer.content.readexactly(size)
            if index != STAGE:
                assert body[:1] != b"{", json.loads(body)
                found[index] = body

    async with session.post("/api/tiles", json={"anchor": name} | what, headers={"X-From": whom}) as answer:
        assert answer.status == 200, await answer.read()
        reading = asyncio.create_task(read(answer))
        try:
            yield found, reading
        finally:
            reading.cancel()


async def home(session, whom, maxiter):
    """Looks at the whole set."""
    name = await anchor(session, whom, 8)
    async with asking(session, whom, name, maxiter=maxiter, tiles=HOME) as (found, reading):
        await asyncio.wait_for(reading, PATIENCE)
    assert len(found) == len(HOME)


def test_what_takes_hours_keeps_nobody_else_waiting():
    """Neither one stranger's, nor that of several, who share the second place with those who come."""

    async def play():
        async with page() as (session, explorer), AsyncExitStack() as stack:
            name = await anchor(session, "stranger", 8)
            for number in range(3):
                whom = f"stranger {number}"
                found, reading = await stack.enter_async_context(
                    asking(session, whom, name, **DEAR | {"maxiter": DEAR["maxiter"] + number})
                )
                await home(session, "me", 300 + number)
                assert len(explorer._asked) > 300 * (number + 1) and 0 not in found and not reading.done()

    asyncio.run(play())


def test_an_explorer_that_hangs_is_replaced_and_its_tiles_are_asked_for_again():
    async def play():
        async with page() as (session, explorer):
            await home(session, "me", 300)
            stopped = explorer._process.pid
            os.killpg(stopped, signal.SIGSTOP)
            await home(session, "me", 301)
            assert explorer._process.pid != stopped

    asyncio.run(play())


def test_an_anchor_that_the_explorer_has_forgotten_is_told_anew():
    """Here by a fault; or others have posted many."""

    async def play():
        async with page() as (session, explorer):
            await home(session, "me", 300)
            name = await anchor(session, "me", 8)
            message = {"do": "limit", "client": "me", "order": 0, "anchor": name, "dlevel": 0}
            with pytest.raises(MandelError) as failed:
                await explorer.ask(message | {"x": ["", 1], "y": [0, 1]})
            assert failed.value.code == "INTERNAL"
            await home(session, "me", 301)

    asyncio.run(play())


def test_who_wants_what_a_stranger_wants_too_waits_for_no_more_than_that():
    """His tiles were asked for already, behind others that take hours."""

    async def play():
        async with page() as (session, _):
            name = await anchor(session, "stranger", 8)
            outside = [[0, 20, dy] for dy in range(2)]  # of the set: cheap at any limit
            theirs = DEAR | {"tiles": [*DEAR["tiles"][:1], *outside, *DEAR["tiles"][1:]]}
            async with asking(session, "stranger", name, **theirs) as (found, reading):
                async with asking(session, "me", name, **DEAR | {"tiles": outside}) as (mine, own):
                    await asyncio.wait_for(own, PATIENCE)
                assert len(mine) == len(outside) and not reading.done()
                assert 0 not in found

    asyncio.run(play())

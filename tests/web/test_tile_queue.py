"""A tile that nobody waits for any more, and that is asked for again at once; searches are bounded."""

import asyncio
from contextlib import ExitStack

import pytest

from mandel.errors import MandelError
from mandel.settings import Settings
from mandel.web import tiles as module
from mandel.web.answers import ADDRESS, CLIENT
from mandel.web.tiles import Tiles


class SlowExplorer:
    """Makes a tile when it is let."""

    def __init__(self):
        self.asked = 0
        self.let = asyncio.Event()

    async def ask(self, message, anchor=None):
        self.asked += 1
        await self.let.wait()
        return b"tile"


@pytest.mark.parametrize("turns", range(8))
def test_a_tile_that_is_wanted_again_in_the_moment_it_is_given_up_is_made_again(turns):
    """Whichever of the loop's turns it is: in one the waiter has given up, and the making has not heard of it."""

    async def play():
        explorer = SlowExplorer()
        tiles = Tiles(explorer, Settings())
        tile = tiles._anchors.add(8, "0", "0", "me"), 100, 1, False, 0, 0, 0
        first = asyncio.create_task(tiles._body(tile, "me", 0))
        await asyncio.sleep(0.01)
        first.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)
        again = [asyncio.create_task(tiles._body(tile, "me", 0)) for _ in range(3)]
        await asyncio.sleep(0.01)
        explorer.let.set()
        assert await asyncio.gather(*again) == [b"tile"] * 3
        assert explorer.asked <= 2 and not tiles._coming
        assert await tiles._body(tile, "me", 0) == b"tile" and explorer.asked <= 2

    asyncio.run(asyncio.wait_for(play(), 20))


def test_no_more_searches_begin_than_the_machine_has_room_for(monkeypatch):
    async def asked_for(*_):
        return {"re": "0", "im": "0", "delta": "1"}

    async def play():
        tiles = Tiles(SlowExplorer(), Settings())
        with ExitStack() as searches:
            for number in range(module._MOST_FINDING):
                searches.enter_context(tiles._finding.take(f"address {number}"))
            with pytest.raises(MandelError, match="looked for already") as error:
                await tiles.locate({ADDRESS: "another", CLIENT: "another"})
        assert error.value.code == "BUSY"

    monkeypatch.setattr(module, "fields", asked_for)
    asyncio.run(asyncio.wait_for(play(), 20))

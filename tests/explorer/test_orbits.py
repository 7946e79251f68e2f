"""Orbits that several want, that nobody wants any more, and that are wanted again at once."""

import asyncio

import pytest

from mandel.explorer.main import Orbits, Shelf
from mandel.explorer.makers import Desk
from mandel.explorer.turns import Turns
from mandel.plan.tile import Anchor

ME = ("me", 0)  # client and order


def of(pool, anchor, shelf, client="me"):
    """The orbits of an anchor that a client posted."""
    return Orbits(pool, anchor, client, lambda *_: None, shelf, Turns([Desk()], 1, 0.0))


class SlowPool:
    """Computes an orbit when it is let."""

    def __init__(self):
        self.begun = self.cancelled = 0
        self.let = asyncio.Event()

    async def orbit(self, *_, told):
        self.begun += 1
        try:
            await self.let.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "orbit", {"complete": True, "limit": 9, "bytes": 100}


@pytest.mark.parametrize("turns", range(8))
def test_an_orbit_that_is_wanted_again_in_the_moment_it_is_given_up_is_computed_again(turns):
    """Whichever of the loop's turns it is: in one the waiter has given up, and the computation has not heard of it."""

    async def play():
        pool = SlowPool()
        orbits = of(pool, anchor := Anchor(200, 1, 1), Shelf())
        grid = anchor.grid(0, 0, 0)
        first = asyncio.create_task(orbits.serving(ME, grid, 0, 100))
        await asyncio.sleep(0.01)
        first.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)
        again = asyncio.create_task(orbits.serving(ME, grid, 0, 100))
        await asyncio.sleep(0.01)
        pool.let.set()
        assert await again == "orbit"
        assert pool.begun - pool.cancelled == 1
        assert await orbits.serving(ME, grid, 0, 10**9) == "orbit" and pool.begun <= 2

    asyncio.run(asyncio.wait_for(play(), 20))


def test_orbits_of_all_anchors_are_bounded_by_bytes():
    """The one that is used last stays, however large; an anchor that is forgotten leaves its room to others."""

    async def play():
        pool, shelf = SlowPool(), Shelf(250)
        pool.let.set()
        anchors = [Anchor(200, place, 1) for place in range(4)]
        orbits = [of(pool, anchor, shelf) for anchor in anchors]

        async def begun(which):
            before = pool.begun
            await orbits[which].serving(ME, anchors[which].grid(0, 0, 0), 0, 100)
            return pool.begun - before

        assert [await begun(which) for which in (0, 1, 0, 2)] == [
            1,
            1,
            0,
            1,
        ]  # 1 has gone, 0 was used after it
        assert [await begun(which) for which in (0, 2, 1)] == [0, 0, 1]  # and now 0 has
        orbits[2].close()
        orbits[1].close()
        assert [await begun(which) for which in (0, 3, 0, 3)] == [1, 1, 0, 0]

    asyncio.run(asyncio.wait_for(play(), 20))


def test_nobody_loses_his_orbits_to_a_stranger_who_wants_many():
    async def play():
        pool, shelf = SlowPool(), Shelf(450)
        pool.let.set()
        mine, *theirs = (
            (of(pool, anchor, shelf, client), anchor.grid(0, 0, 0))
            for anchor, client in (
                (Anchor(200, place, 1), f"{place}@there" if place else "me") for place in range(9)
            )
        )
        await mine[0].serving(ME, mine[1], 0, 100)
        for orbits, grid in theirs:
            await orbits.serving(("them", 0), grid, 0, 100)
        assert pool.begun == 9
        await mine[0].serving(ME, mine[1], 0, 100)
        assert pool.begun == 9
        await theirs[0][0].serving(("them", 0), theirs[0][1], 0, 100)
        assert pool.begun == 10

    asyncio.run(asyncio.wait_for(play(), 20))

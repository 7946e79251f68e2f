"""Orbits that several want, that nobody wants any more, and that are wanted again at once."""

import asyncio

import pytest

from mandel.explorer.main import Orbits, Shelf
from mandel.plan.tile import Anchor


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
        orbits = Orbits(pool, anchor := Anchor(200, 1, 1), lambda *_: None, Shelf())
        grid = anchor.grid(0, 0, 0)
        first = asyncio.create_task(orbits.serving(grid, 0, 100))
        await asyncio.sleep(0.01)
        first.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)
        again = asyncio.create_task(orbits.serving(grid, 0, 100))
        await asyncio.sleep(0.01)
        pool.let.set()
        assert await again == "orbit"
        assert pool.begun - pool.cancelled == 1
        assert await orbits.serving(grid, 0, 10**9) == "orbit" and pool.begun <= 2

    asyncio.run(asyncio.wait_for(play(), 20))


def test_orbits_of_all_anchors_are_bounded_by_bytes():
    """The one that is used last stays, however large; an anchor that is forgotten leaves its room to others."""

    async def play():
        pool, shelf = SlowPool(), Shelf(250)
        pool.let.set()
        anchors = [Anchor(200, place, 1) for place in range(4)]
        orbits = [Orbits(pool, anchor, lambda *_: None, shelf) for anchor in anchors]

        async def begun(which):
            before = pool.begun
            await orbits[which].serving(anchors[which].grid(0, 0, 0), 0, 100)
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

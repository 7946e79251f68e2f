"""Orbits that several want, that nobody wants any more, and that are wanted again at once."""

import asyncio

from mandel.explorer.main import Orbits
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
        return "orbit", {"complete": True, "limit": 9}


def test_an_orbit_that_is_wanted_again_in_the_moment_it_is_given_up_is_computed_again():
    async def play():
        pool = SlowPool()
        orbits = Orbits(pool, anchor := Anchor(200, 1, 1), lambda *_: None)
        grid = anchor.grid(0, 0, 0)
        first = asyncio.create_task(orbits.serving(grid, 0, 100))
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.sleep(0)  # it has given up; the computation has not heard of it yet
        again = asyncio.create_task(orbits.serving(grid, 0, 100))
        await asyncio.sleep(0.01)
        assert (pool.begun, pool.cancelled) == (2, 1)
        pool.let.set()
        assert await again == "orbit"
        assert await orbits.serving(grid, 0, 10**9) == "orbit" and pool.begun == 2

    asyncio.run(asyncio.wait_for(play(), 20))

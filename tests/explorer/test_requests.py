"""Requests are answered whatever happens: the head, and with it somebody's page, waits for each."""

import asyncio
import threading

from mandel.device import machine
from mandel.explorer.local_pool import LocalPool
from mandel.explorer.main import Explorer


class LosingPool:
    """Its first orbit is lost, in a way that nobody has foreseen."""

    def __init__(self):
        self.asked = 0
        self.makers = []

    async def orbit(self, *_, told):
        self.asked += 1
        raise LookupError("the object is lost")


def test_a_fault_that_nobody_has_foreseen_is_an_answer_and_the_anchor_is_posted_again():
    said = []

    async def say(message, body=b""):
        said.append(message)

    async def play():
        explorer = Explorer(LosingPool(), say)
        explorer.hear({"do": "anchor", "client": "me", "anchor": "a", "level": 200, "x": "1", "y": "1"})
        tile = {
            "do": "tile",
            "anchor": "a",
            "maxiter": 9,
            "step": 1,
            "dlevel": 0,
            "dx": 0,
            "dy": 0,
            "client": "me",
            "order": 0,
        }
        for number in (1, 2):
            explorer.hear(tile | {"id": number})
            while len(said) < number:
                await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(play(), 20))
    assert [(told["event"], told["id"], told["error"]["code"]) for told in said] == [
        ("failed", 1, "INTERNAL"),
        ("failed", 2, "NO_ANCHOR"),
    ]


def test_on_a_machine_of_many_cores_all_long_work_at_once_leaves_threads_to_the_makers(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 96)
    ends = threading.Event()

    async def play():
        pool = LocalPool("cpu")
        long = [asyncio.create_task(asyncio.to_thread(ends.wait)) for _ in range(machine.cores())]
        try:
            await asyncio.wait_for(pool.makers[0].begin("warm_up"), 120)
            assert not any(each.done() for each in long)
        finally:
            ends.set()
            pool.makers[0]._kill()
            await asyncio.gather(*long)

    asyncio.run(play())

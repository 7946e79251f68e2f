"""Requests are answered whatever happens: the head, and with it somebody's page, waits for each."""

import asyncio

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

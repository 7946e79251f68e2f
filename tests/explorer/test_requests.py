"""Requests are answered whatever happens: the head, and with it somebody's page, waits for each."""

import asyncio
import fcntl
import os
import signal
import struct
import termios
import threading

from mandel.device import machine
from mandel.explorer.local_pool import LocalMaker, LocalPool
from mandel.explorer.main import Explorer
from mandel.explorer.work import find_nucleus
from mandel.plan.tile import Anchor


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


def on_its_way(line):
    """How many bytes a socket has taken that nobody has read."""
    return struct.unpack("i", fcntl.ioctl(line.fileno(), termios.TIOCOUTQ, bytes(4)))[0]


def test_a_call_that_is_sent_while_a_long_one_is_still_on_its_way_does_not_mix_with_it():
    """As where an orbit travels: a busy process takes it late."""

    async def play():
        maker = LocalMaker("cpu")
        process, grid = maker._process, Anchor(8, -1, 0).grid(0, 0, 0, 8)
        try:
            await asyncio.wait_for(maker.begin("warm_up"), 120)
            os.kill(process.pid, signal.SIGSTOP)
            long = maker.begin("tile", grid, 50, b"x" * (8 << 20), None)  # true, and as long as an orbit
            while not on_its_way(maker._send._line):
                await asyncio.sleep(0.01)
            short = maker.begin("tile", grid, 50, False, None)
            await asyncio.sleep(0.2)
            assert not long.done()
            os.kill(process.pid, signal.SIGCONT)
            shaded, plain = await asyncio.wait_for(asyncio.gather(long, short), 120)
            assert len(shaded) > len(plain) and maker._process is process
        finally:
            maker._kill()

    asyncio.run(play())


def test_a_minibrot_that_is_not_turned_is_turned_by_nothing():
    _, (found, error) = find_nucleus("-1.749081269", "0", "1e-8", 1_000, lambda *_: None)
    assert error is None and str(found["turn_degrees"]) == "0.0"

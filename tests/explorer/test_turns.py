"""Whose call is next, and who makes way."""

import asyncio
from collections import Counter

import pytest

from mandel.explorer import turns as module
from mandel.explorer.makers import Desk
from mandel.explorer.turns import Turns

SECONDS = 60


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """So short that only the order of things tells."""
    for name in ("_HELD_SECONDS", "_TURN_SECONDS", "_LOOK_SECONDS"):
        monkeypatch.setattr(module, name, 0.01)


class Work:
    """What is under way, and what has been: a name each."""

    def __init__(self):
        self.running, self.begun, self.most = Counter(), [], Counter()
        self.ends = {}

    async def do(self, name):
        whose = name.split()[0]
        self.begun.append(name)
        self.running[whose] += 1
        self.most[whose] = max(self.most[whose], self.running[whose])
        try:
            await self.ends.setdefault(name, asyncio.Event()).wait()
            return name
        finally:
            self.running[whose] -= 1

    def let(self, name):
        self.ends.setdefault(name, asyncio.Event()).set()


def play(act):
    asyncio.run(asyncio.wait_for(act(), SECONDS))


async def until(true):
    while not true():
        await asyncio.sleep(0.001)


def test_whoever_comes_gets_a_place_however_much_others_want_and_however_long_it_takes():
    """Forty-eight endless pieces of work from each of several addresses, where there are four places."""

    async def act():
        turns, work = Turns([Desk() for _ in range(4)], 1, 0.0), Work()
        wanted = []
        for who in ("a", "b", "c", "d", "e", "f"):
            for number in range(48):
                name = f"{who} {number}"
                wanted.append(asyncio.create_task(turns.take(name, f"x@{who}", 0, work.do, name)))
            name = f"me beside {who}"
            work.let(name)
            assert await turns.take(name, "me", 0, work.do, name) == name
        assert not any(each.done() for each in wanted)
        assert sum(work.running.values()) <= 8
        assert work.most["a"] == 4
        for each in wanted:
            each.cancel()
        await asyncio.gather(*wanted, return_exceptions=True)
        await until(lambda: not sum(work.running.values()))
        assert not turns._calls

    play(act)


def test_addresses_take_turns_and_of_each_the_latest_is_first(monkeypatch):
    monkeypatch.setattr(module, "_HELD_SECONDS", 3_600.0)

    async def act():
        turns, work = Turns([Desk()], 1, 0.0), Work()
        names = [f"{who} {number}" for who in ("a", "b") for number in range(5)]
        wanted = [
            asyncio.create_task(turns.take(name, name[0], -int(name[-1]), work.do, name)) for name in names
        ]
        for count in range(len(names)):
            await until(lambda count=count: len(work.begun) > count)
            await asyncio.sleep(0.002)
            work.let(work.begun[-1])
        await asyncio.gather(*wanted)
        assert work.begun[0] == "a 0"
        for who in ("a", "b"):
            assert [name for name in work.begun[1:] if name[0] == who][:4] == [
                f"{who} {n}" for n in (4, 3, 2, 1)
            ]
        assert {name[0] for name in work.begun[:2]} == {"a", "b"}

    play(act)


def test_who_always_has_a_call_behind_the_one_that_is_made_keeps_the_place_from_nobody(monkeypatch):
    monkeypatch.setattr(module, "_HELD_SECONDS", 3_600.0)  # each is short: nobody makes way

    async def act():
        turns, work = Turns([Desk()], 2, 0.0), Work()
        theirs = [
            asyncio.create_task(turns.take(f"it {number}", "them", number, work.do, f"it {number}"))
            for number in range(9)
        ]
        await until(lambda: len(work.begun) == 2)
        mine = asyncio.create_task(turns.take("me", "me", 0, work.do, "me"))
        await until(lambda: "me" in turns._queues)
        for number in range(2):
            work.let(f"it {number}")
            await theirs[number]
        await until(lambda: len(work.begun) > 2)
        assert work.begun[:3] == ["it 0", "it 1", "me"]
        work.let("me")
        assert await mine == "me"
        for each in theirs:
            each.cancel()

    play(act)


def test_at_one_address_its_clients_take_turns_and_together_have_one_share():
    used = module._Used()
    for client in ("x@a", "y@a", "b"):
        used.enter(client)
    used.charge("x@a", 3)
    used.charge("b", 2)
    assert sorted(("x@a", "y@a", "b"), key=used.rank) == ["b", "y@a", "x@a"]
    used.charge("b", 2)
    used.enter("c")
    assert sorted(("x@a", "y@a", "b"), key=used.rank) == ["y@a", "x@a", "b"] and used.rank("c") == (3, 0)
    used.keep({"b"})
    used.enter("y@a")
    assert used.rank("y@a") == (4, 0)


def test_what_made_way_is_done_in_the_end_and_had_a_longer_turn_each_time(monkeypatch):
    async def act():
        turns, work = Turns([Desk()], 1, 0.0), Work()
        hog = asyncio.create_task(turns.take("hog", "hog", 0, work.do, "hog"))
        await until(lambda: work.begun)
        patient = asyncio.create_task(turns.take("patient", "patient", 0, work.do, "patient"))
        for number in range(3):
            before = work.begun.count("patient")
            await until(
                lambda before=before: work.begun[-1] == "patient" and work.begun.count("patient") >= before
            )
            name = f"me {number}"
            work.let(name)
            assert await turns.take(name, "me", 0, work.do, name) == name
        await until(lambda: work.begun.count("patient") == 4)
        assert turns._calls["patient"].turn == 8 * module._TURN_SECONDS
        work.let("patient")
        assert await patient == "patient" and work.begun.count("hog") == 1
        hog.cancel()

    play(act)


def test_what_two_want_is_done_once_and_goes_on_for_the_one_who_stays():
    async def act():
        turns, work = Turns([Desk()], 1, 0.0), Work()
        first, second = (asyncio.create_task(turns.take("it", who, 0, work.do, "it")) for who in ("a", "b"))
        await until(lambda: work.begun)
        first.cancel()
        await asyncio.sleep(0.01)
        work.let("it")
        assert await second == "it" and work.begun == ["it"]

    play(act)


def test_what_a_stranger_wants_later_is_done_when_it_is_my_turn():
    """It was asked for already, by somebody who wants much before it."""

    async def act():
        turns, work = Turns([Desk()], 1, 0.0), Work()
        theirs = [
            asyncio.create_task(turns.take(f"it {number}", "them", number, work.do, f"it {number}"))
            for number in range(9)
        ]
        await until(lambda: work.begun)
        work.let("it 8")
        assert await turns.take("it 8", "me", 0, work.do, "it 8") == await theirs[8] == "it 8"
        assert work.begun == ["it 0", "it 8"]
        for each in theirs:
            each.cancel()

    play(act)


def test_an_error_is_for_all_who_wait_and_the_next_one_has_its_turn():
    async def act():
        turns, work = Turns([Desk()], 1, 0.0), Work()

        async def fail():
            raise LookupError("lost")

        told = await asyncio.gather(
            *(turns.take("it", who, 0, fail) for who in ("a", "b")), return_exceptions=True
        )
        assert [type(each) for each in told] == [LookupError] * 2
        work.let("next")
        assert await turns.take("it", "a", 0, work.do, "next") == "next"

    play(act)


def test_what_is_given_up_does_not_pile_up(monkeypatch):
    monkeypatch.setattr(module, "_MANY", 16)

    async def act():
        turns, work = Turns([Desk()], 1, 0.0), Work()
        endless = asyncio.create_task(turns.take("endless", "a", 0, work.do, "endless"))
        await until(lambda: work.begun)
        for number in range(200):
            more = asyncio.create_task(turns.take(number, "a", 0, work.do, f"more {number}"))
            await asyncio.sleep(0)
            more.cancel()
            await asyncio.gather(more, return_exceptions=True)
        assert len(turns._queues["a"]) <= 16 and len(turns._calls) == 1
        endless.cancel()

    play(act)

"""What a payload would take, asked of the stand-in driver."""

import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from mandel.errors import MandelError
from mandel.payload.payload import parse
from mandel.protocol import control
from mandel.service.supervision import estimates
from mandel.service.supervision.estimates import Estimates
from tests.service.heads import SMALL
from tests.support.processes import wait_for


def test_an_estimate_is_told_and_nothing_is_begun(head):
    told = head.ask(op="estimate", **SMALL).last
    assert (told["seconds"], told["cpu_seconds"], told["bytes"]) == ([1.0, 2.5], [2.0, 5.0], [3e5, 2e6])
    assert (told["frames"], told["state"], told["slots"]) == (SMALL["num_frames"], None, {"cpu": 2})
    assert told["others"] == 0 and told["load"] >= 0 and told["cores"] == os.cpu_count()
    assert head.ask(op="list").last["jobs"] == []
    job = head.ask(**SMALL).last
    again = head.ask(op="estimate", **SMALL).last
    assert again["job"] == told["job"] and again["state"] == "done" and job


def test_another_video_of_strips_is_estimated_as_made_from_these(head):
    job = head.ask(**SMALL, sampling="shared", keep_strips=True).last["job"]
    assert head.ask(op="estimate", job=job, palette="ember").last["frames"] == SMALL["num_frames"]
    assert [line.partition(" of ")[2] for line in head.lines("estimated")] == ["0 strips, source True"]
    assert head.ask(op="estimate", job=job, maxiter=5).last["code"] == "UNKNOWN_FIELD"
    plain = head.ask(**SMALL).last["job"]
    assert head.ask(op="estimate", job=plain, palette="ember").last["code"] == "NO_STRIPS"


def test_the_same_mistakes_are_refused(head):
    assert head.ask(op="estimate", num_frames=0).last["field"] == "num_frames"
    assert head.ask(op="estimate", num_framse=3).last["code"] == "UNKNOWN_FIELD"


def test_who_asks_for_the_same_waits_for_the_same_answer(head):
    head.order("hold")
    told = []
    askers = [
        threading.Thread(target=lambda: told.append(head.ask(op="estimate", **SMALL).last)) for _ in "ab"
    ]
    for asker in askers:
        asker.start()
    wait_for(lambda: head.lines("estimated"), 20, "it was asked for")
    for asker in askers:
        asker.join(0.5)
    assert not told
    head.order("crash")
    head.ask(
        op="estimate", **SMALL | {"num_frames": 3}
    )  # the driver dies of it, and all others get no answer
    for asker in askers:
        asker.join(30)
    assert [it["code"] for it in told] == ["NO_ESTIMATE"] * 2
    assert len(head.lines("estimated")) == 2


@pytest.mark.parametrize("order, code", [("fail", "FRAME_FAILED"), ("crash", "NO_ESTIMATE")])
def test_an_estimate_that_fails_says_so_and_costs_no_job(head, order, code):
    head.order(order)
    assert head.ask(op="estimate", **SMALL).last["code"] == code
    assert head.ask(**SMALL).video


def test_an_estimate_ends_with_the_service(head):
    head.order("hold")
    told = []
    asker = threading.Thread(target=lambda: told.append(head.ask(op="estimate", **SMALL).last))
    asker.start()
    wait_for(lambda: head.lines("estimated"), 20, "it was asked for")
    head.stop()
    asker.join(20)
    assert [it["code"] for it in told] == ["NO_ESTIMATE"]


def test_who_has_gone_waits_for_nothing(head):
    head.order("hold")
    for number in range(4):
        sock, _ = head.send(op="estimate", **SMALL | {"num_frames": 20 + number})
        wait_for(lambda number=number: len(head.lines("estimated")) > number, 20, "it was asked for")
        sock.close()
    wait_for(lambda: len(head.lines("dropped")) == 4, 30, "the driver need not find out any of it")
    head.withdraw("hold")
    wait_for(lambda: head.ask(op="estimate", **SMALL).code is None, 20, "it has let go of them")


def test_who_only_says_no_more_gets_the_answer(head):
    head.order("hold")
    sock, reply = head.send(op="estimate", **SMALL)
    with sock:
        sock.shutdown(socket.SHUT_WR)
        wait_for(
            lambda: b"X-Waiting-3: yes" in sock.recv(1 << 16, socket.MSG_PEEK),
            30,
            "it is seen who still waits",
        )
        head.order("crash")
        head.ask(op="estimate", **SMALL | {"num_frames": 3})
        assert reply.read().code == "NO_ESTIMATE"
    assert not head.lines("dropped")


def test_nobody_waits_once_the_service_stops():
    orders = []
    asked = Estimates(orders.append, "cache")
    asked.close()
    with pytest.raises(MandelError) as caught:
        asked.ask(parse(SMALL), "me", lambda: False)
    assert caught.value.code == "STOPPING" and not orders


def test_what_is_said_of_one_that_was_given_up_is_about_no_other():
    orders = []
    asked = Estimates(orders.append, "cache")
    with pytest.raises(MandelError):
        asked.ask(parse(SMALL), "me", lambda: True)
    given_up, cancelled = orders
    assert cancelled.job == given_up.job
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(asked.ask, parse(SMALL), "me", lambda: False)
        wait_for(lambda: len(orders) == 3, 20, "it is asked for anew")
        assert not asked.take(control.Cancelled(job=given_up.job))
        assert asked.take(control.Failed(job=orders[2].job, code="FRAME_FAILED", message="as told"))
        assert told.exception(20).code == "FRAME_FAILED"


def test_a_driver_that_dies_of_estimates_costs_no_job(head):
    head.order("hold")
    sock, reply = head.send(**SMALL)
    with sock:
        wait_for(lambda: "running" in str(head.ask(op="list").last), 20, "it is begun")
        for number in range(6):
            head.order("crash")
            told = head.ask(op="estimate", **SMALL | {"num_frames": 20 + number}).last
            assert told["code"] == "NO_ESTIMATE"
        assert "try again in" in told["message"] and len(head.lines("estimated")) == 1
        head.withdraw("crash")
        head.withdraw("hold")
        assert reply.read().video
    assert head.ask(op="status").last["driver"]["starts"] == 2


class Asking:
    """Estimates with a driver that answers nothing, and those who wait for them."""

    def __init__(self):
        self.orders = []
        self.asked = Estimates(self.orders.append, "cache")
        self.pool, self.left = ThreadPoolExecutor(32), threading.Event()

    def ask(self, client, number, waits=True):
        """An estimate that the driver has been told of; one that nobody waits for it was told to drop, too."""
        before = len(self.orders)
        payload = parse(SMALL | {"num_frames": number})
        told = self.pool.submit(self.asked.ask, payload, client, self.left.is_set if waits else lambda: True)

        def is_asked() -> bool:
            orders = self.orders[before:]  # which may also drop another one, before it is asked for
            return any(it.payload == payload.canonical() for it in orders if isinstance(it, control.Estimate))

        wait_for(lambda: is_asked() or told.done(), 20, "it is asked for, or refused")
        return told

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.left.set()
        self.pool.shutdown()

    def told(self):
        """How many frames those have that the driver is at, in the order in which it was told of them."""
        with self.asked._lock:
            names = {it.name for it in self.asked._waiting}
            return [it.payload["num_frames"] for it in self.orders if it.job in names]

    def queue(self, client, number):
        """An estimate that is waited for, whether its turn has come or not."""
        payload = parse(SMALL | {"num_frames": number})
        told = self.pool.submit(self.asked.ask, payload, client, self.left.is_set)

        def waits() -> bool:
            with self.asked._lock:  # else it may be seen before the driver is told of whose turn has come
                return any(it.order.payload == payload.canonical() for it in self.asked._waiting)

        wait_for(lambda: waits() or told.done(), 20, "it is waited for, or refused")
        return told

    def answer(self, number):
        """The driver answers what has so many frames."""
        (job,) = {
            it.job
            for it in self.orders
            if isinstance(it, control.Estimate) and it.payload["num_frames"] == number
        } & {it.name for it in self.asked._waiting}
        self.asked.take(control.Failed(job=job, code="FRAME_FAILED", message="as told"))


def test_places_are_shared_by_address_and_name():
    with Asking() as world:
        for number in range(4):
            world.queue(f"n{number}@10.0.0.1", 20 + number)
        others = [world.queue("a@10.0.0.2", 30), world.queue("b@10.0.0.2", 31)]
        assert world.told() == [20, 21, 30, 31], "two make way, and wait again"
        third = world.queue("c@10.0.0.2", 32)
        assert world.told() == [20, 21, 30, 31]
        world.answer(30)
        assert world.told() == [20, 21, 31, 32]
        world.answer(21)
        assert world.told() == [20, 31, 32, 22] and not others[1].done() and not third.done()
    with Asking() as world:
        for number in range(4):
            world.queue("x@10.0.0.1", 20 + number)
        world.queue("x@10.0.0.1", 30)
        assert world.told() == [20, 21, 22, 23]
        world.queue("y@10.0.0.1", 31)
        assert world.told() == [20, 21, 22, 31]


def test_so_many_wait_and_the_newest_of_who_has_most_makes_way():
    with Asking() as world:
        greedy = [world.queue("x@10.0.0.1", 20 + number) for number in range(16)]
        assert world.queue("x@10.0.0.1", 40).exception(20).code == "BUSY"
        honest = world.queue("y@10.0.0.1", 41)
        assert greedy[15].exception(20).code == "BUSY"
        assert not any(told.done() for told in (*greedy[:15], honest))


def test_who_asks_while_the_renderer_starts_is_served_in_turn(heads, tmp_path):
    """Five quick ones of one address: none is told to come again."""
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders/mute").touch()
    head = heads()
    with ThreadPoolExecutor(5) as pool:
        told = [pool.submit(head.ask, op="estimate", **SMALL | {"num_frames": 20 + it}) for it in range(5)]
        try:
            wait_for(
                lambda: head.ask(op="status").last["connections"] > 5 or any(it.done() for it in told),
                60,
                "they wait",
            )
        finally:
            head.withdraw("mute")
        assert [it.result(120).code for it in told] == [None] * 5


def test_who_was_not_told_of_waits_for_the_next_driver():
    with Asking() as world:
        told = [world.queue("x@10.0.0.1", 20 + number) for number in range(2)]
        assert not world.asked.driver_died("it died", False)
        assert not any(it.done() for it in told) and len(world.orders) == 4, "the next one is told of both"
        others = [world.queue(f"10.0.0.{number}", 30 + number) for number in range(2, 6)]
        assert world.told() == [20, 32, 33, 34]
        assert world.asked.driver_died("it died", True)
        for blamed in (*told, *others[:3]):
            assert "the renderer ended" in blamed.exception(20).message
        assert not others[3].done(), "it was not told of that"


def test_what_the_driver_has_not_let_go_of_keeps_its_place():
    with Asking() as world:
        for number in range(4):
            world.ask("10.0.0.1", 20 + number, waits=False).exception(20)
        waits = world.queue("10.0.0.1", 30)
        assert world.told() == []
        world.queue("10.0.0.2", 31)
        assert world.told() == [31]
        assert not world.asked.take(control.Cancelled(job=world.orders[0].job))
        assert world.told() == [31, 30] and not waits.done()


def test_who_keeps_the_driver_busy_takes_no_place_from_others():
    with Asking() as world:
        for number in range(4):
            world.ask("10.0.0.1", 20 + number, waits=False).exception(20)
        others = [world.ask("10.0.0.2", 30 + number) for number in range(2)]
        world.queue("10.0.0.1", 40)
        assert world.told() == [30, 31]
        assert not any(told.done() for told in others)


def test_blame_falls_on_the_address_that_asked_and_is_longer_each_time(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(estimates, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with Asking() as world:
        assert not world.asked.driver_died("it died", True), "nothing was in hand"
        world.ask("a@10.0.0.1", 20, waits=False).exception(20)
        assert not world.asked.driver_died("it died", False), "it was told of nothing"
        for seconds in (60, 120, 240, 480, 600, 600):
            world.ask("a@10.0.0.1", 20, waits=False).exception(20)  # who has hung up is not forgotten
            assert world.asked.driver_died("it died", True)
            assert f"in {seconds} s" in world.ask("b@10.0.0.1", 21).exception(20).message
            assert not world.ask("10.0.0.2", 22).done()
            world.answer(22)
            world.asked.driver_died("it was stopped", False)
            now[0] += seconds + 1
        now[0] += 1200
        world.ask("a@10.0.0.1", 20, waits=False).exception(20)
        assert world.asked.driver_died("it died", True)
        assert "in 60 s" in world.ask("b@10.0.0.1", 21).exception(20).message

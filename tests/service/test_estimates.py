"""What a payload would take, asked of the stand-in driver."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mandel.errors import MandelError
from mandel.payload.payload import parse
from mandel.protocol import control
from mandel.service.supervision.estimates import Estimates
from tests.service.heads import SMALL
from tests.support.processes import wait_for


def test_an_estimate_is_told_and_nothing_is_begun(head):
    told = head.ask(op="estimate", **SMALL).last
    assert (told["seconds"], told["cpu_seconds"], told["bytes"]) == ([1.0, 2.5], [2.0, 5.0], [3e5, 2e6])
    assert (told["frames"], told["state"], told["slots"]) == (SMALL["num_frames"], None, {"cpu": 2})
    assert head.ask(op="list").last["jobs"] == []
    job = head.ask(**SMALL).last
    again = head.ask(op="estimate", **SMALL).last
    assert again["job"] == told["job"] and again["state"] == "done" and job


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
    head.withdraw("hold")
    assert head.ask(op="estimate", **SMALL).last["seconds"] == [1.0, 2.5]


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
    assert head.ask(op="estimate", **SMALL).code is None


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

"""What a payload would take, asked of the stand-in driver."""

import socket
import threading

import pytest

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

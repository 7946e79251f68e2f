"""T12: requests gone wrong in random ways, over TCP: each gets the code that the checks give it alone."""

import random
import socket
import threading
from collections import Counter

from tests.end_to_end import bad_inputs
from tests.service.heads import Reply
from tests.support.chaos import amount, tell
from tests.support.spoiled import answer, spoiled

SENDERS = 8


def ask(head, data: bytes) -> tuple[str, str | None]:
    """The answer, and the job if there is one now."""
    with head.connect() as sock:
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass  # refused before all was sent: the reply says why
        first = sock.recv(12, socket.MSG_PEEK)
        if not first or first == bad_inputs.HTTP_400.encode():
            return (bad_inputs.HTTP_400 if first else bad_inputs.QUIET), None
        reply = Reply(sock)
        reply.step()
        if reply.code is None:
            return bad_inputs.ACCEPTED, reply.last["job"]
        reply.read()
        assert reply.last["message"] and b"Traceback" not in reply.raw
        return reply.code, None


def test_every_answer_is_the_one_expected(head):
    """T12"""
    cases = amount(1_000, 20_000)
    head.order("hold")  # what is accepted by chance is a job of fifty frames
    chance, lock = random.Random(12), threading.Lock()
    answers, wrong, left = Counter(), [], iter(range(cases))

    def send() -> None:
        while True:
            with lock:
                if next(left, None) is None or wrong:
                    return
                data = spoiled(chance)
            found, job = ask(head, data)
            if job is not None:
                head.ask(op="cancel", job=job)
            expected = answer([data])
            with lock:
                answers[found] += 1
                if found != expected:
                    wrong.append((data, found, expected))

    senders = [threading.Thread(target=send) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    tell("T12", cases=answers.total(), answers=len(answers), wrong=len(wrong), most=answers.most_common(3))
    assert not wrong, wrong
    assert answers.total() == cases and head.ask(op="status").last["driver"]["state"] == "ready"
    assert "INTERNAL" not in head.said()

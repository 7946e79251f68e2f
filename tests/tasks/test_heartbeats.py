"""Workers that take long say that they are at work, and the driver hears when they fall silent."""

import threading
import time

from mandel.tasks import heartbeats as sign
from mandel.tasks.heartbeats import CallHeartbeat, HeartbeatListener


def test_a_long_call_gives_signs_and_none_after_its_end():
    said, enough = [], threading.Event()

    def tell(key, count):
        said.append((key, count))
        if len(said) > 2:
            enough.set()

    own = CallHeartbeat(tell, every=0.01, least=0.0)
    with own.of(b"long"):
        assert enough.wait(20)
    heard = list(said)
    assert [count for _, count in heard[:3]] == [1, 2, 3] and {key for key, _ in heard} == {b"long"}
    with own.of(b"next"):
        while said[-1][0] != b"next":
            pass
    assert [key for key, _ in said].index(b"next") == len(heard), "no sign of a call that had ended"


def test_a_store_that_is_away_ends_no_worker():
    tried = threading.Semaphore(0)

    def tell(key, count):
        tried.release()
        raise ConnectionError

    with CallHeartbeat(tell, every=0.01, least=0.0).of(b"call"):
        assert tried.acquire(timeout=20) and tried.acquire(timeout=20)


def test_a_short_call_says_nothing():
    said = []
    own = CallHeartbeat(lambda *sign: said.append(sign), every=0.01, least=1e9)
    with own.of(b"short"):
        threading.Event().wait(0.1)
    assert not said


class Clock:
    sleep = staticmethod(time.sleep)  # for the threads of other tests' signs, which do not end

    now = 1000.0

    def monotonic(self):
        return self.now


def test_the_driver_knows_since_when_it_heard_nothing(monkeypatch):
    clock, said = Clock(), {}
    monkeypatch.setattr(sign, "time", clock)
    signs = HeartbeatListener(lambda keys: {key: said[key] for key in keys if key in said}, every=3.0)

    def listen(*calls):
        clock.now += 3
        signs.listen(calls)

    listen(b"a", b"b")
    assert (signs.quiet, signs.age(b"a")) == (3.0, None)
    said[b"a"] = b"1"
    listen(b"a", b"b")
    assert (signs.quiet, signs.age(b"a"), signs.age(b"b")) == (0.0, 0.0, None)
    for _ in range(3):
        listen(b"a", b"b")
    assert (signs.quiet, signs.age(b"a")) == (9.0, 9.0)
    said[b"a"] = b"2"
    listen(b"a", b"b")
    assert (signs.quiet, signs.age(b"a")) == (0.0, 0.0)
    clock.now += 1000  # the driver itself was stopped
    signs.listen([b"a", b"b"])
    assert signs.quiet == 6.0
    signs.note()
    signs.forget(b"a")
    assert signs.quiet == 0.0 and signs.age(b"a") is None

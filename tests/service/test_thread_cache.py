"""Threads for replies: as many as are wanted at once, few of which stay."""

import threading

from mandel.service.net.thread_cache import MOST_IDLE, ThreadCache
from tests.support.processes import wait_for


def ours() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "reply"}


def test_all_run_at_once_and_few_stay():
    before = ours()
    threads, together = ThreadCache(), threading.Barrier(31)
    for _ in range(30):
        threads.run(together.wait)
    together.wait(20)  # or BrokenBarrierError
    wait_for(lambda: len(ours() - before) == MOST_IDLE, 20, "the others ended")
    left, again = ours(), threading.Barrier(MOST_IDLE + 1)
    for _ in range(MOST_IDLE):
        threads.run(again.wait)
    again.wait(20)
    assert ours() == left

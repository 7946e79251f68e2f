"""The driver's signs of life."""

import queue

import pytest

from mandel.driver.heartbeat import Heartbeat
from mandel.protocol import control


def test_it_is_heard_while_the_loop_goes_round():
    said = queue.SimpleQueue()
    heartbeat = Heartbeat(said.put, every=0.01)
    assert [said.get(timeout=20) for _ in range(3)] == [control.Alive()] * 3
    heartbeat.end()


def test_a_loop_that_hangs_is_not_covered_for():
    said = queue.SimpleQueue()
    heartbeat = Heartbeat(said.put, every=0.01, longest=-1)
    with pytest.raises(queue.Empty):
        said.get(timeout=0.2)
    heartbeat.end()

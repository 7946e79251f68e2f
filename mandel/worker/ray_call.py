"""What runs in a Ray cluster's processes: calls, which run tasks, and the actor that keeps this program's metrics."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import ray
from ray.experimental import internal_kv
from ray.util import metrics

from mandel.tasks.heartbeats import CallHeartbeat
from mandel.worker import functions


class PackedTask(NamedTuple):
    """One task of a call; ``inputs`` are indices into the inputs of the call, which its tasks share."""

    function: str
    argument: Any
    inputs: tuple[int, ...]
    label: str
    failures: int
    call_seconds: float
    key: bytes


def by_value() -> Callable[..., tuple[Any, ...]]:
    """The function that workers call. It refers to no global name, so that Ray sends it by value.

    It holds interrupts back before it imports or unpickles anything of this program.
    """

    def call(packed: bytes, *inputs: Any) -> tuple[Any, ...]:
        from mandel.worker.interrupt import held_back

        with held_back():
            from mandel.worker.ray_call import run_call
        return run_call(packed, *inputs)

    return call


def run_call(packed: bytes, *inputs: Any) -> tuple[Any, ...]:
    """A call on a worker: ``functions.run`` for each, plus what only Ray knows there.

    Args:
        packed: a list of ``PackedTask`` and the slot, pickled.

    Returns:
        The results, and as the last one the facts about each run.
    """
    tasks_packed, slot = pickle.loads(packed)  # noqa: S301 - from our driver, through Ray
    node = ray.get_runtime_context().get_node_id()
    results: list[Any] = []
    facts: list[dict[str, Any]] = []
    began = time.monotonic()
    with _heartbeat().of(heartbeat_key(tasks_packed[0].key)):
        for one in tasks_packed:
            result, about = functions.run(
                one.function,
                one.argument,
                slot,
                *(inputs[place] for place in one.inputs),
                label=one.label,
                failures=one.failures,
                in_time=not results or time.monotonic() - began < one.call_seconds,
                tell=partial(_tell_progress, one.key),
            )
            results.append(result)
            facts.append({**about, "node": node})
    return *results, facts


def _tell_progress(key: bytes, done: int, total: int) -> None:
    internal_kv._internal_kv_put(key, f"{done} {total}".encode())


def _tell_at_work(key: bytes, count: int) -> None:
    internal_kv._internal_kv_put(key, str(count).encode())


@cache
def _heartbeat() -> CallHeartbeat:
    """This worker process's signs of life."""
    return CallHeartbeat(_tell_at_work)


def heartbeat_key(key: bytes) -> bytes:
    """The key under which a call's signs of life are stored; ``key`` is its first task's."""
    return key + b"-sign"


class Meter:
    """This program's metrics, in an actor of their own."""

    def __init__(self) -> None:
        self._frames = metrics.Counter("mandel_frames_rendered", "Frames rendered.")
        self._segments = metrics.Counter("mandel_segments_encoded", "Segments encoded.")
        self._seconds = metrics.Histogram(
            "mandel_frame_seconds",
            "Seconds to render one frame.",
            boundaries=[0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300],
        )
        self._queue = metrics.Gauge("mandel_queue_length", "Tasks submitted and not ended.")

    def tell(self, seconds: list[float], segments: int, queue: int) -> None:
        """Counts frames, by the seconds that each took, and segments; notes the tasks not ended."""
        self._queue.set(queue)
        if segments:
            self._segments.inc(segments)
        for value in seconds:
            self._frames.inc()
            self._seconds.observe(value)

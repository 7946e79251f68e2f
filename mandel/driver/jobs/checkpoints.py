"""Keeps results that took long in the cache, so that they outlive crashes, pauses and stops.

Reference orbits are kept for all jobs. Pictures are kept until their segment is durable: a segment has up to 24
frames, and each may take minutes. Losing a checkpoint costs only time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from mandel.driver.files.disk_cache import Cache
from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.policy import SchedulingPolicy
from mandel.driver.recipes.recipe import FRAME, REFERENCE, WorkItem
from mandel.errors import MandelError
from mandel.plan.picture import shape
from mandel.plan.reference import Reference
from mandel.plan.segment_plan import SegmentPlan
from mandel.tasks.executor import Executor, Task

_DIGEST, _PICTURE = 32, ".yuv"


class Checkpoints:
    """Writes in the background, on one thread; pictures that it cannot keep up with are not kept.

    Args:
        executor: where results lie.
    """

    def __init__(self, executor: Executor, policy: SchedulingPolicy):
        self._executor, self._policy = executor, policy
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="mandel-kept")
        self._under_way: list[Future[None]] = []
        self._removing: list[Future[None]] = []
        self._frames: dict[str, set[int]] = {}  # by job's name, those on disk or about to be

    def keep(self, job: JobRun, item: WorkItem, task: Task, handle: Any, seconds: float) -> None:
        """Keeps what took ``seconds``, if it is worth it and there is time."""
        if job.cache is None or seconds < self._policy.checkpoint_seconds:
            return
        self._under_way = [future for future in self._under_way if not future.done()]
        if item.kind == REFERENCE:
            self._under_way.append(self._writer.submit(self._write_reference, job.cache, task, handle))
        elif item.kind == FRAME and len(self._under_way) < self._policy.checkpoint_queue:
            slots = sum(self._executor.slots().values())
            if seconds >= job.frame_bytes * slots / self._policy.checkpoint_bytes_per_second:
                self._submit(job, item.index, handle)

    def keep_all(self, jobs: Iterable[JobRun]) -> None:
        """The driver stops: keeps every picture that is not in a durable segment, if rendering is the dearer."""
        for job in jobs:
            if job.timings.longest_mean(FRAME) >= self._policy.checkpoint_seconds_at_stop:
                for frame, handle in job.frontier.pictures():
                    self._submit(job, frame, handle)

    def look(self, job: JobRun) -> set[int]:
        """The frames of which a picture is kept: for ``seen``. Works on the disk."""
        if job.cache is None:
            return set()
        names = [name.removesuffix(_PICTURE) for name in job.cache.keys(f"{job.name}-")]
        return {int(name.rpartition("-")[2]) for name in names if name.rpartition("-")[2].isdecimal()}

    def seen(self, job: JobRun, frames: set[int]) -> None:
        """Takes what ``look`` gave."""
        self._frames[job.name] = frames

    def restore(self, job: JobRun, item: WorkItem, task: Task) -> Callable[[], Any] | None:
        """What reads from the disk what ``task`` would make; None if there is no use in trying.

        It gives a value for ``restored``, or None if there is nothing, or nothing intact.
        """
        if job.cache is None:
            return None
        if item.kind == REFERENCE:
            return partial(_read_reference, job.cache, task)
        if item.kind == FRAME and item.index in self._frames.get(job.name, ()):
            return partial(_read_picture, job.cache, _key(job, item.index), job.frame_bytes)
        return None

    def restored(self, job: JobRun, item: WorkItem, found: Any) -> Any:
        """A handle of what was read, None if nothing was."""
        if item.kind == REFERENCE:
            return None if found is None else self._executor.publish(found)
        if found is None:
            self._frames[job.name].discard(item.index)
            return None
        picture, facts = found
        job.findings.restored(item.index, facts)
        p = job.payload
        return self._executor.publish(picture.reshape(shape(p.frame_width, p.frame_height, p.coding.layout)))

    def forget(self, job: JobRun, segment: SegmentPlan) -> None:
        """A segment is durable: its frames are needed no more."""
        if job.cache is None:
            return
        kept = self._frames.get(job.name, set())
        for frame in kept.intersection(segment.frames):  # on the thread that may just be writing them
            self._removing = [future for future in self._removing if not future.done()]
            self._removing.append(self._writer.submit(job.cache.remove, _key(job, frame)))
            kept.discard(frame)

    def release(self, name: str) -> None:
        """A job is over, or was taken away: what is kept of it may be of use later."""
        self._frames.pop(name, None)

    def close(self, seconds: float) -> None:
        """Ends the thread; waits at most ``seconds`` for what is being written and removed."""
        wait([*self._under_way, *self._removing], max(0.0, seconds))
        self._writer.shutdown(wait=False, cancel_futures=True)

    def _submit(self, job: JobRun, frame: int, handle: Any) -> None:
        kept = self._frames.setdefault(job.name, set())
        if job.cache is not None and frame not in kept:
            kept.add(frame)
            found = json.dumps(job.findings.of(frame)).encode()
            key = _key(job, frame)
            self._under_way.append(self._writer.submit(self._write_picture, job.cache, key, handle, found))

    def _write_reference(self, cache: Cache, task: Task, handle: Any) -> None:
        try:
            cache.put(Cache.key(task.argument), self._executor.fetch(handle).to_bytes())
        except MandelError:
            pass  # lost with its node: the frames that need it will ask for it again

    def _write_picture(self, cache: Cache, key: str, handle: Any, found: bytes) -> None:
        try:
            picture = np.ascontiguousarray(self._executor.fetch(handle)).data.cast("B")
        except MandelError:
            return  # lost with its node
        data = bytes(picture) + found
        cache.put(key, hashlib.sha256(data).digest() + data)


def _key(job: JobRun, frame: int) -> str:
    return f"{job.name}-{frame}{_PICTURE}"


def _read_reference(cache: Cache, task: Task) -> Reference | None:
    if (data := cache.get(Cache.key(task.argument))) is None:
        return None
    try:
        return Reference.from_bytes(data)
    except MandelError:
        return None


def _read_picture(cache: Cache, key: str, size: int) -> tuple[npt.NDArray[np.uint8], Any] | None:
    """A picture's bytes and what was found of its frame; None, and it is removed, unless its digest proves both."""
    if (data := cache.get(key)) is None:
        return None
    view, end = memoryview(data), _DIGEST + size
    if len(data) < end or hashlib.sha256(view[_DIGEST:]).digest() != data[:_DIGEST]:
        cache.remove(key)
        return None
    return np.frombuffer(data, np.uint8, size, _DIGEST), json.loads(data[end:] or b"null")

"""Shares a cluster's slots among jobs, and follows every task to its end.

Each slot that frees up goes to the job that has used the least worker time, so
a short job does not wait for a long one. What is in flight is bounded twice: by
the number of slots, and by the bytes of pictures rendered and not yet encoded.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from mandel.errors import MandelError
from mandel.render.executor import Executor, Outcome, Task
from mandel.render.job import Job
from mandel.render.recipe import FRAME, REFERENCE, SEGMENT, Item
from mandel.video.join import join
from mandel.video.poster import save_poster

MAX_ATTEMPTS = 3
# A frame whose node died is not to blame, but it must not loop for ever either.
MAX_LOSSES = 30
# A node that failed this many of a job's tasks gets no more of them.
MAX_BLAME = 2
_MEMORY_SHARE = 0.4
_STAGE_SECONDS = 1.0
# Far enough in to be worth a look, not yet the very end.
_POSTER_AT = 0.8


class Scheduler:
    """Drives jobs on an executor.

    Args:
        executor: where tasks run.
        emit: takes each event, a JSON-serialisable dict (docs/design.md).
    """

    def __init__(self, executor: Executor, emit: Callable[[dict], None]):
        self._executor = executor
        self._emit = emit
        self._jobs: dict[str, Job] = {}
        self._running: dict[int, tuple[Job, Item, Task]] = {}  # by ticket
        self._joining: dict[str, Future] = {}
        self._told = 0.0
        self._joiner = ThreadPoolExecutor(1, thread_name_prefix="mandel-join")

    @property
    def busy(self) -> bool:
        """Whether any job is unfinished."""
        return bool(self._jobs)

    @property
    def tasks(self) -> int:
        """Tasks submitted and not ended."""
        return len(self._running)

    def add(self, job: Job) -> None:
        """Takes a job on; a job already known is left as it is."""
        if job.name in self._jobs:
            return
        job.spent = min((other.spent for other in self._jobs.values()), default=0.0)
        self._jobs[job.name] = job
        self._finish(job)

    def cancel(self, name: str) -> None:
        """Drops a job and its tasks; unknown names are ignored."""
        if self._drop(name):
            self._emit({"event": "cancelled", "job": name})

    def adopted(self, name: str, index: int, path: Path) -> None:
        """A segment is durable at ``path``."""
        if (job := self._jobs.get(name)) is not None:
            job.paths[index] = path
            self._finish(job)

    def step(self, timeout: float) -> None:
        """Hands out what fits, then waits at most ``timeout`` seconds for something to end."""
        self._fill()
        for outcome in self._executor.wait(timeout):
            self._ended(outcome)
        for name in [n for n, future in self._joining.items() if future.done()]:
            self._joined(name, self._joining.pop(name))
        self._tell_stages()

    def close(self) -> None:
        """Drops all jobs and waits for a join under way."""
        for name in list(self._jobs):
            self._drop(name)
        self._joiner.shutdown(wait=True, cancel_futures=True)

    # Handing out

    def _fill(self) -> None:
        slots = self._executor.slots()
        waiting = {kind: 0 for kind in slots}
        for _, _, task in self._running.values():
            waiting[task.kind] = waiting.get(task.kind, 0) + 1
        for kind, count in slots.items():
            # One more task per slot than can run: a worker never waits for this loop.
            while waiting[kind] < 2 * count and self._hand_out(kind, slots):
                waiting[kind] += 1

    def _hand_out(self, kind: str, slots: dict[str, int]) -> bool:
        """Gives one task to a slot of ``kind``; False when there is none to give."""
        able = [j for j in self._jobs.values() if self._affords(j) and self._pays(j, kind, slots)]
        for job in sorted(able, key=lambda job: job.spent):
            if (given := job.next(kind)) is not None:
                self._submit(job, *given)
                return True
        return False

    def _affords(self, job: Job) -> bool:
        """Whether the memory for the next frame's whole segment is there, or already spoken for."""
        segment = job.next_segment
        if segment is None or segment.index in job.begun:
            return segment is not None
        held = sum(
            j.segments[index].count * j.frame_bytes for j in self._jobs.values() for index in j.begun
        )
        need = segment.count * job.frame_bytes
        return held == 0 or held + need <= _MEMORY_SHARE * self._executor.memory()

    @staticmethod
    def _pays(job: Job, kind: str, slots: dict[str, int]) -> bool:
        """Whether a slot of this kind ends a frame before the others have done all that is left."""
        own = job.pace.get(kind)
        if own is None:
            return True
        others = [
            job.pace[other] / count for other, count in slots.items() if other != kind and other in job.pace
        ]
        return not others or own <= job.frames_left * min(others) + max(others)

    def _submit(self, job: Job, item: Item, task: Task) -> None:
        avoid = {node for node, count in job.blamed.items() if count >= MAX_BLAME}
        if avoid:
            alive = {node["id"] for node in self._executor.nodes() if node["alive"]}
            avoid &= alive
            if avoid != alive:
                task = replace(task, avoid=frozenset(avoid))
        self._running[self._executor.submit(task)] = (job, item, task)

    # What came of it

    def _ended(self, outcome: Outcome) -> None:
        job, item, task = self._running.pop(outcome.ticket)
        job.spent += outcome.info.get("seconds", 0.0)
        if self._jobs.get(job.name) is not job:
            return  # cancelled or failed meanwhile
        if outcome.error is None and item.kind == SEGMENT:
            outcome = self._save(job, item, outcome)
        if outcome.error is not None:
            self._failed(job, item, outcome)
            return
        if item.kind == FRAME:
            self._tell_frame(job, item, task.kind, outcome)
        for follower, task in job.ended(item, outcome.handle):
            self._submit(job, follower, task)

    def _tell_frame(self, job: Job, item: Item, kind: str, outcome: Outcome) -> None:
        info, seconds = outcome.info, outcome.info["seconds"]
        job.pace[kind] = 0.7 * job.pace.get(kind, seconds) + 0.3 * seconds
        self._emit({
            "event": "frame", "job": job.name, "frame": item.index, "seconds": round(seconds, 4),
            "cpu_seconds": round(info["cpu_seconds"], 4), "node": info["node"], "host": info["host"],
            "device": info["device"], "attempt": job.attempts[item] + job.losses[item] + 1,
        })

    def _tell_stages(self) -> None:
        """Tells, about once a second, how far the long tasks are that frames wait for."""
        if time.monotonic() - self._told < _STAGE_SECONDS:
            return
        self._told = time.monotonic()
        for ticket, (job, item, _) in self._running.items():
            if item.kind == REFERENCE and (progress := self._executor.progress(ticket)) is not None:
                done, total = progress
                self._emit({"event": "stage", "job": job.name, "stage": item.kind, "done": done, "total": total})

    def _save(self, job: Job, item: Item, outcome: Outcome) -> Outcome:
        """Writes an encoded segment to the job's tmp folder and tells of it."""
        try:
            data = self._executor.fetch(outcome.handle)
        except MandelError as error:
            return replace(outcome, error=error.as_dict())
        path = job.tmp / f"{job.name[:16]}-{item.index:06d}.ts"
        path.write_bytes(data)
        self._emit({
            "event": "segment", "job": job.name, "index": item.index, "path": str(path),
            "frames": job.segments[item.index].count, "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "seconds": round(outcome.info["seconds"], 4), "host": outcome.info["host"],
        })
        return outcome

    def _failed(self, job: Job, item: Item, outcome: Outcome) -> None:
        """One attempt failed: try again elsewhere, or give the job up and say why."""
        error = outcome.error
        if error["code"] == "NODE_LOST":
            job.losses[item] += 1
        else:
            job.attempts[item] += 1
            if node := outcome.info.get("node"):
                job.blamed[node] += 1
        if job.attempts[item] >= MAX_ATTEMPTS or job.losses[item] >= MAX_LOSSES:
            self._drop(job.name)
            frame = item.index if item.kind == FRAME else None
            self._emit({
                "event": "failed", "job": job.name, "code": error["code"], "frame": frame,
                "message": f"{item} failed {job.attempts[item] + job.losses[item]} times; "
                f"the last error: {error['message']}",
            })
            return
        self._emit({"event": "log", "level": "warning", "message":
                    f"job {job.name[:8]}: {item} failed and is tried again: {error['message']}"})
        job.failed(item, lost=error["code"] == "NODE_LOST")

    def _drop(self, name: str) -> bool:
        """Forgets a job and ends its tasks; whether there was one."""
        if self._jobs.pop(name, None) is None:
            return False
        for ticket, (job, _, _) in self._running.items():
            if job.name == name:
                self._executor.cancel(ticket)
        return True

    # Joining

    def _finish(self, job: Job) -> None:
        if job.complete and job.name not in self._joining:
            self._joining[job.name] = self._joiner.submit(_make_video, job)

    def _joined(self, name: str, future: Future) -> None:
        if self._jobs.pop(name, None) is None:
            return
        try:
            self._emit({"event": "video", "job": name, **future.result()})
        except (MandelError, OSError) as error:
            code = error.code if isinstance(error, MandelError) else "IO_ERROR"
            self._emit({"event": "failed", "job": name, "code": code, "message": str(error), "frame": None})


def _make_video(job: Job) -> dict:
    """Joins the segments to an mp4 and saves a poster beside it; the video event's facts."""
    p = job.payload
    video = job.tmp / f"{job.name[:16]}.mp4"
    poster = job.tmp / f"{job.name[:16]}.png"
    joined = join(job.segment_paths(), video, p.fps, p.num_frames)
    save_poster(video, poster, _POSTER_AT)
    return {"path": str(video), "poster": str(poster), "frames": joined.frames,
            "bytes": joined.bytes, "sha256": joined.sha256}

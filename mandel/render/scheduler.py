"""Shares a cluster's slots among jobs, and follows every task to its end.

Each slot that frees up goes to the job that has used the least worker time, so
a short job does not wait for a long one. What is in flight is bounded twice: by
the number of slots, and by the bytes of pictures rendered and not yet encoded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from mandel.errors import MandelError
from mandel.render.executor import Executor, Outcome, Task
from mandel.render.job import Job
from mandel.video.join import join
from mandel.video.poster import save_poster

MAX_ATTEMPTS = 3
# A frame whose node died is not to blame, but it must not loop for ever either.
MAX_LOSSES = 30
# A node that failed this many of a job's tasks gets no more of them.
MAX_BLAME = 2
_MEMORY_SHARE = 0.4
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
        # ticket -> (job, frame number or Segment, task)
        self._running: dict[int, tuple[Job, object, Task]] = {}
        self._joining: dict[str, Future] = {}
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
            while waiting[kind] < 2 * count and (job := self._next(kind, slots)) is not None:
                frame = job.todo.popleft()
                job.begun.add(job.segment_of(frame).index)
                self._submit(job, frame, job.frame_task(frame, kind))
                waiting[kind] += 1

    def _next(self, kind: str, slots: dict[str, int]) -> Job | None:
        able = [j for j in self._jobs.values() if j.todo and self._affords(j) and self._pays(j, kind, slots)]
        return min(able, key=lambda job: job.spent, default=None)

    def _affords(self, job: Job) -> bool:
        """Whether the memory for the next frame's whole segment is there, or already spoken for."""
        segment = job.segment_of(job.todo[0])
        if segment.index in job.begun:
            return True
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
        return not others or own <= len(job.todo) * min(others) + max(others)

    def _submit(self, job: Job, what, task: Task) -> None:
        avoid = {node for node, count in job.blamed.items() if count >= MAX_BLAME}
        if avoid:
            alive = {node["id"] for node in self._executor.nodes() if node["alive"]}
            avoid &= alive
            if avoid != alive:
                task = Task(task.function, task.argument, task.inputs, task.label, task.kind, frozenset(avoid))
        self._running[self._executor.submit(task)] = (job, what, task)

    # What came of it

    def _ended(self, outcome: Outcome) -> None:
        job, what, task = self._running.pop(outcome.ticket)
        job.spent += outcome.info.get("seconds", 0.0)
        if self._jobs.get(job.name) is not job:
            return  # cancelled or failed meanwhile
        if outcome.error is not None:
            self._failed(job, what, outcome)
        elif task.function == "frame":
            self._rendered(job, what, task, outcome)
        else:
            self._encoded(job, what, outcome)

    def _rendered(self, job: Job, frame: int, task: Task, outcome: Outcome) -> None:
        seconds = outcome.info["seconds"]
        job.pace[task.kind] = 0.7 * job.pace.get(task.kind, seconds) + 0.3 * seconds
        self._emit({
            "event": "frame", "job": job.name, "frame": frame, "seconds": round(seconds, 4),
            "cpu_seconds": round(outcome.info["cpu_seconds"], 4), "node": outcome.info["node"],
            "host": outcome.info["host"], "device": outcome.info["device"],
            "attempt": job.attempts[frame] + 1,
        })
        if (segment := job.rendered(frame, outcome.handle)) is not None:
            self._submit(job, segment, job.segment_task(segment))

    def _encoded(self, job: Job, segment, outcome: Outcome) -> None:
        try:
            data = self._executor.fetch(outcome.handle)
        except MandelError as error:
            self._failed(job, segment, Outcome(outcome.ticket, None, outcome.info, error.as_dict()))
            return
        job.forget(segment)
        job.begun.discard(segment.index)
        path = job.tmp / f"{job.name[:16]}-{segment.index:06d}.ts"
        path.write_bytes(data)
        self._emit({
            "event": "segment", "job": job.name, "index": segment.index, "path": str(path),
            "frames": segment.count, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(),
            "seconds": round(outcome.info["seconds"], 4), "host": outcome.info["host"],
        })

    def _failed(self, job: Job, what, outcome: Outcome) -> None:
        """One attempt failed: try again elsewhere, or give the job up and say why."""
        error, node = outcome.error, outcome.info.get("node")
        is_frame = isinstance(what, int)
        key, name = (what, f"frame {what}") if is_frame else ((what.index,), f"segment {what.index}")
        lost = error["code"] == "NODE_LOST"
        job.attempts[("lost", key) if lost else key] += 1
        if not lost and node:
            job.blamed[node] += 1
        if job.attempts[key] >= MAX_ATTEMPTS or job.attempts[("lost", key)] >= MAX_LOSSES:
            self._drop(job.name)
            self._emit({
                "event": "failed", "job": job.name, "code": error["code"],
                "frame": what if is_frame else what.first,
                "message": f"{name} failed {sum(job.attempts[k] for k in (key, ('lost', key)))} times; "
                f"the last error: {error['message']}",
            })
            return
        self._emit({"event": "log", "level": "warning", "message":
                    f"job {job.name[:8]}: {name} failed and is tried again: {error['message']}"})
        if is_frame:
            job.todo.appendleft(what)
        else:
            job.again(what)  # its pictures may be what was lost

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

"""Shares a cluster's slots among jobs, and follows every task to its end.

A slot that frees up goes to the address that has used the least worker time, there to the client that has used the
least, and to that client's job that has (fair_share.py). So a short job does not wait for a long one, nor one client's
only job for another client's forty. Two bounds hold for what is in flight: the number of slots, and the bytes of
pictures that were rendered and are not encoded yet.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from mandel.driver.files.disk_work import DiskWork
from mandel.driver.files.segment_files import disk_error
from mandel.driver.jobs.checkpoints import Checkpoints
from mandel.driver.jobs.dispatch import Dispatcher
from mandel.driver.jobs.events import frame_event, kept_event, limit_event, segment_event
from mandel.driver.jobs.fair_share import FairShare
from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.policy import DEFAULT_POLICY, Clock, SchedulingPolicy
from mandel.driver.jobs.running_tasks import RunningTask, RunningTasks
from mandel.driver.jobs.video_assembly import UnusableSegments, VideoAssembler
from mandel.driver.recipes.recipe import COSTS, FRAME, LEARNED, REFERENCE, SEGMENT, STRIP, WorkItem
from mandel.errors import MandelError, RenderError
from mandel.plan.iteration_limit import IterationLimit
from mandel.protocol import control
from mandel.tasks.executor import Executor, Outcome, Task
from mandel.tasks.results import as_told, check_result, segment_bytes, sound
from mandel.tasks.units import RepaintUnit

_T = TypeVar("_T")
_VIDEO = WorkItem("video", 0)


class Scheduler:
    """Drives jobs on an executor.

    Args:
        executor: where tasks run.
        emit: takes each event.
        wake: called, from any thread, when ``step`` has something to do though no task has ended.
        policy: all tuning constants; its jobs have the same.
        clock: what time it is.
        assembler: makes the videos; by default its own, on this machine.
        disk: works on the disk; by default on threads of its own.
    """

    def __init__(
        self,
        executor: Executor,
        emit: Callable[[control.Event], None],
        wake: Callable[[], None] = lambda: None,
        policy: SchedulingPolicy = DEFAULT_POLICY,
        clock: Clock = time.monotonic,
        assembler: VideoAssembler | None = None,
        disk: DiskWork | None = None,
    ):
        self._executor, self._policy, self._clock = executor, policy, clock
        self._emit = emit
        self._jobs: dict[str, JobRun] = {}
        self._fair_share = FairShare(self._jobs)
        self._running = RunningTasks(executor, policy, clock)
        self._told = 0.0
        self._hung: set[str] = set()  # jobs of which it was told that their files are held up
        self._assembler = assembler or VideoAssembler(wake, policy)
        self._checkpoints = Checkpoints(executor, policy)
        self._disk = disk or DiskWork(wake, policy.max_disk_work, policy.disk_seconds, clock)
        self._dispatcher = Dispatcher(
            executor,
            self._jobs,
            self._fair_share,
            self._running,
            self._of,
            self._fetch,
            self._disk,
            self._say,
            policy,
            clock,
        )

    @property
    def busy(self) -> bool:
        """Whether any job is unfinished."""
        return bool(self._jobs)

    @property
    def tasks(self) -> int:
        """Tasks submitted and not ended."""
        return len(self._running)

    def add(self, job: JobRun) -> None:
        """Takes a job on; a job already known is left as it is."""
        if job.name in self._jobs:
            return
        self._fair_share.open(job)
        self._jobs[job.name], job.since = job, self._clock()
        if (error := self._of(job, job.refusal, self._executor.memory(), self._executor.nodes())) is not None:
            self._give_up(job, error)
        if self._jobs.get(job.name) is job and not job.estimated:
            self._assembler.look_at(job)
        if self._jobs.get(job.name) is job and not job.is_known:
            self._disk.ask(
                job.name, lambda: (job.strips.look(), self._checkpoints.look(job)), partial(self._seen, job)
            )

    def change(self, name: str, priority: int, client: str) -> None:
        """Ranks a job anew, from the next slot on; unknown names are ignored."""
        if (job := self._jobs.get(name)) is not None:
            self._fair_share.change(job, priority, client)

    def cancel(self, name: str) -> None:
        """Drops a job and its tasks; unknown names are ignored."""
        if self._drop(name):
            self._emit(control.Cancelled(job=name))

    def adopted(self, name: str, index: int, path: Path) -> None:
        """A segment is durable at ``path``."""
        if (job := self._jobs.get(name)) is not None:
            self._checkpoints.forget(job, job.segments[index])
            if unneeded := self._of(job, job.adopted, index, path):
                self._emit(control.Unneeded(job=name, strips=list(unneeded)))
            if name in self._jobs:
                self._assembler.look_at(job)

    def step(self, timeout: float) -> None:
        """Hands out what fits, then waits at most ``timeout`` seconds for something to end."""
        self._dispatcher.fill()
        for job, item, error in self._dispatcher.late():
            self._failed(job, item, error)
        self._await(timeout)
        for name, future in self._assembler.ended():
            self._joined(name, future)
        self._tell_stages()

    def _await(self, timeout: float) -> None:
        """Waits for tasks, or else for what other threads do; a task that was encoded ends when it was decoded."""
        if self._disk.is_due:  # nobody wakes the executor for its answer
            timeout = min(timeout, self._policy.disk_look_seconds)
        if self._running:
            for outcome in self._executor.wait(timeout):
                self._ended(outcome)
        elif self._assembler.active:
            self._assembler.wait(timeout)
        elif self._disk.busy:
            self._disk.wait(timeout)
        self._look_at_saved()
        for name, answer, take in self._disk.answers():
            if (job := self._jobs.get(name)) is None:
                continue
            found = self._of(job, answer)
            if self._jobs.get(name) is job:  # else its work on the disk failed
                take(found)

    def drain(self, seconds: float, round_done: Callable[[], None] = lambda: None) -> None:
        """Begins nothing more, and keeps what was rendered and what is rendered within ``seconds``.

        Args:
            round_done: called every second or so.
        """
        deadline = self._clock() + seconds
        self._checkpoints.keep_all(self._jobs.values())
        self._disk.begin_no_tasks()
        while (self._running.wanted or self._assembler.saving or self._disk.busy) and (
            left := deadline - self._clock()
        ) > 0:
            round_done()
            self._await(min(left, self._policy.stage_seconds))
        self._checkpoints.keep_all(self._jobs.values())
        self._checkpoints.close(deadline - self._clock())

    def close(self) -> None:
        """Drops all jobs and waits for a join under way."""
        for name in list(self._jobs):
            self._drop(name)
        self._checkpoints.close(0.0)
        self._assembler.close()

    # What the disk has

    def _seen(self, job: JobRun, looked: tuple[Collection[int], set[int]]) -> None:
        """It is known what of a job lies on the disk: the job begins."""
        shaded, frames = looked
        job.strips.seen(shaded)
        self._checkpoints.seen(job, frames)
        job.is_known = True

    def _fetch(self, job: JobRun, item: WorkItem, task: Task) -> bool:
        """Asks the disk for what a task is made from, or would make, if that may be there; whether it was asked."""
        if isinstance(task.argument, RepaintUnit):
            self._disk.ask(
                job.name, job.strips.file(item.index).read, partial(self._read, job, item, task), task.kind
            )
        elif (read := self._checkpoints.restore(job, item, task)) is not None:
            self._disk.ask(job.name, read, partial(self._restored, job, item, task), task.kind)
        else:
            return False
        return True

    def _read(self, job: JobRun, item: WorkItem, task: Task, raw: npt.NDArray[np.uint8] | None) -> None:
        """A strip was read, or in vain: then it is iterated, for which it has other needs."""
        if raw is None:
            job.strips.forget(item.index)
            job.frontier.put_back(item)
        else:
            self._dispatcher.submit(job, [(item, replace(task, inputs=(raw,)))])

    def _restored(self, job: JobRun, item: WorkItem, task: Task, found: Any) -> None:
        """What a task would make was in the cache, or the task is to make it."""
        if (handle := self._checkpoints.restored(job, item, found)) is None:
            self._dispatcher.submit(job, [(item, task)])
            return
        if item.kind == FRAME:
            self._emit(kept_event(job, item))
        self._encode(job, item, handle)

    def _store(self, job: JobRun, item: WorkItem, base: int, raw: npt.NDArray[np.uint8] | None) -> None:
        """Tells of a strip that was made, after it was written if its samples came along."""
        event = job.strips.made(item.index)
        if raw is None or not job.strips.is_wanted(event):
            self._emit(event)
            return
        self._disk.ask(
            job.name,
            partial(job.strips.write, event, base, raw),
            lambda written: self._emit(job.strips.written(written)),
        )

    # What came of it

    def _ended(self, outcome: Outcome) -> None:
        self._dispatcher.failures += outcome.error is not None
        outcome = sound(outcome)
        if (task_run := self._running.end(outcome)) is None:
            return
        job, item, task, *_ = task_run
        self._fair_share.charge(job, outcome.info.get("seconds", 0.0))
        if self._jobs.get(job.name) is not job:
            return  # cancelled or failed meanwhile
        if outcome.error is not None and outcome.error["code"] == "RETURNED_UNTRIED":
            if task.call_seconds < math.inf and item.kind != SEGMENT:
                self._of(job, job.frontier.put_back, item)  # its call was long enough
            else:
                self._dispatcher.submit(job, [(item, task)])
            return
        try:
            if outcome.error is None and item.kind == SEGMENT:
                self._save(task_run, outcome)
                return  # and goes on when it has been decoded
            if outcome.error is None and item.kind in LEARNED:
                self._learn(job, item, outcome)
        except (
            Exception
        ) as error:  # whatever a worker returned, it costs its task an attempt and nobody anything else
            outcome = replace(outcome, error=as_told(error))
        if outcome.error is None:
            self._made(task_run, outcome)
            return
        job.attempts.failed_on_kind(item, task.kind)
        self._failed(job, item, outcome.error, outcome.info.get("node"))

    def _made(self, task_run: RunningTask, outcome: Outcome) -> None:
        """A task went well, and what it made is what it should be."""
        job, item, task, *_ = task_run
        job.attempts.went_well(outcome.info["node"])
        if not task.node:  # beside full slots it takes longer
            job.record_seconds(item, task.kind, outcome.info["seconds"])
        if item.kind == REFERENCE:
            self._emit(control.Stage(job=job.name, stage=item.kind, done=1, total=1))
        self._of(job, job.found, item, outcome.info.pop("found", None))
        if item.kind == STRIP:
            self._of(job, self._store, job, item, task.argument.layout.finest, outcome.info.pop("raw", None))
        if item.kind == FRAME:
            self._emit(frame_event(job, item, outcome))
        if item.kind == COSTS and job.estimated:
            self._estimated(job)
        if self._jobs.get(job.name) is not job:
            return  # a step of its own failed, or there is nothing more to do for it
        self._checkpoints.keep(job, item, task, outcome.handle, outcome.info["seconds"])
        self._encode(job, item, outcome.handle)

    def _encode(self, job: JobRun, item: WorkItem, handle: Any) -> None:
        """Notes that an item was made, and submits what can be encoded now."""
        for follower in self._of(job, job.ended, item, handle) or ():
            self._dispatcher.submit(job, [follower])

    def _of(self, job: JobRun, step: Callable[..., _T], *args: Any) -> _T | None:
        """What a step of a job's own bookkeeping gives; a job whose step raises fails alone, and gives None."""
        try:
            return step(*args)
        except Exception as error:
            traceback.print_exc()
            self._give_up(
                job, RenderError("INTERNAL", f"the program failed: {type(error).__name__}: {error}")
            )
            return None

    def _tell_stages(self) -> None:
        """Tells, about once a second, how far the long tasks are that frames wait for, and what takes how long."""
        if self._clock() - self._told < self._policy.stage_seconds:
            return
        self._told = self._clock()
        self._tell_hung()
        for job, item, done, total in self._running.progress():
            self._emit(control.Stage(job=job.name, stage=item.kind, done=done, total=total))
        for job in list(self._jobs.values()):
            if job.estimated and self._told - job.since > self._policy.estimate_seconds:
                self._estimated(job)
            if not job.estimated and job.is_under_way:
                least, most = self._of(job, self._seconds_left, job) or (None, None)
                self._emit(control.Left(job=job.name, least=least, most=most))

    def _tell_hung(self) -> None:
        """Says once of which jobs files are held up, as a rule by the disk."""
        seconds = self._policy.hung_seconds
        hung = (self._disk.late(seconds) | self._assembler.late(seconds)) & self._jobs.keys()
        for name in hung - self._hung:
            self._say(
                self._jobs[name],
                f"a file of it was not read, written or decoded within {seconds:g} s: the disk hangs, or the disk or "
                "this machine is very slow. The job goes on as soon as that is done; other jobs go on meanwhile",
            )
        self._hung = hung

    def _seconds_left(self, job: JobRun) -> tuple[float, float]:
        share, slots = self._fair_share.part(job), self._executor.slots()
        least, most = job.forecast.seconds(job.work_left, slots)
        return round(least / share, 1), round(most / share, 1)

    def _estimated(self, job: JobRun) -> None:
        """Tells what a job would take, as far as that is known, and is done with it."""
        if (facts := self._of(job, job.estimate, self._executor.slots())) is not None:
            self._drop(job.name)
            self._emit(control.Estimated(job=job.name, **facts))

    def _learn(self, job: JobRun, item: WorkItem, outcome: Outcome) -> None:
        """Tells the job the value of an item that it wants to know. Raises RenderError."""
        value = self._executor.fetch(outcome.handle)
        check_result(item.kind, value)
        self._of(job, job.learn, item, value)
        if isinstance(value, IterationLimit) and not value.resolved and not job.estimated:
            self._say(
                job,
                f"no iteration limit was found for a part of the way ({value.reason}): what is black there lies inside "
                "of the set, or needs more iterations",
            )
            self._emit(limit_event(job))

    def _save(self, task_run: RunningTask, outcome: Outcome) -> None:
        """Has an encoded segment written to the job's tmp folder and decoded, by other threads."""
        job, item = task_run.job, task_run.item

        def encoded() -> memoryview:
            value = self._executor.fetch(outcome.handle)
            return segment_bytes(value, job.segments[item.index].count, job.frame_bytes)

        job.unadopted.add(item.index)
        self._assembler.save(job, item.index, encoded, (task_run, outcome))

    def _look_at_saved(self) -> None:
        """Tells of segments that were written and decoded and are right; the others have failed."""
        for (task_run, outcome), future in self._assembler.saved():
            job: JobRun = task_run.job
            item: WorkItem = task_run.item
            if self._jobs.get(job.name) is not job:
                continue
            try:
                written = future.result()
            except OSError as error:
                self._give_up(job, disk_error(error))
            except Exception as error:
                job.attempts.failed_on_kind(item, task_run.task.kind)
                self._failed(job, item, as_told(error), outcome.info.get("node"))
            else:
                self._emit(segment_event(job, item, outcome, written))
                self._made(task_run, outcome)

    def _failed(self, job: JobRun, item: WorkItem, error: Mapping[str, Any], node: str | None = None) -> None:
        """One attempt failed, on ``node`` if that is known: try again elsewhere, or give the job up and say why."""
        if error["code"] in ("NODE_LOST", "WORKER_HUNG"):
            job.attempts.lost(item)
        else:
            job.attempts.failed(item, node, self._clock())
        if item.kind == COSTS and not job.estimated:  # no frame needs it
            self._of(job, job.frontier.give_up, item)
            return None
        if error["code"] == "JOB_TOO_BIG":  # so it is on every try
            return self._give_up(job, RenderError(error["code"], error["message"]))
        if job.attempts.used_up(item):
            message = f"{item} failed {job.attempts.failures(item)} times; the last error: {error['message']}"
            self._give_up(
                job, RenderError(error["code"], message), item.index if item.kind == FRAME else None
            )
            return
        self._say(job, f"{item} failed and is tried again: {error['message']}")
        self._of(job, job.failed, item, error["code"] == "NODE_LOST")

    def _say(self, job: JobRun, message: str, level: str = "warning") -> None:
        self._emit(control.Log(level=level, message=f"job {job.name[:8]}: {message}"))

    def _give_up(self, job: JobRun, error: MandelError, frame: int | None = None) -> None:
        """Ends a job without a video, once."""
        if self._jobs.get(job.name) is not job:
            return
        self._drop(job.name)
        self._emit(control.Failed(job=job.name, code=error.code, frame=frame, message=error.message))

    def _drop(self, name: str) -> bool:
        """Forgets a job and ends its tasks; whether there was one."""
        if self._jobs.pop(name, None) is None:
            return False
        self._dispatcher.changed()
        self._fair_share.close()
        self._checkpoints.release(name)
        self._assembler.forget(name)
        self._disk.forget(name)
        self._running.cancel(name)
        return True

    # Finishing

    def _joined(self, name: str, future: Future[Any]) -> None:
        if (job := self._jobs.get(name)) is None:
            return
        try:
            facts = future.result()
        except OSError as error:
            self._give_up(job, disk_error(error))
        except Exception as error:
            self._join_again(job, error)
        else:
            if job.strips.keeps and self._disk.is_busy(name):  # its strips are to be told of before
                self._disk.ask(name, lambda: None, lambda _: self._done(job, facts))
            else:
                self._done(job, facts)

    def _done(self, job: JobRun, facts: dict[str, Any]) -> None:
        """Ends a job with its video."""
        self._drop(job.name)
        self._emit(control.Video(job=job.name, **facts))

    def _join_again(self, job: JobRun, error: Exception) -> None:
        """A video could not be made; segments that cannot be joined are made again, whatever becomes of the job."""
        numbers = error.numbers if isinstance(error, UnusableSegments) else []
        for number in numbers:
            job.paths.pop(number, None)
            self._emit(control.Spoilt(job=job.name, index=number))
        for item in [WorkItem(SEGMENT, number) for number in numbers] or [_VIDEO]:
            if self._jobs.get(job.name) is job:
                self._failed(job, item, as_told(error))
        if self._jobs.get(job.name) is job:
            self._assembler.look_at(job)

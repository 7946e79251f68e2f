"""Makes a job's poster and video from durable segments, in the background."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from mandel.driver.files.segment_files import write_segment
from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.policy import DEFAULT_POLICY, SchedulingPolicy
from mandel.errors import RenderError
from mandel.payload import in_file
from mandel.payload.payload import Payload
from mandel.tasks.results import check_segment
from mandel.video import subtitles
from mandel.video.encode import rate
from mandel.video.join import Joiner, Video
from mandel.video.poster import save_poster

Facts = dict[str, Any]  # of an event
_T = TypeVar("_T")


class UnusableSegments(RenderError):
    """BAD_SEGMENT: the segments of these numbers, durable as they are, cannot be joined."""

    def __init__(self, numbers: list[int], why: str):
        super().__init__("BAD_SEGMENT", why)
        self.numbers = numbers


class VideoAssembly:
    """A job's video, which grows while the job is rendered; used by one thread at a time.

    Args:
        job: whose video it is.
    """

    def __init__(self, job: JobRun):
        self._job = job
        self._joiner: Joiner | None = None

    @property
    def waits(self) -> bool:
        """Whether the next segment is not durable yet."""
        added = self._joiner.added if self._joiner else 0
        return added not in self._job.paths

    def go_on(self) -> Facts | None:
        """Appends the segments that are durable; after the last one the video event's facts."""
        job, p = self._job, self._job.payload
        try:
            if self._joiner is None:
                self._joiner = Joiner(
                    job.tmp / f"{job.name[:16]}.{p.coding.container}",
                    p.frame_width,
                    p.frame_height,
                    p.fps,
                    p.num_frames,
                    len(job.segments),
                    p.coding,
                    _tags(p),
                    _subtitles(p),
                )
            while not self.waits:
                number = self._joiner.added
                try:
                    self._joiner.add(job.paths[number], job.segments[number].count)
                except (RenderError, FileNotFoundError) as error:
                    raise UnusableSegments([number], f"segment {number} cannot be used: {error}") from error
            if self._joiner.added < len(job.segments):
                return None
            video = self._finish(self._joiner)
        except BaseException:
            self.drop()
            raise
        self._joiner.drop()
        return {"path": str(video.path), "frames": video.frames, "bytes": video.bytes, "sha256": video.sha256}

    def _finish(self, joiner: Joiner) -> Video:
        try:
            return joiner.finish()
        except RenderError as error:  # some segment is not what it seems
            p, numbers = self._job.payload, []
            for segment in self._job.segments:
                try:
                    path = self._job.paths[segment.index]
                    check_segment(path, segment.count, p.frame_width, p.frame_height, p.coding)
                except (RenderError, FileNotFoundError):
                    numbers.append(segment.index)
            if not numbers:
                raise
            raise UnusableSegments(numbers, f"segments {numbers} cannot be used: {error.message}") from error

    def drop(self) -> None:
        """Removes what was not finished, once: by a second time another may write a file of this name."""
        joiner, self._joiner = self._joiner, None
        if joiner is not None:
            joiner.drop()


class VideoAssembler:
    """Threads of each job: so a disk that hangs holds up the jobs whose files it has, and nobody else.

    Of all jobs together a few segments and posters are decoded at a time. One that takes too long counts no more.

    Args:
        wake: called by the threads when something is over.
    """

    def __init__(self, wake: Callable[[], None] = lambda: None, policy: SchedulingPolicy = DEFAULT_POLICY):
        self._wake, self._policy = wake, policy
        self._checks = max(2, round(policy.segment_check_share * (os.cpu_count() or 1)))
        self._decoding = threading.Semaphore(self._checks)
        self._threads: dict[str, ThreadPoolExecutor] = {}  # by job's name
        self._saves: list[tuple[str, Any, Future[Facts]]] = []  # by job's name
        self._posters: dict[str, Future[Facts]] = {}
        self._assemblies: dict[str, tuple[VideoAssembly, Future[Facts | None]]] = {}
        self._since: dict[Future[Any], tuple[str, float]] = {}  # by job's name and when, what is under way

    def look_at(self, job: JobRun) -> None:
        """Starts what ``job``'s durable segments suffice for; call it after each new one."""
        shown = job.segments[round((len(job.segments) - 1) * self._policy.poster_position)]
        if shown.index in job.paths and job.name not in self._posters:
            self._posters[job.name] = self._start(job.name, self._make_poster, job, shown.index)
        if job.name not in self._assemblies:
            assembly = VideoAssembly(job)
            if not assembly.waits:
                self._assemblies[job.name] = assembly, self._start(job.name, assembly.go_on)

    def save(self, job: JobRun, number: int, data: Callable[[], memoryview], note: Any) -> None:
        """Starts to write and decode a segment that was encoded; ``saved`` tells what came of it.

        Args:
            data: gives the segment's bytes.
        """
        self._saves.append((job.name, note, self._start(job.name, self._save, job, number, data)))

    @property
    def saving(self) -> bool:
        """Whether ``saved`` has something to tell, now or later."""
        return bool(self._saves)

    def saved(self) -> list[tuple[Any, Future[Facts]]]:
        """The notes of segments that were written and decoded, and where they lie. Told once.

        The futures raise as ``check_segment`` does, or what kept a segment from being read or written.
        """
        over = [(note, future) for _, note, future in self._saves if future.done()]
        self._saves = [save for save in self._saves if not save[2].done()] if over else self._saves
        return over

    def _start(self, job: str, function: Callable[..., _T], *given: Any) -> Future[_T]:
        if (threads := self._threads.get(job)) is None:
            # The poster does not hold up the video, nor do these what was encoded.
            threads = self._threads[job] = ThreadPoolExecutor(2 + self._checks, "mandel-finish")
        future = threads.submit(function, *given)
        self._since[future] = job, time.monotonic()
        future.add_done_callback(self._over)
        return future

    def _over(self, future: Future[Any]) -> None:
        self._since.pop(future, None)
        self._wake()

    def late(self, seconds: float) -> set[str]:
        """The jobs of which a file was not read, written or decoded within so long, waiting included."""
        before = time.monotonic() - seconds
        return {job for job, since in list(self._since.values()) if since < before}

    @contextmanager
    def _turn_to_decode(self) -> Iterator[None]:
        """Waits for it, but not for what hangs."""
        has_turn = self._decoding.acquire(timeout=self._policy.decoding_seconds)
        try:
            yield
        finally:
            if has_turn:
                self._decoding.release()

    def _save(self, job: JobRun, number: int, data: Callable[[], memoryview]) -> Facts:
        p, written = job.payload, write_segment(job.tmp, job.name, number, data())
        frames = job.segments[number].count
        with self._turn_to_decode():
            check_segment(Path(written["path"]), frames, p.frame_width, p.frame_height, p.coding)
        return written

    def _make_poster(self, job: JobRun, index: int) -> Facts:
        with self._turn_to_decode():
            return _make_poster(job, index)

    @property
    def active(self) -> bool:
        """Whether a poster or a video is being made, or a segment decoded."""
        return any(not future.done() for future in self._futures())

    def wait(self, timeout: float) -> None:
        """Returns when something under way is over, after ``timeout`` seconds at the latest."""
        wait([future for future in self._futures() if not future.done()], timeout, FIRST_COMPLETED)

    def _futures(self) -> list[Future[Any]]:
        films = (future for _, future in self._assemblies.values())
        return [*self._posters.values(), *films, *(future for _, _, future in self._saves)]

    def ended(self) -> list[tuple[str, Future[Any]]]:
        """Jobs whose poster and video have been made, or failed; the video event's facts. Told once."""
        over: list[tuple[str, Future[Any]]] = []
        for name, (assembly, future) in list(self._assemblies.items()):
            poster = self._posters.get(name)
            if not future.done():
                continue
            if future.exception() is not None:
                self._forget(name)
                over.append((name, future))
            elif future.result() is None:
                if not assembly.waits:  # a segment came while others were appended
                    self._assemblies[name] = assembly, self._start(name, assembly.go_on)
            elif poster is not None and poster.done():
                self._forget(name)
                over.append((name, _both(future, poster)))
        return over

    def forget(self, name: str) -> None:
        """Drops what a job given up had under way."""
        for job, _, save in self._saves:
            if job == name:
                save.cancel()
        self._forget(name)
        if (threads := self._threads.pop(name, None)) is not None:
            threads.shutdown(wait=False)

    def _forget(self, name: str) -> None:
        if (poster := self._posters.pop(name, None)) is not None:
            poster.cancel()
        if name in self._assemblies:
            assembly, future = self._assemblies.pop(name)
            future.cancel()
            self._start(name, _remove, assembly, future)  # on a thread: whoever asks may be the loop

    def close(self) -> None:
        """Waits for what is under way, but not for what hangs."""
        for name in list(self._threads):
            self.forget(name)
        wait(list(self._since), self._policy.decoding_seconds)


def _tags(payload: Payload) -> dict[str, str]:
    return in_file.tags(payload.canonical(), time.strftime("%Y-%m-%d", time.gmtime()))


def _subtitles(payload: Payload) -> str:
    if not payload.subtitles:
        return ""
    return subtitles.srt(payload.camera.delta, payload.num_frames, rate(payload.fps))


def _remove(assembly: VideoAssembly, work: Future[Any]) -> None:
    """Removes what was not finished, as soon as nobody is at it."""
    wait([work])
    assembly.drop()


def _make_poster(job: JobRun, index: int) -> Facts:
    poster, p = job.tmp / f"{job.name[:16]}.png", job.payload
    try:
        save_poster(job.paths[index], poster, p.frame_width, p.frame_height, p.coding, _tags(p))
    except (RenderError, FileNotFoundError) as error:
        if isinstance(error, RenderError) and error.code not in ("BAD_SEGMENT", "FFMPEG_FAILED"):
            raise
        raise UnusableSegments([index], f"segment {index} cannot be used: {error}") from error
    return {"poster": str(poster)}


def _both(video: Future[Any], poster: Future[Facts]) -> Future[Facts]:
    """A future that is done: the facts of both, or the first error."""
    both: Future[Facts] = Future()
    if (error := video.exception() or poster.exception()) is not None:
        both.set_exception(error)
    else:
        both.set_result({**video.result(), **poster.result()})
    return both

"""The end of a job: its poster and its video, made from durable segments in the background."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from mandel.render.job import Job
from mandel.video.join import join
from mandel.video.poster import save_poster

# Far enough in to be worth a look, not yet the very end.
_POSTER_AT = 0.8


class Finisher:
    """Two threads, so that the poster does not hold up the video.

    Args:
        wake: called by them when something is over.
    """

    def __init__(self, wake: Callable[[], None] = lambda: None):
        self._wake = wake
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="mandel-finish")
        self._posters: dict[str, Future] = {}
        self._videos: dict[str, Future] = {}

    def look_at(self, job: Job) -> None:
        """Starts what ``job``'s durable segments suffice for; call it after each new one."""
        shown = job.segments[round((len(job.segments) - 1) * _POSTER_AT)]
        if shown.index in job.paths and job.name not in self._posters:
            self._posters[job.name] = self._start(_make_poster, job, shown.index)
        if job.complete and job.name not in self._videos:
            self._videos[job.name] = self._start(_make_video, job)

    def _start(self, function: Callable, *given) -> Future:
        future = self._pool.submit(function, *given)
        future.add_done_callback(lambda _: self._wake())
        return future

    @property
    def active(self) -> bool:
        """Whether a poster or a video is being made."""
        return any(not future.done() for future in (*self._videos.values(), *self._posters.values()))

    def wait(self, timeout: float) -> None:
        """Returns when something under way is over, after ``timeout`` seconds at the latest."""
        futures = (*self._videos.values(), *self._posters.values())
        wait([future for future in futures if not future.done()], timeout, FIRST_COMPLETED)

    def ended(self) -> list[tuple[str, Future]]:
        """Jobs whose poster and video have been made, or failed; the video event's facts. Told once."""
        over = [n for n, video in self._videos.items() if video.done() and self._posters[n].done()]
        return [(name, _both(self._videos.pop(name), self._posters.pop(name))) for name in over]

    def forget(self, name: str) -> None:
        """Drops what a job given up had under way."""
        for futures in (self._posters, self._videos):
            if (future := futures.pop(name, None)) is not None:
                future.cancel()

    def close(self) -> None:
        """Waits for what is under way."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _make_poster(job: Job, index: int) -> dict:
    poster = job.tmp / f"{job.name[:16]}.png"
    save_poster(job.paths[index], poster, job.payload.frame_width, job.payload.frame_height)
    return {"poster": str(poster)}


def _make_video(job: Job) -> dict:
    video = job.tmp / f"{job.name[:16]}.mp4"
    p = job.payload
    joined = join(job.segment_paths(), video, p.frame_width, p.frame_height, p.fps, p.num_frames)
    return {"path": str(video), "frames": joined.frames, "bytes": joined.bytes, "sha256": joined.sha256}


def _both(video: Future, poster: Future) -> Future:
    """A future that is done: the facts of both, or the first error."""
    both: Future = Future()
    if (error := video.exception() or poster.exception()) is not None:
        both.set_exception(error)
    else:
        both.set_result({**video.result(), **poster.result()})
    return both

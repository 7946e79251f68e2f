"""The end of a job: its poster and its video, made from durable segments in the background."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from mandel.cluster.job import Job
from mandel.video.join import Joiner
from mandel.video.poster import save_poster

# Far enough in to be worth a look, not yet the very end.
_POSTER_AT = 0.8


class Film:
    """A job's video, which grows while the job is rendered; used by one thread at a time.

    Args:
        job: whose video it is.
    """

    def __init__(self, job: Job):
        self._job = job
        self._joiner: Joiner | None = None

    @property
    def waits(self) -> bool:
        """Whether the next segment is not durable yet."""
        added = self._joiner.added if self._joiner else 0
        return added not in self._job.paths

    def go_on(self) -> dict | None:
        """Appends the segments that are durable; after the last one the video event's facts."""
        job, p = self._job, self._job.payload
        try:
            if self._joiner is None:
                path = job.tmp / f"{job.name[:16]}.mp4"
                self._joiner = Joiner(
                    path, p.frame_width, p.frame_height, p.fps, p.num_frames, len(job.segments)
                )
            while not self.waits:
                self._joiner.add(job.paths[self._joiner.added])
            if self._joiner.added < len(job.segments):
                return None
            video = self._joiner.finish()
        except BaseException:
            self.drop()
            raise
        self._joiner.drop()
        return {"path": str(video.path), "frames": video.frames, "bytes": video.bytes, "sha256": video.sha256}

    def drop(self) -> None:
        """Removes what was not finished."""
        if self._joiner is not None:
            self._joiner.drop()


class Finisher:
    """Two threads, so that the poster does not hold up the video.

    Args:
        wake: called by them when something is over.
    """

    def __init__(self, wake: Callable[[], None] = lambda: None):
        self._wake = wake
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="mandel-finish")
        self._posters: dict[str, Future] = {}
        self._films: dict[str, tuple[Film, Future]] = {}

    def look_at(self, job: Job) -> None:
        """Starts what ``job``'s durable segments suffice for; call it after each new one."""
        shown = job.segments[round((len(job.segments) - 1) * _POSTER_AT)]
        if shown.index in job.paths and job.name not in self._posters:
            self._posters[job.name] = self._start(_make_poster, job, shown.index)
        if job.name not in self._films:
            film = Film(job)
            if not film.waits:
                self._films[job.name] = film, self._start(film.go_on)

    def _start(self, function: Callable, *given) -> Future:
        future = self._pool.submit(function, *given)
        future.add_done_callback(lambda _: self._wake())
        return future

    @property
    def active(self) -> bool:
        """Whether a poster or a video is being made."""
        return any(not future.done() for future in self._futures())

    def wait(self, timeout: float) -> None:
        """Returns when something under way is over, after ``timeout`` seconds at the latest."""
        wait([future for future in self._futures() if not future.done()], timeout, FIRST_COMPLETED)

    def _futures(self) -> list[Future]:
        return [*self._posters.values(), *(future for _, future in self._films.values())]

    def ended(self) -> list[tuple[str, Future]]:
        """Jobs whose poster and video have been made, or failed; the video event's facts. Told once."""
        over = []
        for name, (film, future) in list(self._films.items()):
            poster = self._posters.get(name)
            if not future.done():
                continue
            if future.exception() is not None:
                self.forget(name)
                over.append((name, future))
            elif future.result() is None:
                if not film.waits:  # a segment came while others were appended
                    self._films[name] = film, self._start(film.go_on)
            elif poster is not None and poster.done():
                self.forget(name)
                over.append((name, _both(future, poster)))
        return over

    def forget(self, name: str) -> None:
        """Drops what a job given up had under way."""
        if (poster := self._posters.pop(name, None)) is not None:
            poster.cancel()
        if name in self._films:
            film, future = self._films.pop(name)
            future.cancel()
            future.add_done_callback(lambda _: film.drop())

    def close(self) -> None:
        """Waits for what is under way."""
        for name in list(self._films):
            self.forget(name)
        self._pool.shutdown(wait=True, cancel_futures=True)


def _make_poster(job: Job, index: int) -> dict:
    poster = job.tmp / f"{job.name[:16]}.png"
    save_poster(job.paths[index], poster, job.payload.frame_width, job.payload.frame_height)
    return {"poster": str(poster)}


def _both(video: Future, poster: Future) -> Future:
    """A future that is done: the facts of both, or the first error."""
    both: Future = Future()
    if (error := video.exception() or poster.exception()) is not None:
        both.set_exception(error)
    else:
        both.set_result({**video.result(), **poster.result()})
    return both

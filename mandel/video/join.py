"""Joins segments to one mp4 by copying: no picture is decoded or encoded again.

A segment is a byte stream without times, so a video is its segments one behind
the other. There are no B-frames, so pictures are in order and frame k gets the
time k / fps. That time is exact, because a frame lasts a whole number of ticks
of the mp4's clock.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from mandel.errors import RenderError
from mandel.video.encode import rate
from mandel.video.h264 import count_frames
from mandel.video.mp4 import Mp4Writer
from mandel.video.probe import packet_times

# Ticks per second for rates at which whole ticks a frame would need too fast a clock.
_CLOCK = 1_200_000
# Coarser clocks than this confuse players.
_COARSEST = 10_000


@dataclass(frozen=True)
class Video:
    """A finished file.

    Attributes:
        path: where it lies.
        frames: number of frames, counted in the file.
        bytes, sha256: size and digest of the file.
    """

    path: Path
    frames: int
    bytes: int
    sha256: str


def digest(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _timescale(fps: Fraction) -> int:
    """Ticks per second of the mp4's clock: a whole number of ticks a frame, unless that is too many."""
    ticks = fps.numerator * -(-_COARSEST // fps.numerator)
    return ticks if ticks <= _CLOCK // 2 else _CLOCK


def _check(path: Path, fps: Fraction, frames: int) -> None:
    times = packet_times(path)
    if len(times) != frames:
        raise RenderError(
            "BAD_VIDEO", f"the joined video has {len(times)} frames instead of {frames}; join it again."
        )
    slack = Fraction(1, _CLOCK) if _timescale(fps) == _CLOCK else 0
    for k, time in enumerate(times):
        if abs(time - k / fps) > slack:
            raise RenderError("BAD_VIDEO", f"frame {k} of the joined video is shown at {float(time)} s.")


class Joiner:
    """An mp4 that grows by segments, with its index at the front. The file is removed unless ``finish`` returns.

    As a context manager it removes an unfinished file.

    Args:
        path: the file to write; an existing one is replaced.
        width, height: pixels of a frame.
        fps: frames per second, in the form that ``rate`` takes.
        frames: number of frames that the video must have.
        segments: number of segments that will be added.

    Raises:
        OSError: the video cannot be written.
    """

    def __init__(self, path: Path, width: int, height: int, fps: str, frames: int, segments: int):
        self.path, self._rate, self._frames = Path(path), rate(fps), frames
        self.added = 0
        self._finished = False
        scale = _timescale(self._rate)
        self._writer = Mp4Writer(self.path, width, height, scale, scale / self._rate, frames, segments)

    def __enter__(self) -> Joiner:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()

    def add(self, segment: Path, frames: int | None = None) -> None:
        """Appends a segment, a file of ``encode_segment``'s bytes. All must have the same size, rate and coding.

        Args:
            frames: number of frames that the segment must hold; None: any.

        Raises:
            RenderError: BAD_SEGMENT.
            OSError: the segment cannot be read, or the video cannot be written.
        """
        data = Path(segment).read_bytes()
        if frames is not None and (found := count_frames(data)) != frames:
            raise RenderError("BAD_SEGMENT", f"a segment holds {found} frames instead of {frames}.")
        self._writer.add(data)
        self.added += 1

    def finish(self) -> Video:
        """Writes the index, then lets ffmpeg read the whole file and checks what it finds.

        Raises:
            RenderError: BAD_VIDEO when frames are missing or shown at a wrong time, FFMPEG_FAILED, FFMPEG_STALLED.
            OSError: the video cannot be written.
        """
        self._writer.finish()
        with ThreadPoolExecutor(1) as side:
            found = side.submit(digest, self.path)
            _check(self.path, self._rate, self._frames)
            video = Video(self.path, self._frames, self.path.stat().st_size, found.result())
        self._finished = True
        return video

    def drop(self) -> None:
        """Closes the file, and removes it unless it is finished."""
        self._writer.close()
        if not self._finished:
            self.path.unlink(missing_ok=True)

"""Segments to one mp4, by copying: no picture is decoded or encoded again.

A segment is a byte stream without times, so a video is its segments one behind
the other. As no picture is reordered (no B-frames), frame k is given time
k / fps, exactly: the mp4's clock ticks a whole number of times a frame.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from mandel.errors import RenderError
from mandel.video.encode import rate
from mandel.video.mp4 import Mp4Writer
from mandel.video.probe import packet_times

# Ticks per second where a whole number of them a frame would be too many.
_CLOCK = 1_200_000
# Coarser clocks than this confuse players.
_COARSEST = 10_000


@dataclass(frozen=True)
class Video:
    """A finished file.

    Attributes:
        path: where it lies.
        frames: counted in the file.
        bytes, sha256: of the file.
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
    """The mp4's ticks per second: a whole number a frame, unless the rate is too odd for that."""
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


def join(segments: Sequence[Path], path: Path, width: int, height: int, fps: str, frames: int) -> Video:
    """Joins segments to an mp4 whose index comes first.

    Args:
        segments: files of ``encode_segment``'s bytes, in order, of one size, rate and coding.
        path: the file to write; replaced. After an error it does not exist.
        width, height: pixels of a frame.
        fps: frames per second, a decimal string.
        frames: how many the video must have.

    Raises:
        RenderError: BAD_SEGMENT, BAD_VIDEO when frames are missing or shown at a wrong time,
            FFMPEG_FAILED, FFMPEG_STALLED when what was written cannot be read back.
        OSError: a segment cannot be read, or the video not be written.
    """
    path, exact = Path(path), rate(fps)
    scale = _timescale(exact)
    try:
        with Mp4Writer(path, width, height, scale, scale / exact, frames, len(segments)) as writer:
            for segment in segments:
                writer.add(segment.read_bytes())
            writer.finish()
        _check(path, exact, frames)
        return Video(path, frames, path.stat().st_size, digest(path))
    except BaseException:
        path.unlink(missing_ok=True)
        raise

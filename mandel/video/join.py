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
from mandel.video import ffmpeg
from mandel.video.encode import rate
from mandel.video.probe import packet_times

# Ticks per second of ffmpeg's raw H.264 reader.
_CLOCK = 1_200_000
# Coarser clocks than this confuse players.
_COARSEST = 10_000
_CHUNK = 1 << 20


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


def _arguments(path: Path, fps: Fraction) -> list[str]:
    ticks = f"{_CLOCK}*{fps.denominator}/{fps.numerator}"
    return [
        "-f", "h264", "-framerate", f"{fps.numerator}/{fps.denominator}", "-i", "pipe:0",
        "-map", "0:v:0", "-c", "copy", "-bsf:v", f"setts=ts=round(N*{ticks}):duration=round({ticks})",
        "-video_track_timescale", str(_timescale(fps)),
        "-movflags", "+faststart", "-f", "mp4", "-y", f"file:{path.absolute()}",
    ]


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


def join(segments: Sequence[Path], path: Path, fps: str, frames: int) -> Video:
    """Joins segments to an mp4 whose index comes first (+faststart).

    Args:
        segments: files of ``encode_segment``'s bytes, in order, of one size, rate and coding.
        path: the file to write; replaced. After an error it does not exist.
        fps: frames per second, a decimal string, as the segments were made with.
        frames: how many the video must have.

    Raises:
        RenderError: FFMPEG_FAILED (also for a full disk), FFMPEG_STALLED,
            BAD_VIDEO when frames are missing or shown at a wrong time.
        OSError: a segment cannot be read.
    """
    path, exact = Path(path), rate(fps)
    try:
        with ffmpeg.Ffmpeg(_arguments(path, exact)) as process:
            for segment in segments:
                with open(segment, "rb") as file:
                    while chunk := file.read(_CHUNK):
                        process.feed(chunk)
            process.finish()
        _check(path, exact, frames)
        return Video(path, frames, path.stat().st_size, digest(path))
    except BaseException:
        path.unlink(missing_ok=True)
        raise

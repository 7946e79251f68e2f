"""Encodes raw YUV 4:2:0 frames to one segment: an H.264 byte stream.

The frames have BT.709 limited range already; ffmpeg only tags them. A segment
starts with an IDR picture, has no B-frames and refers to no picture outside. So
segments are joined by copying (``join.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mandel.errors import RenderError
from mandel.video import ffmpeg
from mandel.video.h264 import count_frames


@dataclass(frozen=True)
class Coding:
    """x264's settings; the same for all segments of a video.

    Attributes:
        preset, options: x264's. Slower presets cost more time than their bytes are worth (docs/video.md).
        crf: constant rate factor, 0..51, smaller is better.
        key_interval: the most frames from one key picture to the next; players seek to key pictures.
    """

    preset: str = "ultrafast"
    options: str = "8x8dct=1:partitions=i4x4,i8x8"
    crf: int = 20
    key_interval: int = 60


_TAGS = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"


def rate(fps: str) -> Fraction:
    """Frames per second as an exact fraction: "29.97" is 2997/100, "30000/1001" is 30000/1001."""
    return Fraction(fps)


def _arguments(width: int, height: int, fps: str, coding: Coding) -> list[str]:
    frames_per_second = rate(fps)
    return [
        "-f",
        "rawvideo",
        "-pix_fmt",
        "yuv420p",
        "-video_size",
        f"{width}x{height}",
        "-framerate",
        f"{frames_per_second.numerator}/{frames_per_second.denominator}",
        "-color_range",
        "tv",
        "-colorspace",
        "bt709",
        "-color_primaries",
        "bt709",
        "-color_trc",
        "bt709",
        "-i",
        "pipe:0",
        "-vf",
        _TAGS,
        "-an",
        "-fps_mode",
        "passthrough",
        "-c:v",
        "libx264",
        "-preset",
        coding.preset,
        "-crf",
        str(coding.crf),
        "-pix_fmt",
        "yuv420p",
        "-threads",
        "1",
        "-bf",
        "0",
        "-g",
        str(coding.key_interval),
        "-flags",
        "+cgop",
        "-x264-params",
        "open-gop=0:scenecut=0:aud=1:" + coding.options,
        "-f",
        "h264",
        "pipe:1",
    ]


class SegmentEncoder:
    """Encodes frames as they come, in memory.

    Use it as a context manager: leaving it before ``finish`` ends ffmpeg and drops everything.

    Args:
        width, height: pixels of a frame, even.
        fps: frames per second, in the form that ``rate`` takes.
        coding: x264's settings.
        stall: seconds without progress, after which ffmpeg counts as hung.

    Raises:
        RenderError: FFMPEG_FAILED, FFMPEG_STALLED, NO_FFMPEG, ODD_SIZE, BAD_FRAME, BAD_SEGMENT.
    """

    def __init__(
        self, width: int, height: int, fps: str, coding: Coding = Coding(), stall: float = ffmpeg.STALL
    ):
        if width % 2 or height % 2 or width < 2 or height < 2:
            raise RenderError("ODD_SIZE", f"yuv420p video needs even sides, not {width}x{height}.")
        self._bytes_per_frame = width * height * 3 // 2
        self._out = bytearray()
        self.frames = 0
        self._ffmpeg = ffmpeg.Ffmpeg(_arguments(width, height, fps, coding), self._out.extend, stall)

    def __enter__(self) -> SegmentEncoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._ffmpeg.kill()

    @property
    def pid(self) -> int:
        """ffmpeg's process id (and that of its group)."""
        return self._ffmpeg.pid

    def write(self, frame: np.ndarray) -> None:
        """Appends a frame: uint8, planes Y, Cb and Cr one behind the other, width * height * 3 / 2 bytes."""
        if frame.dtype != np.uint8 or frame.size != self._bytes_per_frame:
            raise RenderError(
                "BAD_FRAME",
                f"a frame must be {self._bytes_per_frame} bytes of uint8, not {frame.size} of {frame.dtype}.",
            )
        self._ffmpeg.feed(np.ascontiguousarray(frame).data)
        self.frames += 1

    def finish(self) -> bytes:
        """Ends the segment, checks its number of frames, and returns its bytes."""
        self._ffmpeg.finish()
        segment = bytes(self._out)
        found = count_frames(segment)
        if found != self.frames:
            raise RenderError(
                "BAD_SEGMENT", f"ffmpeg was given {self.frames} frames and encoded {found}; encode it again."
            )
        return segment


def encode_segment(
    frames: Iterable[np.ndarray], width: int, height: int, fps: str, coding: Coding = Coding()
) -> bytes:
    """Encodes frames, in order, to the bytes of one segment; arguments and errors as of ``SegmentEncoder``."""
    with SegmentEncoder(width, height, fps, coding) as encoder:
        for frame in frames:
            encoder.write(frame)
        return encoder.finish()

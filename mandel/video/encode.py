"""Encodes pictures to one segment: an H.264 byte stream, or a Matroska file.

Pictures in YUV have BT.709 limited range already; ffmpeg only tags them. Others it converts if the coding has YUV.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from mandel.errors import RenderError
from mandel.plan.picture import YUV420, shape
from mandel.video import ffmpeg
from mandel.video.coding import DEFAULT, RAW_FORMATS, Coding
from mandel.video.h264 import count_frames
from mandel.video.probe import packet_bytes


def rate(fps: str) -> Fraction:
    """Frames per second as an exact fraction: "29.97" is 2997/100, "30000/1001" is 30000/1001."""
    return Fraction(fps)


def _arguments(width: int, height: int, fps: str, coding: Coding) -> list[str]:
    frames_per_second = rate(fps)
    given = (
        ["-color_range", "tv", "-colorspace", "bt709"] if coding.layout == YUV420 else ["-color_range", "pc"]
    )
    return [
        *("-f", "rawvideo", "-pix_fmt", RAW_FORMATS[coding.layout], "-video_size", f"{width}x{height}"),
        *("-framerate", f"{frames_per_second.numerator}/{frames_per_second.denominator}"),
        *given,
        *("-color_primaries", "bt709", "-color_trc", "bt709", "-i", "pipe:0"),
        *("-an", "-fps_mode", "passthrough"),
        *coding.arguments(),
        *("-f", "h264" if coding.is_stream else "matroska", "pipe:1"),
    ]


class SegmentEncoder:
    """Encodes frames as they come, in memory.

    Use it as a context manager: leaving it before ``finish`` ends ffmpeg and drops everything.

    Args:
        width, height: pixels of a frame, even.
        fps: frames per second, in the form that ``rate`` takes.
        coding: how they are encoded.
        stall: seconds without progress, after which ffmpeg counts as hung.

    Raises:
        RenderError: FFMPEG_FAILED, FFMPEG_STALLED, NO_FFMPEG, ODD_SIZE, BAD_FRAME, BAD_SEGMENT.
    """

    def __init__(
        self, width: int, height: int, fps: str, coding: Coding = DEFAULT, stall: float = ffmpeg.STALL
    ):
        if width % 2 or height % 2 or width < 2 or height < 2:
            raise RenderError("ODD_SIZE", f"yuv420p video needs even sides, not {width}x{height}.")
        self._bytes_per_frame = math.prod(shape(width, height, coding.layout))
        self._coding = coding
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
        """Appends a frame: uint8, its bytes as the coding's layout has them."""
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
        found = count_frames(segment) if self._coding.is_stream else len(packet_bytes(segment))
        if found != self.frames:
            raise RenderError(
                "BAD_SEGMENT", f"ffmpeg was given {self.frames} frames and encoded {found}; encode it again."
            )
        return segment


def encode_segment(
    frames: Iterable[np.ndarray], width: int, height: int, fps: str, coding: Coding = DEFAULT
) -> bytes:
    """Encodes frames, in order, to the bytes of one segment; arguments and errors as of ``SegmentEncoder``."""
    with SegmentEncoder(width, height, fps, coding) as encoder:
        for frame in frames:
            encoder.write(frame)
        return encoder.finish()

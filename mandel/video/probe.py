"""Reads the packets of a video file with ffmpeg, because there is no ffprobe."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

from mandel.video import ffmpeg

_COPY = ("-map", "0:v:0", "-c", "copy", "-f", "framecrc", "pipe:1")


def _packets(told: str) -> list[list[str]]:
    return [line.split(",") for line in told.splitlines() if line and not line.startswith("#")]


def packet_times(path: Path) -> list[Fraction]:
    """Presentation times of all packets of the first video stream, seconds, in file order.

    Raises:
        RenderError: FFMPEG_FAILED when it is no media file.
    """
    text = ffmpeg.run(["-i", f"file:{Path(path).absolute()}", *_COPY]).decode()
    if (found := re.search(r"^#tb 0: (\S+)", text, re.MULTILINE)) is None:
        return []  # not a single packet
    base = Fraction(found[1])
    return [int(row[2]) * base for row in _packets(text)]


def packet_bytes(data: bytes) -> list[int]:
    """Bytes of all packets of the first video stream in the bytes of a Matroska file. Raises as ``packet_times``."""
    told = ffmpeg.run(["-f", "matroska", "-i", "pipe:0", *_COPY], data).decode()
    return [int(row[4]) for row in _packets(told)]

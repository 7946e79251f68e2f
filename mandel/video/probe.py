"""Reads the packets of a video file with ffmpeg, because there is no ffprobe."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

from mandel.video import ffmpeg


def packet_times(path: Path) -> list[Fraction]:
    """Presentation times of all packets of the first video stream, seconds, in file order.

    Raises:
        RenderError: FFMPEG_FAILED when it is no media file.
    """
    text = ffmpeg.run(
        [
            "-i",
            f"file:{Path(path).absolute()}",
            "-map",
            "0:v:0",
            "-c",
            "copy",
            "-f",
            "framecrc",
            "pipe:1",
        ]
    ).decode()
    if (found := re.search(r"^#tb 0: (\S+)", text, re.MULTILINE)) is None:
        return []  # not a single packet
    base = Fraction(found[1])
    rows = [line.split(",") for line in text.splitlines() if line and not line.startswith("#")]
    return [int(row[2]) * base for row in rows]

"""What a video file holds, read from what ffmpeg says of it (there is no ffprobe)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from mandel.errors import RenderError
from mandel.video import ffmpeg


@dataclass(frozen=True)
class Probe:
    """A file's video stream.

    Attributes:
        codec: e.g. ``"h264"``.
        pixel_format: e.g. ``"yuv420p"``.
        colour: what is said of colours, e.g. ``"tv, bt709, progressive"``.
        width, height: pixels.
        fps: frames per second, as ffmpeg rounds it.
        frames: counted packets.
    """

    codec: str
    pixel_format: str
    colour: str
    width: int
    height: int
    fps: str
    frames: int


_STREAM = re.compile(
    r"Stream #0:0.*?: Video: (?P<codec>\w+)[^,]*(?:\([^)]*\))?, (?P<format>\w+)(?:\((?P<colour>[^)]*)\))?, "
    r"(?P<width>\d+)x(?P<height>\d+).*?, (?P<fps>[\d.]+k?) fps"
)


def packet_times(path: Path) -> list[Fraction]:
    """Presentation times of all packets of the first video stream, seconds, in file order."""
    text = ffmpeg.run([
        "-i", f"file:{Path(path).absolute()}", "-map", "0:v:0", "-c", "copy", "-f", "framecrc", "pipe:1",
    ]).decode()
    base = Fraction(re.search(r"^#tb 0: (\S+)", text, re.MULTILINE)[1])
    rows = [line.split(",") for line in text.splitlines() if line and not line.startswith("#")]
    return [int(row[2]) * base for row in rows]


def frame_digests(path: Path) -> list[str]:
    """MD5 of every decoded frame, in order; equal lists are equal pictures."""
    text = ffmpeg.run([
        "-threads", "1", "-i", f"file:{Path(path).absolute()}", "-map", "0:v:0",
        "-fps_mode", "passthrough", "-f", "framemd5", "pipe:1",
    ])
    rows = [line.decode() for line in text.splitlines() if line and not line.startswith(b"#")]
    return [row.split(",")[-1].strip() for row in rows]


def probe(path: Path) -> Probe:
    """Looks into a video file.

    Raises:
        RenderError: FFMPEG_FAILED when it is no media file, BAD_VIDEO when it
            holds no video stream.
    """
    words = ffmpeg.describe(path)
    match = _STREAM.search(words)
    if not match:
        raise RenderError("BAD_VIDEO", f"{path} holds no video stream that ffmpeg can name.")
    return Probe(
        match["codec"], match["format"], match["colour"] or "", int(match["width"]), int(match["height"]),
        match["fps"], len(packet_times(path)),
    )

"""What a video file holds: its stream in ffmpeg's words, and its pictures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mandel.video import ffmpeg
from mandel.video.probe import packet_times

_STREAM = re.compile(
    r"Stream #0:0.*?: Video: (?P<codec>\w+)[^,]*(?:\([^)]*\))?, (?P<format>\w+)(?:\((?P<colour>[^)]*)\))?, "
    r"(?P<width>\d+)x(?P<height>\d+).*?, (?P<fps>[\d.]+k?) fps"
)


@dataclass(frozen=True)
class Stream:
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


def stream(path: Path) -> Stream:
    """What ffmpeg says of a file's only stream."""
    given = ["-loglevel", "info", "-i", f"file:{Path(path).absolute()}", "-map", "0:v:0", "-c", "copy"]
    with ffmpeg.Ffmpeg([*given, "-t", "0", "-f", "null", "-"], sink=len) as process:
        process.finish()
        match = _STREAM.search(process.words)
    return Stream(
        match["codec"],
        match["format"],
        match["colour"] or "",
        int(match["width"]),
        int(match["height"]),
        match["fps"],
        len(packet_times(path)),
    )


def frame_digests(path: Path) -> list[str]:
    """MD5 of every decoded frame, in order; equal lists are equal pictures."""
    text = ffmpeg.run(
        [
            "-threads",
            "1",
            "-i",
            f"file:{Path(path).absolute()}",
            "-map",
            "0:v:0",
            "-fps_mode",
            "passthrough",
            "-f",
            "framemd5",
            "pipe:1",
        ]
    )
    rows = [line.decode() for line in text.splitlines() if line and not line.startswith(b"#")]
    return [row.split(",")[-1].strip() for row in rows]

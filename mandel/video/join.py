"""Joins segments to one film by copying: no picture is decoded or encoded again.

A film is its segments one behind the other. Packets are in the order in which they are shown, so packet k gets the
time k / fps. In mp4 and mov that time is exact, because a frame lasts a whole number of ticks of the file's clock;
Matroska rounds times to milliseconds. H.264 becomes an mp4 as its segments come (``mp4.py``); all else is put together
by ffmpeg at the end, and so is what has subtitles.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

from mandel import plain_file
from mandel.errors import RenderError
from mandel.video import ffmpeg
from mandel.video.coding import DEFAULT, HEVC, MKV, MOV, MP4, Coding
from mandel.video.encode import rate
from mandel.video.h264 import count_frames
from mandel.video.mp4 import Mp4Writer
from mandel.video.probe import packet_times

# Ticks per second for rates at which whole ticks a frame would need too fast a clock.
_CLOCK = 1_200_000
# Coarser clocks than this confuse players.
_COARSEST = 10_000
_MILLISECOND = Fraction(1, 1000)
_MUXERS = {MP4: "mp4", MOV: "mov", MKV: "matroska"}
# ffmpeg's names of the soft subtitles that each container has.
_TEXTS = {MP4: "mov_text", MOV: "mov_text", MKV: "srt"}


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


def _check(path: Path, fps: Fraction, frames: int, container: str) -> None:
    times = packet_times(path)
    if len(times) != frames:
        raise RenderError(
            "BAD_VIDEO", f"the joined video has {len(times)} frames instead of {frames}; join it again."
        )
    slack = Fraction(1, _CLOCK) if _timescale(fps) == _CLOCK else Fraction(0)
    if container == MKV:
        slack = _MILLISECOND
    for k, time in enumerate(times):
        if abs(time - k / fps) > slack:
            raise RenderError("BAD_VIDEO", f"frame {k} of the joined video is shown at {float(time)} s.")


def _quoted(path: Path) -> str:
    """A path as ffmpeg's lists of files have it, between single quotes."""
    return f"file:{path.absolute()}".replace("'", "'\\''")


class Joiner:
    """A film that grows by segments, with its index at the front. The file is removed unless ``finish`` returns.

    As a context manager it removes an unfinished file.

    Args:
        path: the file to write; an existing one is replaced.
        width, height: pixels of a frame.
        fps: frames per second, in the form that ``rate`` takes.
        frames: number of frames that the video must have.
        segments: number of segments that will be added.
        coding: how the segments were encoded.
        tags: title, date and comment, if any.
        subtitles: the text of an SRT file that becomes a soft track; "" is none.

    Raises:
        OSError: the video cannot be written.
    """

    def __init__(  # noqa: PLR0913 - all that a film is
        self,
        path: Path,
        width: int,
        height: int,
        fps: str,
        frames: int,
        segments: int,
        coding: Coding = DEFAULT,
        tags: Mapping[str, str] = MappingProxyType({}),
        subtitles: str = "",
    ):
        self.path, self._rate, self._frames = Path(path), rate(fps), frames
        self._coding, self._tags, self._subtitles = coding, tags, subtitles
        self.added = 0
        self._finished = False
        self._parts: list[Path] = []  # what ffmpeg is to put together
        self._writer: Mp4Writer | None = None
        if coding.is_stream:
            scale = _timescale(self._rate)
            own = self.path
            if coding.container != MP4 or subtitles:
                own = self.path.with_name(self.path.name + ".part")
                self._parts.append(own)
            self._writer = Mp4Writer(own, width, height, scale, scale / self._rate, frames, segments, tags)

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
        if self._writer is None:
            plain_file.reader(Path(segment)).close()  # ffmpeg would wait for a pipe's other end
            self._parts.append(Path(segment))
        else:
            data = plain_file.content(Path(segment))
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
        if self._writer is not None:
            self._writer.finish()
        if self._parts:
            self._put_together()
        with ThreadPoolExecutor(1) as side:
            found = side.submit(digest, self.path)
            _check(self.path, self._rate, self._frames, self._coding.container)
            video = Video(self.path, self._frames, self.path.stat().st_size, found.result())
        self._finished = True
        return video

    def _put_together(self) -> None:
        """Copies the packets of all parts to the film's file, with the times that they are to have."""
        scale, coding = _timescale(self._rate), self._coding
        frame = scale / self._rate
        time = f"round(N*{frame.numerator}/{frame.denominator})"
        if self._subtitles:
            self._words.write_text(self._subtitles, encoding="utf-8")
        listed = "".join(f"file '{_quoted(part)}'\n" for part in self._parts)
        tags = [word for name, text in self._tags.items() for word in ("-metadata", f"{name}={text}")]
        ffmpeg.run(
            [
                *("-f", "concat", "-safe", "0", "-protocol_whitelist", "file,pipe", "-i", "pipe:0"),
                *(("-f", "srt", "-i", f"file:{self._words.absolute()}") if self._subtitles else ()),
                *("-map", "0:v:0", "-c", "copy", "-map_metadata", "-1"),
                # A track that is there, and shown by whoever wants it.
                *(
                    ("-map", "1:0", "-c:s", _TEXTS[coding.container], "-disposition:s:0", "0")
                    if self._subtitles
                    else ()
                ),
                # The first filter makes the clock fine enough, the second sets the times in it.
                *("-bsf:v", f"setts=time_base=1/{scale},setts=ts={time}:duration={round(frame)}"),
                *(("-tag:v", "hvc1") if coding.codec == HEVC and coding.container != MKV else ()),
                *(
                    ("-fflags", "+bitexact")  # no random numbers as names of its tracks
                    if coding.container == MKV
                    else ("-movflags", "+faststart+write_colr", "-video_track_timescale", str(scale))
                ),
                *tags,
                *("-f", _MUXERS[coding.container], "-y", f"file:{self.path.absolute()}"),
            ],
            listed.encode(),
        )

    @property
    def _words(self) -> Path:
        """The subtitles, for ffmpeg to read."""
        return self.path.with_name(self.path.name + ".srt")

    def drop(self) -> None:
        """Closes the file, and removes it unless it is finished."""
        self._words.unlink(missing_ok=True)
        if self._writer is not None:
            self._writer.close()
            for part in self._parts:
                part.unlink(missing_ok=True)
        if not self._finished:
            self.path.unlink(missing_ok=True)

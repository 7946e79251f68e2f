"""An mp4 file of one H.264 track, its index in front: ISO/IEC 14496-12 (boxes) and 14496-15 (H.264 in them).

Pictures are written as they come, after a gap that the index fills at the end.
So nothing is moved, and nothing is read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import groupby, pairwise
from pathlib import Path
from struct import pack
from types import MappingProxyType

from mandel.errors import RenderError
from mandel.video.h264 import (
    ACCESS_UNIT_DELIMITER,
    IDR_SLICE,
    PICTURE_PARAMETERS,
    SEQUENCE_PARAMETERS,
    count_frames,
    nal_units,
)

_UNITY = pack(
    ">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000
)  # the identity as a transformation matrix
_TAGS = {"title": b"\xa9nam", "date": b"\xa9day", "comment": b"\xa9cmt"}
_HIGH_PROFILES = (100, 110, 122, 144)
# Bytes kept for the index. Without its tables it takes less than 1 KiB. In the tables a picture takes at most 8 bytes
# for its duration, 4 for its size and 4 if it is a key picture; a segment takes 12 for its chunk and 8 for its offset.
_FIXED, _PER_SAMPLE, _PER_CHUNK = 1024, 16, 20


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, version: int, flags: int, *content: bytes) -> bytes:
    return _box(kind, pack(">I", version << 24 | flags), *content)


def _timed(kind: bytes, flags: int, times: tuple[int, ...], *content: bytes) -> bytes:
    """A box that begins with creation and modification time (both 0). ``times`` follows; a duration is its last."""
    version = 1 if times[-1] >> 32 else 0
    wide = ">QQ" + "I" * (len(times) - 1) + "Q" if version else ">" + "I" * (len(times) + 2)
    return _full(kind, version, flags, pack(wide, 0, 0, *times), *content)


def _tags(tags: Mapping[str, str]) -> bytes:
    """A box of tags as iTunes writes them, which is what players read."""
    items = (
        _box(_TAGS[name], _box(b"data", pack(">2I", 1, 0), text.encode())) for name, text in tags.items()
    )
    handler = _full(b"hdlr", 0, 0, bytes(4), b"mdirappl", bytes(9))
    return _box(b"udta", _full(b"meta", 0, 0, handler, _box(b"ilst", *items)))


class Mp4Writer:
    """Writes an mp4 file to ``path``. Close it, finished or not; as a context manager it closes itself.

    Args:
        path: the file.
        width, height: pixels of a picture.
        scale: ticks per second of the track's clock.
        frame: duration of a picture in ticks; times are rounded to ticks, each on its own.
        samples, chunks: the most pictures and segments that will be added, which decide the room for the index.
        tags: title, date and comment, if any.

    Raises (from every method):
        OSError: the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        width: int,
        height: int,
        scale: int,
        frame: Fraction,
        samples: int,
        chunks: int,
        tags: Mapping[str, str] = MappingProxyType({}),
    ):
        self._width, self._height, self._scale, self._frame = width, height, scale, frame
        self._tags = _tags(tags) if tags else b""
        self._begin = _FIXED + len(self._tags) + _PER_SAMPLE * samples + _PER_CHUNK * chunks
        self._sizes: list[int] = []
        self._keys: list[int] = []  # numbers of key pictures, from 1
        self._chunks: list[tuple[int, int]] = []  # of each segment: offset and number of its pictures
        self._sequence = self._picture = b""  # parameter sets of the first segment, for the index
        self._file = path.open("wb")
        self._end = self._file.seek(self._begin)

    def __enter__(self) -> Mp4Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file as it is. May be called again."""
        try:
            self._file.close()
        except OSError:
            pass  # a full disk: ``finish`` has raised it already

    def add(self, segment: bytes) -> None:
        """Appends a segment's pictures.

        Raises:
            RenderError: BAD_SEGMENT when the bytes are no segment.
        """
        count_frames(segment)
        pictures: list[list[memoryview]] = []
        for kind, unit in nal_units(segment):
            if kind == ACCESS_UNIT_DELIMITER:
                pictures.append([])
                continue
            # Each segment keeps its parameter sets: at odd rates x264 guesses the rate, so they may differ.
            pictures[-1].append(unit)
            if kind == SEQUENCE_PARAMETERS:
                self._sequence = self._sequence or bytes(unit)
            elif kind == PICTURE_PARAMETERS:
                self._picture = self._picture or bytes(unit)
        if not (self._sequence and self._picture):
            raise RenderError(
                "BAD_SEGMENT", "a segment says nothing of its coding; it must be encoded again."
            )
        self._chunks.append((self._end, len(pictures)))
        for units in pictures:
            if any(unit[0] & 31 == IDR_SLICE for unit in units):
                self._keys.append(len(self._sizes) + 1)
            data = b"".join(part for unit in units for part in (pack(">I", len(unit)), unit))
            self._file.write(data)
            self._sizes.append(len(data))
            self._end += len(data)

    def finish(self) -> None:
        """Writes the index. After it nothing can be added."""
        head = _box(b"ftyp", b"isom", pack(">I", 0x200), b"isomiso2avc1mp41") + self._movie()
        length = self._end - self._begin
        media = (
            pack(">I4s", 8 + length, b"mdat")
            if 8 + length < 1 << 32
            else pack(">I4sQ", 1, b"mdat", 16 + length)
        )
        room = self._begin - len(head) - len(media)
        if room < 8:
            raise RenderError(
                "BAD_VIDEO", f"{len(self._sizes)} frames came, more than were said; join it again."
            )
        self._file.seek(0)
        self._file.write(head + pack(">I4s", room, b"free") + bytes(room - 8) + media)
        self._file.flush()

    def _times(self) -> Iterator[int]:
        """When each picture ends, in ticks."""
        return (round((k + 1) * self._frame) for k in range(len(self._sizes)))

    def _movie(self) -> bytes:
        duration = round(len(self._sizes) * self._frame)
        header = _timed(
            b"mvhd",
            0,
            (self._scale, duration),
            pack(">IH10x", 0x10000, 0x100),
            _UNITY,
            bytes(24),
            pack(">I", 2),
        )
        track = _timed(
            b"tkhd",
            3,
            (1, 0, duration),
            bytes(16),
            _UNITY,
            pack(">2I", self._width << 16, self._height << 16),
        )
        media = _box(
            b"mdia",
            _timed(b"mdhd", 0, (self._scale, duration), pack(">HH", 0x55C4, 0)),  # language: undetermined
            _full(b"hdlr", 0, 0, bytes(4), b"vide", bytes(12), b"VideoHandler\0"),
            _box(
                b"minf",
                _full(b"vmhd", 0, 1, bytes(8)),
                _box(b"dinf", _full(b"dref", 0, 0, pack(">I", 1), _full(b"url ", 0, 1))),
                self._tables(),
            ),
        )
        return _box(b"moov", header, _box(b"trak", track, media), self._tags)

    def _tables(self) -> bytes:
        ends = [0, *self._times()]
        durations = [(len(list(run)), ticks) for ticks, run in groupby(b - a for a, b in pairwise(ends))]
        runs, before = [], 0
        for number, (_, count) in enumerate(self._chunks, 1):
            if count != before:
                runs.append(pack(">3I", number, count, 1))
            before = count
        offsets = [at for at, _ in self._chunks]
        size, kind = ("Q", b"co64") if self._end >> 32 else ("I", b"stco")
        return _box(
            b"stbl",
            _full(b"stsd", 0, 0, pack(">I", 1), self._description()),
            _full(b"stts", 0, 0, pack(">I", len(durations)), *(pack(">2I", *entry) for entry in durations)),
            _full(b"stss", 0, 0, pack(f">{1 + len(self._keys)}I", len(self._keys), *self._keys)),
            _full(b"stsc", 0, 0, pack(">I", len(runs)), *runs),
            _full(b"stsz", 0, 0, pack(f">{2 + len(self._sizes)}I", 0, len(self._sizes), *self._sizes)),
            _full(kind, 0, 0, pack(f">I{len(offsets)}{size}", len(offsets), *offsets)),
        )

    def _description(self) -> bytes:
        """The sample description for decoders: the parameter sets, and the colours (BT.709, limited range)."""
        sequence, picture = self._sequence, self._picture
        configuration = [
            pack(">B3sBB", 1, sequence[1:4], 0xFF, 0xE1),
            pack(">H", len(sequence)),
            sequence,
            pack(">BH", 1, len(picture)),
            picture,
        ]
        if sequence[1] in _HIGH_PROFILES:
            configuration.append(bytes([0xFD, 0xF8, 0xF8, 0]))  # 4:2:0, 8 bits, 8 bits, no extensions
        return _box(
            b"avc1",
            bytes(6),
            pack(">H16x2H2I4xH32xHh", 1, self._width, self._height, 0x480000, 0x480000, 1, 24, -1),
            _box(b"avcC", *configuration),
            _box(b"colr", b"nclx", pack(">3HB", 1, 1, 1, 0)),
        )

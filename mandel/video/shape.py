"""Tells a film's container, and by its boxes whether it is a whole mp4 or mov. Nothing is decoded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from struct import error as StructError
from struct import unpack_from
from typing import BinaryIO

_MOST_INDEX = 64 << 20  # bytes of moov: 100,000 frames take some 2 MB
_TO_TABLES = (b"mdia", b"minf", b"stbl", b"stsz")


def container_of(begin: bytes) -> str:
    """The container of a film that begins with these bytes: mp4, mov or mkv."""
    if begin.startswith(b"\x1aE\xdf\xa3"):
        return "mkv"
    return "mov" if begin[4:12] == b"ftypqt  " else "mp4"


def frames_of(file: BinaryIO) -> int | None:
    """The number of pictures in an mp4, of its first track, according to its index.

    None unless the boxes fill the file exactly, and the pictures, and subtitles if any, fill their box.
    """
    try:
        boxes = list(_top(file))
        kinds = [kind for kind, _, _ in boxes]
        if kinds[:1] != [b"ftyp"] or kinds.count(b"moov") != 1 or kinds.count(b"mdat") != 1:
            return None
        places = {kind: (begin, end) for kind, begin, end in boxes}
        begin, end = places[b"moov"]
        if end - begin > _MOST_INDEX:
            return None
        file.seek(begin)
        table = file.read(end - begin)
        tracks = [_samples(track) for track in _children(table, b"trak")]
        begin, end = places[b"mdat"]
        return tracks[0][0] if sum(size for _, size in tracks) == end - begin else None
    except (OSError, StructError, LookupError):
        return None


def _top(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Kind, begin and end of the content of each box. Raises LookupError if the boxes do not fill the file."""
    length, at = os.fstat(file.fileno()).st_size, 0
    while at < length:
        file.seek(at)
        head = file.read(16)
        size, kind = unpack_from(">I4s", head)
        begin = at + 8
        if size == 1:
            (size,), begin = unpack_from(">Q", head, 8), at + 16
        if size < begin - at or at + size > length:
            raise LookupError(kind)
        yield kind, begin, at + size
        at += size


def _samples(track: bytes) -> tuple[int, int]:
    """How many samples a track has, and their bytes. Raises LookupError if the table is not whole."""
    for kind in _TO_TABLES:
        track = _child(track, kind)
    fixed, count = unpack_from(">2I", track, 4)
    if len(track) != 12 + (0 if fixed else 4 * count):
        raise LookupError("stsz")
    return count, fixed * count if fixed else sum(unpack_from(f">{count}I", track, 12))


def _child(data: bytes, wanted: bytes) -> bytes:
    found = next(_children(data, wanted), None)
    if found is None:
        raise LookupError(wanted)
    return found


def _children(data: bytes, wanted: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size, kind = unpack_from(">I4s", data, at)
        if size < 8:
            raise LookupError(wanted)
        if kind == wanted:
            yield data[at + 8 : at + size]
        at += size

"""Finds pictures and NAL units in the bytes of a segment, an H.264 byte stream.

Each picture begins with an access unit delimiter (ITU-T H.264, 7.3.2.4 and
Annex B), which emulation prevention keeps out of everything else.
"""

from __future__ import annotations

from collections.abc import Iterator

from mandel.errors import RenderError

_DELIMITER = b"\x00\x00\x00\x01\x09"
_START = b"\x00\x00\x01"

# nal_unit_type, H.264 table 7-1
IDR_SLICE, SEQUENCE_PARAMETERS, PICTURE_PARAMETERS, ACCESS_UNIT_DELIMITER = 5, 7, 8, 9


def count_frames(segment: bytes) -> int:
    """The number of pictures in a segment.

    Raises:
        RenderError: BAD_SEGMENT when the bytes do not begin with a picture.
    """
    if not segment.startswith(_DELIMITER):
        raise RenderError("BAD_SEGMENT", "a segment does not begin with a picture; it must be encoded again.")
    return segment.count(_DELIMITER)


def picture_bytes(segment: bytes) -> list[int]:
    """The size of each picture of a segment, in bytes."""
    return [len(_DELIMITER) + len(rest) for rest in segment.split(_DELIMITER)[1:]]


def first_picture(segment: bytes) -> bytes:
    """The bytes of a segment before its second picture."""
    end = segment.find(_DELIMITER, 1)
    return segment if end < 0 else segment[:end]


def nal_units(segment: bytes) -> Iterator[tuple[int, memoryview]]:
    """The NAL units of a byte stream, in order: nal_unit_type, and the bytes without start code and padding."""
    whole, start = memoryview(segment), segment.find(_START)
    while start >= 0:
        begin = start + len(_START)
        start = segment.find(_START, begin)
        end = start if start >= 0 else len(segment)
        while end > begin and segment[end - 1] == 0:
            end -= 1  # zeros belong to the next start code; a NAL unit ends with a one bit
        if end > begin:
            yield segment[begin] & 31, whole[begin:end]

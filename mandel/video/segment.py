"""What a segment's bytes say of themselves: pictures of an H.264 byte stream, counted.

Each picture begins with an access unit delimiter (ITU-T H.264, 7.3.2.4 and
Annex B), which emulation prevention keeps out of everything else.
"""

from __future__ import annotations

from mandel.errors import RenderError

_DELIMITER = b"\x00\x00\x00\x01\x09"


def count_frames(segment: bytes) -> int:
    """Pictures in a segment.

    Raises:
        RenderError: BAD_SEGMENT when the bytes do not begin with a picture.
    """
    if not segment.startswith(_DELIMITER):
        raise RenderError("BAD_SEGMENT", "a segment does not begin with a picture; it must be encoded again.")
    return segment.count(_DELIMITER)

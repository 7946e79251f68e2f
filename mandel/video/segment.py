"""What a segment's bytes say of themselves: MPEG-TS packets (ISO/IEC 13818-1), counted."""

from __future__ import annotations

import numpy as np

from mandel.errors import RenderError

PACKET = 188
_SYNC = 0x47
# ffmpeg's muxer gives its first stream this packet id, and each picture a packet
# of the elementary stream of its own.
_VIDEO_PID = 256


def count_frames(segment: bytes) -> int:
    """Pictures in a segment, by counting where they start.

    Raises:
        RenderError: BAD_SEGMENT when the bytes are no whole MPEG-TS packets.
    """
    if len(segment) % PACKET:
        raise RenderError("BAD_SEGMENT", f"a segment of {len(segment)} bytes ends within a packet.")
    packets = np.frombuffer(segment, np.uint8).reshape(-1, PACKET)
    if (packets[:, 0] != _SYNC).any():
        raise RenderError("BAD_SEGMENT", "a segment holds bytes that are no MPEG-TS packets.")
    pid = (packets[:, 1] & 0x1F).astype(np.int32) << 8 | packets[:, 2]
    starts = packets[:, 1] & 0x40 != 0
    return int(np.count_nonzero(starts & (pid == _VIDEO_PID)))

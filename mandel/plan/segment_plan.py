"""How a sequence is cut into segments that are encoded on their own.

Every segment starts with a key frame, so few and long ones make a small file;
but encoding runs beside rendering, one core a segment, so the last ones must
be short or all cores but one wait for it. Hence sizes that shrink towards the
end, a fixed share of what remains (guided self-scheduling, Polychronopoulos
and Kuck, 1987), the same for the same number of frames whatever the cluster.
"""

from __future__ import annotations

from dataclasses import dataclass

_SHARE = 4
_SHORTEST = 6
_LONGEST = 24
_RAW_BYTES = 256 << 20


@dataclass(frozen=True)
class SegmentPlan:
    """Frames ``first`` to ``first + count`` of a sequence."""

    index: int
    first: int
    count: int

    @property
    def frames(self) -> range:
        return range(self.first, self.first + self.count)


def cut(num_frames: int, frame_bytes: int = 0) -> tuple[SegmentPlan, ...]:
    """The segments of a sequence, in order, covering each frame once.

    Args:
        num_frames: length of the sequence.
        frame_bytes: size of a raw frame; a segment's raw frames are held in
            memory together, so large frames make short segments.
    """
    longest = max(1, min(_LONGEST, _RAW_BYTES // max(frame_bytes, 1)))
    shortest = min(_SHORTEST, longest)
    segments: list[SegmentPlan] = []
    first = 0
    while first < num_frames:
        left = num_frames - first
        count = min(max(left // _SHARE, shortest), longest, left)
        if left - count < shortest // 2 and left <= longest:
            count = left  # no segment of a single frame at the end
        segments.append(SegmentPlan(len(segments), first, count))
        first += count
    return tuple(segments)

"""How the frames of a video are cut into segments, which are encoded one by one.

Every segment starts with a key frame, so long segments make a small file. But
each is encoded on one core, beside the rendering. The last segments must be
short, or all other cores wait for one that encodes. So sizes shrink towards the
end: each is a fixed share of the frames that remain (guided self-scheduling,
Polychronopoulos and Kuck, 1987). The cut depends on the number and size of
frames alone, never on the cluster.
"""

from __future__ import annotations

from dataclasses import dataclass

_SHARE = 4
_SHORTEST = 6
LONGEST = 24
_RAW_BYTES = 256 << 20


@dataclass(frozen=True)
class SegmentPlan:
    """Frames ``first`` to ``first + count - 1`` of a video."""

    index: int
    first: int
    count: int

    @property
    def frames(self) -> range:
        return range(self.first, self.first + self.count)


def cut(num_frames: int, frame_bytes: int = 0) -> tuple[SegmentPlan, ...]:
    """The segments of a video, in order. Each frame is in exactly one.

    Args:
        num_frames: frames of the video.
        frame_bytes: size of a raw frame. All raw frames of a segment are held
            in memory at once, so large frames make short segments.
    """
    longest = max(1, min(LONGEST, _RAW_BYTES // max(frame_bytes, 1)))
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

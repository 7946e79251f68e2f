"""Which frames can be encoded, and decoded again for the poster, by the ffmpeg and x264 that come with the program."""

from __future__ import annotations

# x264 takes no longer side.
LONGEST = 16_384
# What ffmpeg lays a decoded picture out in: sides rounded up, a border around them, at most so many bits.
_STEP, _BORDER, _BITS = 128, 128, 2**31 - 1


def encodable(width: int, height: int) -> bool:
    """Whether a frame of so many pixels, both even, can be encoded and decoded.

    ffmpeg demands 8 (w + 128) (h + 128) < 2**31 - 1 of a picture (libavutil's av_image_check_size2). Its encoder asks
    for the sides as they are, its decoder for those that it lays out in memory, rounded up by as much as the CPU's
    widest registers want: 16240x16256 is encoded and cannot be decoded. They are rounded here by the most.
    """
    across, down = (-(-side // _STEP) * _STEP + _BORDER for side in (width, height))
    return max(width, height) <= LONGEST and 8 * across * down < _BITS


def nearest(width: int, height: int) -> tuple[int, int]:
    """The largest encodable frame of the same shape, as nearly as even sides have it."""
    longer = max(width, height)
    for longest in range(min(longer, LONGEST) // 2 * 2, 0, -2):
        across, down = (max(2, round(side * longest / longer / 2) * 2) for side in (width, height))
        if encodable(across, down):
            return across, down
    return 2, 2

"""Which frames can be encoded, and decoded again for the poster, by the ffmpeg and x264 that come with the program."""

from __future__ import annotations

# The longest side that x264 takes, in pixels.
LONGEST = 16_384
# ffmpeg's layout of a decoded picture: sides are rounded up, a border is added, and the bits are limited.
_STEP, _BORDER, _BITS = 128, 128, 2**31 - 1


def encodable(width: int, height: int) -> bool:
    """Whether a frame of ``width`` x ``height`` pixels, both even, can be encoded and decoded.

    ffmpeg demands 8 (w + 128) (h + 128) < 2**31 - 1 of a picture (libavutil's av_image_check_size2). Its encoder
    tests the sides themselves. Its decoder rounds them up first, to suit the CPU's widest registers. So 16240x16256
    can be encoded but not decoded. Here sides are rounded up as far as on any CPU.
    """
    across, down = (-(-side // _STEP) * _STEP + _BORDER for side in (width, height))
    return max(width, height) <= LONGEST and 8 * across * down < _BITS


def nearest(width: int, height: int) -> tuple[int, int]:
    """Sides of the largest encodable frame of the same shape, or nearly the same, as sides must be even."""
    longer = max(width, height)
    for longest in range(min(longer, LONGEST) // 2 * 2, 0, -2):
        across, down = (max(2, round(side * longest / longer / 2) * 2) for side in (width, height))
        if encodable(across, down):
            return across, down
    return 2, 2

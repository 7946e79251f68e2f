"""How the bytes of a picture lie in its uint8 array."""

from __future__ import annotations

from mandel.errors import RenderError

RGB = "rgb"  # (H, W, 3)
RGB10 = "rgb10"  # (H, W, 4): a little-endian word for each pixel, ten bits each of red (lowest), green, blue
YUV420 = "yuv420"  # (H * 3 / 2, W): planes Y, Cb, Cr of BT.709, limited range
LAYOUTS = (RGB, RGB10, YUV420)


def shape(width: int, height: int, layout: str) -> tuple[int, ...]:
    """Shape of a picture's array.

    Raises:
        RenderError: ODD_SIZE: yuv420 halves both sides; BAD_LAYOUT.
    """
    if layout in (RGB, RGB10):
        return (height, width, 3 if layout == RGB else 4)
    if layout != YUV420:
        raise RenderError("BAD_LAYOUT", f"layout {layout!r} is not known; use one of {', '.join(LAYOUTS)}.")
    if width % 2 or height % 2:
        raise RenderError(
            "ODD_SIZE", f"a yuv420 picture needs even sides, not {width}x{height}; add a pixel or use rgb."
        )
    return (height * 3 // 2, width)

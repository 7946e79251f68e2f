"""Memory that frames and strips take. Refuses zooms that do not fit, and says what would fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mandel.errors import PayloadError
from mandel.plan.strip_plan import StripPlan, most_texels
from mandel.plan.zoom import Zoom

_DENSITIES = (4, 3.5, 3, 2.5, 2, 1.5, 1.1, 1, 0.9, 0.8, 0.7, 0.6, 0.5)
_SMALLER = 0.9
# Bytes that a process takes to render or encode a frame: a constant, and for each pixel (docs/resilience.md).
_PROCESS, _PIXEL = 512 << 20, 8


def frame_bytes(width: int, height: int) -> int:
    """The most bytes of memory that one worker takes to render or to encode a frame."""
    return _PROCESS + _PIXEL * width * height


def check_frame(width: int, height: int, most: int) -> None:
    """Refuses frames that take more than ``most`` bytes of memory to make.

    Raises:
        PayloadError: JOB_TOO_BIG.
    """
    if (need := frame_bytes(width, height)) <= most:
        return
    pixels = max(most - _PROCESS, 0) // _PIXEL
    share = min(1.0, (pixels / (width * height)) ** 0.5)
    across, down = (int(side * share) // 2 * 2 for side in (width, height))
    allowed = (
        f"frames of {across}x{down} fit" if min(across, down) >= 2 else "that is too little for any frame"
    )
    raise PayloadError(
        "JOB_TOO_BIG",
        f"a frame of {width}x{height} pixels takes {need >> 20} MiB of memory to make; the largest machine "
        f"of the cluster has {most >> 20} MiB for it: {allowed}",
        field="frame_width",
    )


def check_held(zoom: Zoom, density: float, most: int, held: int | None = None) -> None:
    """Refuses a zoom whose strips take more than ``most`` bytes at a time.

    Args:
        held: the bytes that the strips take; None: compute them from the zoom's own map.

    Raises:
        PayloadError: JOB_TOO_BIG.
    """

    def fits(zoom: Zoom, density: float) -> bool:
        return most_texels(zoom, density) < 2**31 and StripPlan(zoom, density).held_bytes() <= most

    if held is None:
        held = StripPlan(zoom, density).held_bytes()
    if held > most:
        raise _refusal(
            f"the strips that its frames are made from take {held >> 20} MiB at a time; the cluster's object "
            f"store holds {most >> 20} MiB",
            zoom,
            density,
            fits,
        )


def _refusal(what: str, zoom: Zoom, density: float, fits: Callable[[Zoom, float], bool]) -> PayloadError:
    ways = []
    less = next((d for d in _DENSITIES if d < density and fits(zoom, d)), None)
    if less is not None:
        ways.append(f"strip_density {less}")
    smaller = zoom
    while min(smaller.width, smaller.height) > 2 or max(smaller.width, smaller.height) > 64:
        width, height = (max(2, int(side * _SMALLER) // 2 * 2) for side in (smaller.width, smaller.height))
        smaller = replace(smaller, width=width, height=height)
        if fits(smaller, density):
            ways.append(f"frames of {width}x{height}")
            break
    ways.append('sampling "exact"')
    return PayloadError(
        "JOB_TOO_BIG", f"{what}. What can be had: {', or '.join(ways)}", field="strip_density", limit=less
    )

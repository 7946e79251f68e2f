"""How a zoom moves in time: which share of the way lies behind each frame."""

from __future__ import annotations

import math


def eased(time: float, start: float, end: float | None = None) -> float:
    """The share of the way gone at a share of the time; both run from 0 to 1.

    The speed rises as a raised cosine, stays constant, and falls in the same way.
    So neither speed nor acceleration jumps.

    Args:
        start, end: shares of the time spent speeding up and slowing down, together 1 at most; 0 is no ramp. Without
            ``end``, ``start`` is of both together.
    """
    if end is None:
        start = end = start / 2
    if (time > 0.5 and time >= start) or time > 1 - end:
        return 1 - eased(1 - time, end, start)
    whole = 1 - (start + end) / 2
    if time >= start:
        return (time - start / 2) / whole
    return (time - start / math.pi * math.sin(math.pi * time / start)) / 2 / whole

"""How a zoom moves in time: the share of the way that lies behind each frame."""

from __future__ import annotations

import math


def eased(time: float, easing: float) -> float:
    """The share of the way gone at a share of the time; both run from 0 to 1.

    The speed rises as a raised cosine, stays constant, and falls in the same way.
    So neither speed nor acceleration jumps.

    Args:
        easing: 0 to 1, the share of the time spent speeding up and slowing
            down together; 0 is constant speed.
    """
    ramp = easing / 2
    if time > 0.5:
        return 1 - eased(1 - time, easing)
    if time >= ramp:
        return (time - ramp / 2) / (1 - ramp)
    return (time - ramp / math.pi * math.sin(math.pi * time / ramp)) / 2 / (1 - ramp)

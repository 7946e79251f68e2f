"""Units of work: what one task on a worker is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

from mandel.colour.look import Look
from mandel.plan.view import View


@dataclass(frozen=True)
class FrameUnit:
    """Render one frame to planar YUV 4:2:0.

    Attributes:
        view: what the frame shows.
        maxiter, bailout: where iterating a sample ends.
        look: how raw samples become colours.
        supersampling: n for n x n samples a pixel.
    """

    view: View
    maxiter: int
    bailout: float
    look: Look
    supersampling: int

    @property
    def picture_bytes(self) -> int:
        """Size of the result."""
        return self.view.width * self.view.height * 3 // 2


@dataclass(frozen=True)
class SegmentUnit:
    """Encode consecutive frames to one segment.

    Attributes:
        width, height: pixels of a frame.
        fps: frames per second, decimal string.
    """

    width: int
    height: int
    fps: str

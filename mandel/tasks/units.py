"""Units of work: what one task on a worker is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

from mandel.colour.style import ColourStyle
from mandel.plan.blocks import Block
from mandel.plan.picture import YUV420
from mandel.plan.strip_plan import Layout, Rows
from mandel.plan.view import View
from mandel.video.coding import DEFAULT, Coding

# How a strip's raw samples begin as bytes: counts and fractions alone, or slopes and distances too.
RAW_PLAIN, RAW_SHADED = b"mandel\0\1", b"mandel\0\2"


@dataclass(frozen=True)
class FrameUnit:
    """Render one frame.

    Attributes:
        view: what the frame shows.
        maxiter, bailout: where iterating a sample ends.
        style: how raw samples become colours.
        supersampling: n for n x n samples a pixel.
        adaptive: n x n only for pixels that differ from a neighbour.
        layout: of the picture's bytes, as plan/picture.py has them.
    """

    view: View
    maxiter: int
    bailout: float
    style: ColourStyle
    supersampling: int
    adaptive: bool = False
    layout: str = YUV420


@dataclass(frozen=True)
class SegmentUnit:
    """Encode consecutive frames to one segment.

    Attributes:
        width, height: pixels of a frame.
        fps: frames per second, a decimal string or a quotient of whole numbers.
        coding: how they are encoded.
    """

    width: int
    height: int
    fps: str
    coding: Coding = DEFAULT


@dataclass(frozen=True)
class LimitUnit:
    """Find the iteration limit that a view needs.

    Attributes:
        given: the limit, if it is not to be found.
        counts_alone: how the counts of its own samples are distributed is wanted, and no limit for others.
    """

    view: View
    given: int | None = None
    counts_alone: bool = False


@dataclass(frozen=True)
class ReferenceUnit:
    """Compute the reference orbit of a point.

    Attributes:
        re, im: the point, decimal strings.
        bits: bits after the binary point.
        limit: the most iterations.
        radius, gives_up: as ``reference_orbit`` takes them.
    """

    re: str
    im: str
    bits: int
    limit: int
    radius: str | None = None
    gives_up: bool = False


@dataclass(frozen=True)
class StripUnit:
    """Make a strip of the exponential map, all its levels.

    Attributes:
        re, im: the centre, decimal strings.
        layout: how the levels lie in the resulting uint32 array.
        blocks: the samples to iterate.
        maxiter, bailout, style: as for a frame.
        pace: seconds of iterating a sample, from which on the raw samples are handed on as well; 0: always.
    """

    re: str
    im: str
    layout: Layout
    blocks: tuple[Block, ...]
    maxiter: int
    bailout: float
    style: ColourStyle
    pace: float


@dataclass(frozen=True)
class RepaintUnit:
    """Make a strip, all its levels, out of raw samples, which are of level ``base``."""

    layout: Layout
    base: int
    style: ColourStyle


@dataclass(frozen=True)
class CostsUnit:
    """Measure what samples of some views take.

    Attributes:
        views, maxiters: the views, and where iterating ends in each.
        places: where each lies, ascending; handed on to ``KeyCost.depth``.
        orbits: the input that is each one's reference orbit, if it needs one.
        bailout, style, supersampling: as for a frame.
        fps, coding: of the film, if it is to be measured what its pixels take, encoded; else None.
        encoded_supersampling: as ``supersampling``, of what is encoded.
        step: by this factor frames that follow each other differ in delta, 1 to 2: others have little in common.
        inwards: whether the film goes from larger deltas to smaller ones.
        enough: seconds that samples of a view must take to tell what they take.
    """

    views: tuple[View, ...]
    maxiters: tuple[int, ...]
    places: tuple[float, ...]
    orbits: tuple[int | None, ...]
    bailout: float
    style: ColourStyle
    supersampling: int
    fps: str = "25"
    coding: Coding | None = None
    encoded_supersampling: int = 1
    step: float = 1.0
    inwards: bool = True
    enough: float = 1e-3


@dataclass(frozen=True)
class MipsUnit:
    """Keep the levels of a strip from ``level`` on, as an array of their own."""

    layout: Layout
    level: int


@dataclass(frozen=True)
class Part:
    """An input of a frame: some levels of a strip.

    Attributes:
        strip: which one.
        layout: how the array is laid out.
        levels: those to take out of it.
    """

    strip: int
    layout: Layout
    levels: range

    def offset(self, level: int) -> int:
        """Elements before a level."""
        return self.layout.offset(level)


@dataclass(frozen=True)
class ResampleUnit:
    """Make one frame out of strips.

    Attributes:
        width, height: pixels.
        around, rows: the strips' samples along a circle and rows, level 0.
        origin: the row at one pixel from the centre.
        column: the column that lies to the right of the centre.
        first: the first strip that is seen.
        seen: the rows that are seen of each level.
        parts: what the inputs are, in order.
        strips: names the strips: those of equal name, number and layout are equal.
        layout: of the picture's bytes, as plan/picture.py has them.
        aside: pixels from the strips' centre to the frame's, right and up.
    """

    width: int
    height: int
    around: int
    rows: int
    origin: float
    column: float
    first: int
    seen: tuple[Rows, ...]
    parts: tuple[Part, ...]
    strips: str
    layout: str = YUV420
    aside: complex = 0j


Unit = FrameUnit | LimitUnit | CostsUnit | ReferenceUnit | StripUnit | RepaintUnit | MipsUnit | ResampleUnit
"""What a recipe asks of a task."""

"""The exponential map of a zoom: strips that all its frames share.

Rings about the centre are the rows of one long picture: column u, row v lies at
``centre + R * exp(2*pi*(-v + 1j*u) / around)``. The map is conformal and a zoom
only shifts it along v, so each place is iterated once, whatever the number of
frames. The map is cut into strips of ``rows`` rows. Level l of a strip averages
2**l x 2**l of its samples. A frame shows rings near its corner at level 0, and
rings k octaves further in at about level k, so it needs few bytes of most
strips. Levels below ``SPLIT`` have most of the bytes, and a frame shows them
only in its outer octaves. So they are kept apart from the others.

Samples lie at half-integer u and v, so level l of the map is the map with
``around / 2**l`` columns. A strip that no frame shows at level 0 is iterated at
the finest level that a frame shows.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import lru_cache

from mandel.plan.arithmetic import log2_of
from mandel.plan.exponential_map import MARGIN, ExponentialMap, corner, outermost
from mandel.plan.grid import POLAR, Grid
from mandel.plan.zoom import Zoom

# Levels from this one on (the *mips*) are handed to frames apart from the finer ones.
SPLIT = 2
# A pixel is made from TAPS x TAPS texels of one level: the level that has FINEST to
# 2 * FINEST texels along the pixel's side. docs/sampling.md has the measurements.
TAPS = 4
FINEST = 2.0
# Distance in texels from a pixel's centre to the farthest texel that counts.
_REACH = 4
# Tolerance for the radii at which levels change: kernels compute them in single precision.
_SLACK = 1e-3
_MATH = Context(prec=60, Emax=10**9, Emin=-(10**9))
_SCALE = Context(prec=40, Emax=10**9, Emin=-(10**9))


def level_at_one_pixel(around: int) -> float:
    """The level of a pixel one pixel from the centre. A pixel r pixels away has this less log2(r), rounded down."""
    return math.log2(around / (2 * math.pi) / FINEST)


@dataclass(frozen=True)
class Rows:
    """Rows ``first`` to ``last``, both included, of one level of the whole map."""

    level: int
    first: int
    last: int


@dataclass(frozen=True)
class Layout:
    """Where the levels of a strip lie in one flat array: finest first, each row by row.

    Attributes:
        around: columns of level 0.
        rows: rows of level 0 in a strip; a power of two.
        finest: the first level that the array holds.
    """

    around: int
    rows: int
    finest: int

    @property
    def coarsest(self) -> int:
        """The last level, one row."""
        return self.rows.bit_length() - 1

    def shape(self, level: int) -> tuple[int, int]:
        """Rows and columns of a level."""
        return self.rows >> level, self.around >> level

    def offset(self, level: int) -> int:
        """Elements before a level."""
        return sum(math.prod(self.shape(k)) for k in range(self.finest, level))

    @property
    def size(self) -> int:
        """Elements of the array."""
        return self.offset(self.coarsest + 1)


class StripPlan:
    """Which strips of a map a zoom's frames show.

    Args:
        zoom: the frames.
        density: samples along a pixel's side at a frame's corner; further in there are more.
        map: the map of another zoom about the same point, to be used instead of the zoom's own.
        kept: strips that exist already: strip number to the finest level of its samples.
        cropped: iterate only samples that a frame shows. False: full circles, as larger frames show more.
        coarser: how many levels coarser than these frames need a kept strip may be.

    Attributes:
        around: samples along a full circle.
        rows: rows of a strip.
        coarsest: the last level.
    """

    def __init__(
        self,
        zoom: Zoom,
        density: float,
        map: ExponentialMap | None = None,
        kept: Mapping[int, int] | None = None,
        cropped: bool = True,
        coarser: int = 0,
    ):
        self.zoom = zoom
        self.map = map or ExponentialMap.of(zoom, density)
        self.corner = corner(zoom)
        self.around, self.rows = self.map.around, self.map.rows
        self.coarsest = self.rows.bit_length() - 1
        self._kept = kept or {}
        self._coarser = coarser
        # Larger frames show smaller radii, too. The largest have a density of 0.5, the lowest allowed.
        self._nearest = math.sqrt(0.5) / (1 if cropped or map else max(2 * density, 1))
        self.cropped = cropped
        self._per_e = self.around / (2 * math.pi)  # rows in which the radius falls by e
        start, end = Decimal(zoom.start_delta), Decimal(zoom.end_delta)
        self._inward = start >= end
        beyond = math.log(2) * (log2_of(self.map.radius) - log2_of(outermost(zoom)))
        self._start = MARGIN + self._per_e * beyond  # the row of the widest frame's corner
        self._top = min(0, math.floor((self._start - MARGIN) / self.rows + 1e-6))  # the first strip
        self._range = abs(log2_of(start) - log2_of(end)) * math.log(2) * self._per_e
        self._spans = [self._span(level) for level in range(self.coarsest + 1)]
        # Each frame asks again about the strips that it needs.
        self._frames = lru_cache(4096)(self._find_frames)
        self.base = lru_cache(1024)(self._find_base)

    def depth(self, frame: int) -> float:
        """Rows between the widest frame's corner and this frame's."""
        share = self.zoom.share(frame)
        return self._range * (share if self._inward else 1 - share)

    def origin(self, frame: int) -> float:
        """The row at one pixel from the centre of ``frame``: v = origin - around/2pi * ln(pixels)."""
        return self._start + self.depth(frame) + self._per_e * math.log(self.corner)

    def column(self, frame: int) -> float:
        """The column of the direction to the right of ``frame``, 0 to ``around``."""
        return self.zoom.angle(frame) * self._per_e % self.around

    # Frames to rows

    def _level_at(self, radius: float) -> float:
        return level_at_one_pixel(self.around) - math.log2(radius)

    def _span(self, level: int) -> tuple[float, float]:
        """The first and last v of pixels that are made from ``level``, in a frame at depth 0."""
        unit = 2.0 ** (level_at_one_pixel(self.around) - level)  # radius within which the level is shown
        outer = self.corner if level == 0 else min(self.corner, unit * (1 + _SLACK))
        inner = self._nearest if level == self.coarsest else max(self._nearest, unit / 2 * (1 - _SLACK))
        at = self._start + self._per_e * math.log(self.corner)
        return at - self._per_e * math.log(outer), at - self._per_e * math.log(inner)

    def _level_rows(self, level: int, depth: float) -> Rows | None:
        low, high = self._spans[level]
        if low > high:
            return None
        first, last = (math.floor((v + depth) / 2**level - 0.5) for v in (low, high))
        top = self._top * (self.rows >> level)
        return Rows(level, max(first - (TAPS // 2 - 1), top), max(last + TAPS // 2, top))

    def seen(self, frame: int) -> list[Rows]:
        """The rows of each level that ``frame`` shows, finest level first; levels it does not show are left out."""
        depth = self.depth(frame)
        rows = (self._level_rows(level, depth) for level in range(self.coarsest + 1))
        return [r for r in rows if r is not None]

    def strips_of(self, rows: Rows) -> range:
        """The strips that hold some rows."""
        height = self.rows >> rows.level
        return range(rows.first // height, rows.last // height + 1)

    def areas(self, frame: int) -> dict[int, float]:
        """The share of the frame's area that each strip covers; the shares add up to 1."""
        shown = [strip for rows in self.seen(frame) for strip in self.strips_of(rows)]
        strips, origin = range(min(shown), max(shown) + 1), self.origin(frame)
        within = [
            _disc_in_rectangle(
                math.exp((origin - strip * self.rows) / self._per_e), self.zoom.width, self.zoom.height
            )
            for strip in strips
        ] + [0.0]
        return {strip: (within[k] - within[k + 1]) / within[0] for k, strip in enumerate(strips)}

    # Strips to frames

    def frames(self, strip: int, levels: range) -> range | None:
        """The frames from the first to the last that show one of ``levels`` of a strip; None if none does."""
        runs = [run for level in levels if (run := self._frames(strip, level))]
        if not runs:
            return None
        return range(min(run.start for run in runs), max(run.stop for run in runs))

    def _find_frames(self, strip: int, level: int) -> range | None:
        """The frames that show ``level`` of a strip. They are consecutive, because deeper frames show deeper rows."""
        count, height = self.zoom.num_frames, self.rows >> level
        if self._level_rows(level, 0.0) is None:
            return None

        def rows(position: int) -> Rows:
            seen = self._level_rows(level, self.depth(position if self._inward else count - 1 - position))
            if seen is None:
                raise ValueError(f"level {level} has rows at no depth")
            return seen

        first = bisect_left(range(count), strip * height, key=lambda p: rows(p).last)
        stop = bisect_left(range(count), (strip + 1) * height, key=lambda p: rows(p).first)
        if first >= stop:
            return None
        return range(first, stop) if self._inward else range(count - stop, count - first)

    def _find_base(self, strip: int) -> int:
        """The level at which a strip's samples lie: the finest that a frame shows, or a finer one that is kept."""
        levels = range(self.coarsest + 1)
        seen = next((level for level in levels if self._frames(strip, level)), self.coarsest)
        return min(seen, self._kept.get(strip, seen))

    def is_kept(self, strip: int) -> bool:
        """Whether the strip's kept samples are fine enough for all frames."""
        return strip in self._kept and self._kept[strip] <= self.base(strip) + self._coarser

    def layout(self, strip: int) -> Layout:
        """The layout of a strip's array."""
        return Layout(self.around, self.rows, self.base(strip))

    def radius(self, strip: int) -> Decimal:
        """Distance of the strip's outer edge from the centre, in units of the plane."""
        rows = Decimal((strip * self.rows - MARGIN) / self._per_e)
        return _SCALE.multiply(self.map.radius, _MATH.exp(-rows))

    def depth_of(self, strip: int) -> float:
        """-log2 of the delta of a frame whose samples take about what those of a strip take.

        A frame's samples lie at 0.55 of its corner's distance on average (of ln), a strip's half an octave in.
        """
        delta = 0.5**0.5 / 0.55 * min(self.zoom.width, self.zoom.height) / self.corner
        return -log2_of(self.radius(strip)) - math.log2(delta)

    @property
    def last(self) -> int:
        """The number of the innermost strip that any frame shows."""
        deepest = self.zoom.num_frames - 1 if self._inward else 0
        return max(self.strips_of(rows)[-1] for rows in self.seen(deepest))

    def whole(self, strip: int) -> Grid:
        """The grid of all samples of a strip, at its base level."""
        rows, around = self.layout(strip).shape(self.base(strip))
        return Grid(
            self.zoom.re,
            self.zoom.im,
            self.radius(strip),
            around,
            rows,
            x0=0.5,
            y0=0.5,
            kind=POLAR,
            around=around,
        )

    def radius_shown(self, strip: int, row: int) -> tuple[float, float] | None:
        """Radius of a row of the strip's base level, and how much farther out samples still count, both in pixels
        of the widest frame that shows the strip. None if frames show the strip in all directions.
        """
        level, frames = self.base(strip), self.frames(strip, range(self.coarsest + 1))
        if self.zoom.is_turned or frames is None:
            return None
        # A direction that is visible at one radius is visible at all smaller ones. In the
        # widest frame the strip has its smallest radius, so that frame shows the most.
        depth = self.depth(frames[0] if self._inward else frames[-1])
        v = strip * self.rows + (row << level) - self._start - depth
        radius = self.corner * math.exp(-v / self._per_e)
        shown = min(max(math.floor(self._level_at(radius)), level, 0), self.coarsest)
        return radius, _REACH * 2**shown * radius / self._per_e

    def held_bytes(self) -> int:
        """The most bytes that strips and their mips take at any time: the strips of one frame and one more.

        A texel takes 4 bytes. Strips that frames show only near their centre are small.
        """
        last = self.zoom.num_frames - 1
        return max(self._shown_bytes(frame) for frame in {0, last // 2, last})

    def _shown_bytes(self, frame: int) -> int:
        shown = [strip for rows in self.seen(frame) for strip in self.strips_of(rows)]
        sizes = [self.layout(strip).size for strip in range(min(shown), max(shown) + 1)]
        return 4 * (sum(sizes) + max(sizes)) * 9 // 8


def most_texels(zoom: Zoom, density: float) -> int:
    """The largest number of texels that one kernel must index: of a whole strip, or of all rows that a frame shows."""
    strips = StripPlan(zoom, density)
    # On CPUs a few columns follow each row once more (resample.cl).
    shown = [
        (rows.last - rows.first + 3, (strips.around >> rows.level) + TAPS - 1) for rows in strips.seen(0)
    ]
    frame = sum(map(math.prod, shown))
    return max(frame, Layout(strips.around, strips.rows, 0).size)


def densest(zoom: Zoom) -> float:
    """The largest density, in hundredths up to 4, at which int32 can index all texels."""
    fit = bisect_left(
        range(50, 401), True, key=lambda hundredths: most_texels(zoom, hundredths / 100) >= 2**31
    )
    return (49 + fit) / 100


def _disc_in_rectangle(radius: float, width: float, height: float) -> float:
    """The area of the intersection of a disc and a rectangle about the same centre."""
    if 2 * radius >= math.hypot(width, height):
        return float(width * height)
    beyond = 0.0
    for side in (width / 2, height / 2):
        if radius > side:
            beyond += 2 * (radius**2 * math.acos(side / radius) - side * math.sqrt(radius**2 - side**2))
    return math.pi * radius**2 - beyond

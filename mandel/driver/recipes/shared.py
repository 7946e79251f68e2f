"""The recipe of shared sampling: frames are resampled from strips of the exponential map."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from mandel.colour.style import ColourStyle
from mandel.driver.files.strip_files import StripFiles
from mandel.driver.recipes.costs import CostViews
from mandel.driver.recipes.iteration_limits import IterationLimits
from mandel.driver.recipes.recipe import (
    COSTS,
    FRAME,
    LEARNED,
    LIMIT,
    RAW,
    REFERENCE,
    STRIP,
    VIDEO_BAILOUT,
    CostClass,
    Iterated,
    SharedInput,
    WorkItem,
)
from mandel.payload.payload import Payload
from mandel.plan.arithmetic import PERTURBED, arithmetic
from mandel.plan.blocks import blocks
from mandel.plan.camera_path import Stretch
from mandel.plan.exponential_map import ExponentialMap
from mandel.plan.iteration_limit import IterationLimit
from mandel.plan.precision import precision
from mandel.plan.strip_plan import SPLIT, Layout, StripPlan
from mandel.tasks.units import MipsUnit, Part, RepaintUnit, ResampleUnit, StripUnit, Unit

MIPS = "mips"
# So many strips at either end of a zoom have other samples than those between them.
_UNLIKE = 12
# Seconds a sample, five times what packing it takes: what is iterated sooner is rather iterated again.
_RESUME_PACE = 2e-7
# Strips of each part of a path have so many numbers; those about its strip 0 are half of them.
NUMBERS = 1 << 20


@dataclass(frozen=True)
class PathPart:
    """A part of a path that is made from strips.

    Attributes:
        map: the strips'.
        limits: of the whole path.
    """

    stretch: Stretch
    map: ExponentialMap
    limits: IterationLimits

    @property
    def at(self) -> int:
        """The number that its strip 0 has in the job."""
        return self.stretch.number * NUMBERS

    @property
    def numbers(self) -> range:
        """Those that its strips have in the job."""
        return range(self.at - NUMBERS // 2, self.at + NUMBERS // 2)


class SharedRecipe:
    """Frames need strips for their outer octaves and mips, a strip's coarse levels, for the inner ones.

    Args:
        files: strips that are there already, and need not be iterated.
        source: whose strips these are, if they are another payload's; its map is used.
        part: the part of a path that is made, if not all. Frames then have the numbers of the part, strips their own.
    """

    def __init__(
        self,
        payload: Payload,
        files: StripFiles | None = None,
        source: Payload | None = None,
        part: PathPart | None = None,
    ):
        self._payload = payload
        self._zoom = part.stretch.zoom if part else payload.zoom
        self._reference_point = part.stretch.reference_point if part else 0
        self.limits = part.limits if part else IterationLimits(payload)
        self._costs = CostViews(payload, self.limits)
        self._name = "-".join(p.job_id() for p in (payload, source) if p)
        self._files, self._at = files or StripFiles("", Path()), 0
        density = float((source or payload).strip_density)
        map = ExponentialMap.of(source.zoom, density) if source and not part else None
        if part:
            map, self._at = part.map, part.at
            self._name += f"-{part.at}"
        self.strips = StripPlan(
            self._zoom,
            density,
            map,
            {
                strip - self._at: base
                for strip, base in self._files.bases.items()
                if not part or strip in part.numbers
            },
            not self._files.keeps,
            _larger(payload, source or payload),
        )
        # Asked for again and again while a job runs; each has a window of frames or strips.
        self._parts_of = lru_cache(512)(self._parts)
        self._is_deep = lru_cache(256)(self._find_deep)
        self._deepest = lru_cache(256)(self._find_deepest)
        self._last_frame = lru_cache(256)(self._find_last_frame)

    def needs(self, item: WorkItem) -> tuple[WorkItem, ...]:
        if item.kind == FRAME:
            return tuple(need for need, _ in self._parts_of(item.index))
        if item.kind == MIPS:
            return (WorkItem(STRIP, item.index),)
        if item.kind == STRIP and self._can_be_read(item.index):
            return self.limits.curve_needs()
        if item.kind == STRIP:
            limits = self.limits.needs(self._deepest(item.index), self._reference_point)
            return (
                (*limits, WorkItem(REFERENCE, self._reference_point)) if self._is_deep(item.index) else limits
            )
        if item.kind == COSTS:
            return self._costs.needs(item.index)
        deep = item.kind == LIMIT and self.limits.is_deep(item.index)
        return (WorkItem(REFERENCE, 0),) if deep else ()

    def unit(self, item: WorkItem) -> Unit:
        strips, p = self.strips, self._payload
        if item.kind == STRIP and self._can_be_read(item.index):
            base = self._files.base(item.index + self._at)
            return RepaintUnit(strips.layout(item.index), base, self._style_at(base))
        if item.kind == STRIP:
            spans = tuple(blocks(strips, item.index))
            maxiter = self.limits.of(self._deepest(item.index), self._reference_point)
            layout, pace = strips.layout(item.index), 0.0 if self._files.keeps else _RESUME_PACE
            style = self._style_at(layout.finest)
            return StripUnit(self._zoom.re, self._zoom.im, layout, spans, maxiter, VIDEO_BAILOUT, style, pace)
        if item.kind in LEARNED:
            return (self.limits if item.kind == LIMIT else self._costs).unit(item.index)
        if item.kind == REFERENCE:
            deepest = strips.whole(strips.last)
            return self.limits.reference(precision(deepest).bits, strips.zoom.deepest())
        if item.kind == MIPS:
            return MipsUnit(strips.layout(item.index), SPLIT)
        seen, parts = strips.seen(item.index), self._parts_of(item.index)
        return ResampleUnit(
            p.frame_width,
            p.frame_height,
            strips.around,
            strips.rows,
            strips.origin(item.index),
            strips.column(item.index),
            min(part.strip for _, part in parts),
            tuple(seen),
            tuple(part for _, part in parts),
            self._name,
            p.coding.layout,
            self._zoom.aside(item.index),
        )

    def cost_class(self, item: WorkItem) -> CostClass:
        iterated = item.kind == STRIP and not self._can_be_read(item.index)
        return CostClass(item.kind, iterated and self._is_deep(item.index))

    def iterated(self) -> Iterated:
        return self._iterated

    @cached_property
    def _iterated(self) -> Iterated:
        strips, last = self.strips, self._zoom.num_frames - 1
        ends = [
            strip for frame in (0, last) for rows in strips.seen(frame) for strip in strips.strips_of(rows)
        ]
        wanted = [it for it in range(min(ends), max(ends) + 1) if not self._can_be_read(it)]
        # Those in the middle of a zoom are all alike.
        alike = set(wanted[_UNLIKE:-_UNLIKE])
        usual = self._samples(wanted[len(wanted) // 2]) if alike else 0
        samples = [usual if strip in alike else self._samples(strip) for strip in wanted]
        octaves = strips.rows / strips.around * 2 * math.pi / math.log(2)
        depths = strips.depth_of(0) + octaves * np.array(wanted, float)
        return Iterated([WorkItem(STRIP, strip) for strip in wanted], depths, np.array(samples, float))

    def _samples(self, strip: int) -> int:
        return sum(block.grid.rows * block.grid.cols for block in blocks(self.strips, strip))

    def learn(self, item: WorkItem, value: IterationLimit) -> None:
        self.limits.learn(item.index, value)

    def given_up(self) -> list[tuple[str, IterationLimit]]:
        return self.limits.given_up()

    def strips_shown(self, frame: int) -> dict[int, float]:
        return self.strips.areas(frame)

    @cached_property
    def held_bytes(self) -> int:
        """A window of strips and their mips: it moves with the frames and does not grow."""
        return self.strips.held_bytes()

    def iterated_for(self, frames: np.ndarray) -> np.ndarray:
        shown = self.strips_shown(int(frames[0])).keys() | self.strips_shown(int(frames[-1])).keys()
        return np.flatnonzero((min(shown) <= self._numbers) & (self._numbers <= max(shown)))

    @cached_property
    def _numbers(self) -> np.ndarray:
        """Those of the strips that are iterated, int."""
        return np.array([item.index for item in self._iterated.items], int)

    def strip_bytes(self, strip: int) -> int:
        return 4 * self.strips.layout(strip).size

    @cached_property
    def shared_input(self) -> SharedInput:
        """A strip. Where easing is fast they follow sooner than half as many frames, but seldom."""
        strips, last = self.strips, self._zoom.num_frames - 1
        passed = abs(strips.origin(last) - strips.origin(0)) / strips.rows
        frames = max(1, int(last / passed / 2)) if passed > 1 else max(1, last)
        return SharedInput(frames, Layout(strips.around, strips.rows, 0).size * 4)

    def last_frame(self, item: WorkItem) -> int:
        # There are hundreds of limits: what is remembered would not hold them and the strips.
        if item.kind in (REFERENCE, LIMIT):
            return self._zoom.num_frames - 1
        return self._last_frame(item)

    def _find_last_frame(self, item: WorkItem) -> int:
        if item.kind == RAW:
            return self._shown(item.index, range(self.strips.coarsest + 1))[-1]
        if item.kind == MIPS or self.strips.base(item.index) >= SPLIT:
            return self._shown(item.index, self._levels[1])[-1]
        fine, coarse = (self.strips.frames(item.index, levels) for levels in self._levels)
        # Its mips are made for the first frame that needs them.
        return max([run[end] for run, end in ((fine, -1), (coarse, 0)) if run is not None])

    def _shown(self, strip: int, levels: range) -> range:
        """The frames that show some of ``levels`` of a strip."""
        if (run := self.strips.frames(strip, levels)) is None:
            raise ValueError(f"no frame shows strip {strip}")
        return run

    def _can_be_read(self, strip: int) -> bool:
        """Whether a strip's samples are there, as fine as frames see them."""
        style = ColourStyle.of(self._payload)
        shaded = style.needs_slope or style.needs_distance
        number = strip + self._at
        if self._files.has(number) and not (self._files.has(number, shaded) and self.strips.is_kept(strip)):
            self._files.forget(number)
        return self._files.has(number)

    def _style_at(self, level: int) -> ColourStyle:
        """The style of samples of a level. Its edge counts these, as wide as the payload's is at a frame's corner."""
        samples = self.strips.around / (2 * math.pi * self.strips.corner) / 2**level
        style = ColourStyle.of(self._payload, self.limits.curve())
        return replace(style, edge=style.edge * samples)

    def _find_deep(self, strip: int) -> bool:
        return arithmetic(self.strips.whole(strip)).engine == PERTURBED

    def _find_deepest(self, strip: int) -> str:
        """Delta of the deepest frame that sees a strip."""
        run = self._shown(strip, range(self.strips.coarsest + 1))
        return min((self._zoom.delta(frame) for frame in (run[0], run[-1])), key=Decimal)

    @property
    def _levels(self) -> tuple[range, range]:
        stop = self.strips.coarsest + 1  # of frames of a few pixels there is only level 0
        return range(min(SPLIT, stop)), range(SPLIT, stop)

    def _parts(self, frame: int) -> tuple[tuple[WorkItem, Part], ...]:
        """The items that a frame needs, and what it takes of each."""
        strips = self.strips
        wanted: dict[WorkItem, Part] = {}
        for rows in strips.seen(frame):
            for strip in strips.strips_of(rows):
                layout = strips.layout(strip)
                if rows.level < SPLIT or layout.finest >= SPLIT:
                    item = WorkItem(STRIP, strip)
                else:
                    item, layout = WorkItem(MIPS, strip), replace(layout, finest=SPLIT)
                levels = range(layout.finest, SPLIT if layout.finest < SPLIT else strips.coarsest + 1)
                wanted[item] = Part(strip, layout, levels)
        return tuple(wanted.items())


def _larger(payload: Payload, source: Payload) -> int:
    """How many levels finer a payload's frames are than those of another.

    By their shorter sides, which deltas are of, but by no more than their corners: there is no less density at
    these, and where another shape alone makes frames finer, strips that are too coarse are iterated anew.
    """
    sides = [min(p.frame_width, p.frame_height) for p in (payload, source)]
    corners = [math.hypot(p.frame_width, p.frame_height) for p in (payload, source)]
    return max(0, math.ceil(math.log2(min(sides[0] / sides[1], corners[0] / corners[1]))))

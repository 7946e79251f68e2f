"""A path through several places: strips where its centre stands on a stop's point or near it, exact frames between."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from mandel.driver.files.strip_files import StripFiles
from mandel.driver.recipes.costs import frame_places
from mandel.driver.recipes.exact import ExactRecipe
from mandel.driver.recipes.recipe import (
    FRAME,
    RAW,
    STRIP,
    CostClass,
    Iterated,
    SharedInput,
    WorkItem,
)
from mandel.driver.recipes.shared import MIPS, NUMBERS, PathPart, SharedRecipe
from mandel.payload.payload import Payload
from mandel.plan.camera_path import CameraPath, Stretch
from mandel.plan.exponential_map import ExponentialMap, outermost
from mandel.plan.iteration_limit import IterationLimit
from mandel.plan.precision import precision
from mandel.tasks.units import ReferenceUnit, Unit

_OF_STRIPS = frozenset({STRIP, MIPS, RAW})


class PathRecipe:
    """Each stretch of the path is made as a shared zoom is, all other frames on their own.

    Stretches about one point have one map, so that a frame at which one ends looks as the next one does.

    Args:
        files: strips that are there already, and need not be iterated.
        source: whose strips these are, if they are another payload's; its maps are used.
    """

    def __init__(self, payload: Payload, files: StripFiles | None = None, source: Payload | None = None):
        if not isinstance(payload.camera, CameraPath):
            raise TypeError("the camera of this payload is a zoom's")
        self._payload, self._camera = payload, payload.camera
        self._exact = ExactRecipe(payload)
        self._stretches = payload.stretches
        self._firsts = [stretch.first for stretch in self._stretches]
        own = _maps(self._stretches, float((source or payload).strip_density))
        # At another rate there may be stretches that the source has not: strips of theirs are on no known map.
        kept = _maps(source.stretches, float(source.strip_density)) if source else own
        self._parts = [
            SharedRecipe(
                payload,
                files if it.number in kept else None,
                source,
                PathPart(it, kept.get(it.number, own[it.number]), self._exact.limits),
            )
            for it in self._stretches
        ]
        self._of_number = {it.number: place for place, it in enumerate(self._stretches)}

    def _within(self, frame: int) -> int | None:
        """The place of the stretch that has a frame, if one has."""
        place = bisect_right(self._firsts, frame) - 1
        return place if place >= 0 and frame in self._stretches[place].frames else None

    def _local(self, item: WorkItem) -> tuple[int, WorkItem] | None:
        """The part that makes an item, and what the item is there; None for what no part makes."""
        if item.kind == FRAME:
            within = self._within(item.index)
            if within is None:
                return None
            place, start = within, self._stretches[within].first
        elif item.kind in _OF_STRIPS:
            place = self._of_number[_number(item.index)]
            start = self._start(place)
        else:
            return None
        return place, WorkItem(item.kind, item.index - start)

    def _whole(self, place: int, item: WorkItem) -> WorkItem:
        """What an item of a part is in the path."""
        return WorkItem(item.kind, item.index + self._start(place)) if item.kind in _OF_STRIPS else item

    def _start(self, place: int) -> int:
        return self._stretches[place].number * NUMBERS

    def needs(self, item: WorkItem) -> tuple[WorkItem, ...]:
        if (local := self._local(item)) is None:
            return self._exact.needs(item)
        place, own = local
        return tuple(self._whole(place, need) for need in self._parts[place].needs(own))

    def unit(self, item: WorkItem) -> Unit:
        if (local := self._local(item)) is not None:
            return self._parts[local[0]].unit(local[1])
        unit = self._exact.unit(item)
        if isinstance(unit, ReferenceUnit):
            strips = [
                part.strips
                for stretch, part in zip(self._stretches, self._parts, strict=True)
                if stretch.reference_point == item.index
            ]
            return replace(unit, bits=max([unit.bits, *(precision(it.whole(it.last)).bits for it in strips)]))
        return unit

    def cost_class(self, item: WorkItem) -> CostClass:
        if (local := self._local(item)) is not None:
            return self._parts[local[0]].cost_class(local[1])
        # Frames that are iterated take far more than those made from strips.
        return CostClass(FRAME, deep=True) if item.kind == FRAME else self._exact.cost_class(item)

    def iterated(self) -> Iterated:
        return self._iterated

    @cached_property
    def _iterated(self) -> Iterated:
        """The strips of one part after another, then the frames."""
        along, whole = frame_places(self._payload), self._exact.iterated()
        items: list[WorkItem] = []
        depths, samples = [], []
        for place, (stretch, part) in enumerate(zip(self._stretches, self._parts, strict=True)):
            found = part.iterated()
            items += [self._whole(place, item) for item in found.items]
            # From the depth of a strip to the place on the way at which the camera is as deep.
            deep = np.array([-self._camera.ln_delta(frame) / math.log(2) for frame in stretch.frames])
            order = np.argsort(deep, kind="stable")
            depths.append(np.interp(found.depths, deep[order], along[stretch.first :][order]))
            samples.append(found.samples)
        items += [whole.items[frame] for frame in self._alone]
        depths.append(whole.depths[self._alone])
        samples.append(whole.samples[self._alone])
        return Iterated(items, np.concatenate(depths), np.concatenate(samples))

    @cached_property
    def _alone(self) -> np.ndarray:
        """The frames that are made on their own."""
        frames = range(self._payload.num_frames)
        return np.array([frame for frame in frames if self._within(frame) is None], int)

    def iterated_for(self, frames: np.ndarray) -> np.ndarray:
        wanted, asked, start = [], np.asarray(frames, int), 0
        for stretch, part in zip(self._stretches, self._parts, strict=True):
            own = asked[(asked >= stretch.first) & (asked < stretch.frames.stop)] - stretch.first
            if len(own):
                wanted.append(start + part.iterated_for(own))
            start += len(part.iterated().items)
        wanted.append(start + np.flatnonzero(np.isin(self._alone, asked)))
        return np.concatenate(wanted)

    def learn(self, item: WorkItem, value: IterationLimit) -> None:
        self._exact.learn(item, value)

    def given_up(self) -> list[tuple[str, IterationLimit]]:
        return self._exact.given_up()

    def strips_shown(self, frame: int) -> dict[int, float]:
        if (place := self._within(frame)) is None:
            return {}
        shown = self._parts[place].strips_shown(frame - self._stretches[place].first)
        return {strip + self._start(place): area for strip, area in shown.items()}

    @property
    def held_bytes(self) -> int:
        """Those of the stretch that holds most: one is left when the next begins."""
        return max((part.held_bytes for part in self._parts), default=0)

    def strip_bytes(self, strip: int) -> int:
        place = self._of_number[_number(strip)]
        return self._parts[place].strip_bytes(strip - self._start(place))

    @cached_property
    def shared_input(self) -> SharedInput:
        inputs = [part.shared_input for part in self._parts]
        if not inputs:
            return self._exact.shared_input
        return SharedInput(min(it.frames for it in inputs), max(it.bytes for it in inputs))

    def last_frame(self, item: WorkItem) -> int:
        if (local := self._local(item)) is None:
            return self._exact.last_frame(item)
        return self._stretches[local[0]].first + self._parts[local[0]].last_frame(local[1])


def _number(strip: int) -> int:
    """The number of the stretch that a strip of the path is of."""
    return (strip + NUMBERS // 2) // NUMBERS


def _maps(stretches: Sequence[Stretch], density: float) -> dict[int, ExponentialMap]:
    """By its number the map of each stretch: that of the widest one about the same point, of frames as large."""
    maps: dict[tuple[int, int], ExponentialMap] = {}
    for it in sorted(stretches, key=lambda it: outermost(it.zoom)):
        maps[it.reference_point, it.zoom.width] = ExponentialMap.of(it.zoom, density)
    return {it.number: maps[it.reference_point, it.zoom.width] for it in stretches}

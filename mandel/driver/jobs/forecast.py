"""Forecasts how long a job takes, and what is left of it.

One model serves both. It adds seconds of iterating by depth, as far as they were measured (plan/cost.py), of each
picture and of encoding. The times of the job's own items correct it as they end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import numpy as np

from mandel.driver.jobs.policy import DEFAULT_POLICY
from mandel.driver.jobs.timings import Timings
from mandel.driver.recipes.costs import frame_places
from mandel.driver.recipes.recipe import FRAME, SEGMENT, STRIP, CostClass, Iterated, Recipe, WorkItem
from mandel.payload.payload import AUTO, Payload
from mandel.plan.cost import COLOURED, PACKED, RESAMPLED, UNKNOWN, Costs
from mandel.plan.iteration_limit import REFERENCE_STEPS
from mandel.plan.segment_plan import cut
from mandel.video import coding

# What ended earlier counts less for the correction, by this factor an item.
_FORGOTTEN = 0.97
# What is expected counts as much as this share of the work. Before anything was measured it is more: a zoom's first
# frames are often cheap.
_BELIEVED, _BELIEVED_UNMEASURED = 0.1, 0.3
# Seconds for each frame that is handed to a worker and back.
_HANDED = 3e-4
# A film is decoded once more, which takes about half of what encoding takes.
_DECODED = 1.5
# CPU seconds of the processes that encode and decode a segment, however few frames it has.
_BEGUN = 0.045
# The truth lies within these factors of what is told, mostly; before anything was measured, within the latter.
_SURE, _UNSURE = (0.75, 1.35), (0.5, 3.0)
_SIZE_SURE = (0.6, 1.6)
# Seconds of one iteration of one sample, at most.
_STEP = 2e-9


class Work(NamedTuple):
    """Worker seconds: of rendering, which GPUs may do, and of encoding, which only CPUs do."""

    rendering: float
    encoding: float


@dataclass
class _Seen:
    """What items of one kind of slot took, and were expected to take."""

    took: float = 0.0
    expected: float = 0.0

    def add(self, took: float, expected: float) -> None:
        self.took = _FORGOTTEN * self.took + took
        self.expected = _FORGOTTEN * self.expected + expected


class Forecast:
    """The work of one job.

    Args:
        recipe: the job's.

    Attributes:
        costs: what was measured of its samples; None before.
    """

    def __init__(self, payload: Payload, recipe: Recipe):
        self._payload, self._recipe = payload, recipe
        self._costs: Costs | None = None
        self._seen: dict[str, _Seen] = {}

    @property
    def costs(self) -> Costs | None:
        return self._costs

    @costs.setter
    def costs(self, costs: Costs) -> None:
        self._costs, self._seen = costs, {}
        for name in ("_expected", "_belief"):
            self.__dict__.pop(name, None)

    @property
    def iterates(self) -> bool:
        """Whether anything is iterated: strips may all be there already."""
        return bool(self._iterated.items)

    @cached_property
    def _iterated(self) -> Iterated:
        return self._recipe.iterated()

    @cached_property
    def _places(self) -> dict[WorkItem, int]:
        return {item: place for place, item in enumerate(self._iterated.items)}

    @cached_property
    def _are_strips(self) -> np.ndarray:
        return np.array([item.kind == STRIP for item in self._iterated.items], bool)

    @cached_property
    def _expected(self) -> np.ndarray:
        """Seconds of each iterated item, its colouring included."""
        seconds = (self._costs or UNKNOWN).seconds(self._iterated.depths, self._iterated.samples)
        return seconds + np.where(
            self._are_strips, PACKED * self._iterated.samples, self._pixels * COLOURED + _HANDED
        )

    @cached_property
    def _belief(self) -> float:
        share = _BELIEVED_UNMEASURED if self._costs is None else _BELIEVED
        return share * float(self._expected.sum())

    @property
    def _pixels(self) -> int:
        return self._payload.frame_width * self._payload.frame_height

    @cached_property
    def _begun(self) -> float:
        """``_BEGUN``, for each frame."""
        frames = self._payload.num_frames
        return _BEGUN * len(cut(frames, self._payload.picture_bytes)) / frames

    def took(self, item: WorkItem, kind: str, seconds: float) -> None:
        """An item took a slot of ``kind`` so long."""
        if (place := self._places.get(item)) is not None:
            self._seen.setdefault(kind, _Seen()).add(seconds, float(self._expected[place]))

    def left(self, frames: np.ndarray, made: Sequence[WorkItem], pictures: int, timings: Timings) -> Work:
        """What is left.

        Args:
            frames: of each frame, whether it is not made; bool (frames,).
            made: strips that are there.
            pictures: how many frames are made and in no segment yet.
        """
        count = int(np.count_nonzero(frames))
        timed = timings.longest_mean(SEGMENT)
        each = timed or self._pixels * coding.SECONDS[self._payload.codec, self._payload.quality]
        encoding = (_DECODED * each + (0.0 if timed else self._begun)) * (count + pictures)
        if not count:
            return Work(0.0, encoding)
        wanted = self._recipe.iterated_for(np.flatnonzero(frames))
        to_make = np.zeros(len(self._expected), bool)
        to_make[wanted] = True
        to_make[[self._places[item] for item in made if item in self._places]] = False
        rendering = float(self._expected[to_make].sum())
        if resampled := count - int(np.count_nonzero(~self._are_strips[wanted])):
            each = timings.mean(CostClass(FRAME), "cpu") or self._pixels * RESAMPLED + _HANDED
            rendering += each * resampled / self.pace("cpu")
        return Work(rendering, encoding)

    @property
    def most(self) -> Work:
        """What all of it takes if every sample reaches the iteration limit; no more, however it was measured."""
        whole = self.left(np.ones(self._payload.num_frames, bool), [], 0, Timings(DEFAULT_POLICY))
        limit = REFERENCE_STEPS if self._payload.maxiter == AUTO else int(self._payload.maxiter)
        return whole._replace(rendering=whole.rendering + float(self._iterated.samples.sum()) * limit * _STEP)

    def pace(self, kind: str) -> float:
        """What an item takes on a slot of ``kind``, against what was expected.

        Cheap items, which often come first, say little of dear ones: on the kind that was measured, what was found
        counts like some work that took as long as expected. Other kinds may be many times as fast, or as slow.
        """
        if (seen := self._seen.get(kind)) is None or not seen.expected:
            return 1.0
        if self._costs is None:
            was_measured = kind == "gpu" or "gpu" not in self._seen
        else:
            was_measured = kind == ("gpu" if self._costs.on_gpu else "cpu")
        believed = self._belief if was_measured else 0.0
        return (seen.took + believed) / (seen.expected + believed)

    def seconds(self, work: Work, slots: Mapping[str, int]) -> tuple[float, float]:
        """The least and the most seconds in which ``slots`` do it."""
        kinds = [kind for kind in slots if slots[kind] and kind in self._seen] or [
            "gpu" if slots.get("gpu") else "cpu"
        ]
        rate = sum(max(slots.get(kind, 1), 1) / self.pace(kind) for kind in kinds)
        cores = max(slots.get("cpu", 1), 1)
        if kinds == ["cpu"]:
            wall = work.rendering / rate + work.encoding / cores
        else:
            wall = max(work.rendering / rate, work.encoding / cores)
        low, high = _SURE if self._costs is not None else _UNSURE
        return low * wall, high * wall

    def worker_seconds(self, work: Work) -> tuple[float, float]:
        """The least and the most seconds of all workers together."""
        whole = work.rendering + work.encoding
        low, high = _SURE if self._costs is not None else _UNSURE
        return low * whole, high * whole

    def film_bytes(self) -> tuple[float, float] | None:
        """The least and the most bytes of the film; None if that was not measured."""
        p, places = self._payload, frame_places(self._payload)
        known = None if self._costs is None else self._costs.pixel_bytes(places)
        if known is None:
            return None
        key, following = known
        # A picture that is held costs next to nothing, unless each picture is encoded on its own.
        held = np.diff(places, prepend=np.inf) == 0
        each = np.where(held & (p.coding.codec not in coding.INTRA), 0.0, following)
        segments = cut(p.num_frames, p.picture_bytes)
        firsts = [segment.first for segment in segments]
        each[firsts] = key[firsts]
        sizes = np.add.reduceat(each, firsts) * self._pixels
        if (ceiling := float(p.coding.max_bitrate) * 1e6 / 8) > 0:
            # A segment may fill the decoder's buffer, of a second, besides.
            seconds = np.array([segment.count for segment in segments]) / float(Fraction(p.fps))
            sizes = np.minimum(sizes, ceiling * (seconds + 1))
        low, high = _SIZE_SURE
        return low * float(sizes.sum()), high * float(sizes.sum())

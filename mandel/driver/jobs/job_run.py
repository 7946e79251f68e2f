"""One job that is being rendered: what it is, and how its items become tasks. Bookkeeping only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mandel.driver.files.disk_cache import Cache
from mandel.driver.files.strip_files import StripFiles
from mandel.driver.jobs.attempts import Attempts
from mandel.driver.jobs.findings import Findings
from mandel.driver.jobs.forecast import Forecast, Work
from mandel.driver.jobs.frontier import Frontier, unbounded
from mandel.driver.jobs.policy import DEFAULT_POLICY, SchedulingPolicy
from mandel.driver.jobs.timings import Timings
from mandel.driver.recipes.choose import recipe_of
from mandel.driver.recipes.recipe import COSTS, FRAME, LEARNED, RAW, SEGMENT, STRIP, CostClass, WorkItem
from mandel.driver.recipes.shared import MIPS
from mandel.errors import PayloadError
from mandel.payload.payload import Payload
from mandel.plan.memory_needs import check_frame, check_held, frame_bytes
from mandel.plan.segment_plan import cut
from mandel.tasks.executor import Task
from mandel.tasks.units import CostsUnit, SegmentUnit


class JobRun:
    """Frames to render, products they need, segments to encode.

    Args:
        name: the job's id.
        payload: what was asked for.
        tmp: folder for finished files.
        finished: paths of segments that need not be made again, by index.
        priority: each step up doubles its share of the workers that its client gets.
        cache: where reference orbits are kept between jobs, if anywhere.
        client: for whom it is rendered; clients share the workers evenly.
        strips: those that are on disk already, if any.
        source: whose strips these are, if they are another payload's.
        policy: its scheduler's.
        estimated: only find out what it would take; no frame is made.

    Attributes:
        spent: worker seconds used so far, divided by ``share``; the scheduler serves the job that had least.
        paths: where each durable segment lies, by index.
        unadopted: segments of which there is a file that is not durable yet.
        strips: those that are on disk.
        findings: what people should know of its frames.
        attempts: what failed, and where.
        timings: seconds per item.
        forecast: what it takes.
        frontier: what can start now.
        is_known: whether it is known what of it lies on the disk. Before, nothing of it begins.
        since: when its scheduler took it on.
    """

    def __init__(  # noqa: PLR0913
        self,
        name: str,
        payload: Payload,
        tmp: Path,
        finished: dict[int, Path],
        priority: int = 0,
        cache: Cache | None = None,
        client: str = "",
        strips: StripFiles | None = None,
        source: Payload | None = None,
        policy: SchedulingPolicy = DEFAULT_POLICY,
        estimated: bool = False,
    ):
        self.name = name
        self.client = client
        self.cache = cache
        self.payload = payload
        self.tmp = tmp
        self.policy = policy
        self.frame_bytes = payload.picture_bytes
        self.segments = cut(payload.num_frames, self.frame_bytes)
        self.paths = dict(finished)
        self.unadopted: set[int] = set()
        self.set_priority(priority)
        self.spent = 0.0
        self.strips = strips or StripFiles(name, tmp, keeps=payload.keep_strips)
        self._recipe = recipe_of(payload, self.strips, source)
        self.findings = Findings(payload, self._recipe)
        self.attempts = Attempts(policy)
        self.timings = Timings(policy)
        self.forecast = Forecast(payload, self._recipe)
        self.estimated = estimated
        self.is_known = not self.strips.any_found and (estimated or cache is None)
        self.since = 0.0
        self._used = 0.0  # worker seconds
        kept = range(len(self.segments)) if estimated else finished
        self.frontier = Frontier(self.segments, self.frame_bytes, self._recipe, kept, policy)
        self._is_measured = int(np.count_nonzero(self.frontier.is_to_make)) < 2  # or is not worth it
        if estimated:
            self._measure(0)

    def set_priority(self, priority: int) -> None:
        """What is used from now on counts by the new share."""
        self.share = 2.0**priority

    def refusal(self, store: int, nodes: Iterable[dict[str, Any]]) -> PayloadError | None:
        """Why it cannot be made in an object store of so many bytes, on these nodes."""
        p, memory = self.payload, [node["resources"].get("memory", 0) for node in nodes]
        try:
            if any(memory):  # else it is not known
                check_frame(p.frame_width, p.frame_height, int(max(memory)))
            for zoom in p.shared_zooms:
                check_held(zoom, float(p.strip_density), store, self._recipe.held_bytes)
        except PayloadError as error:
            return error
        return None

    @property
    def held_bytes(self) -> int:
        """The most that what frames are made from takes at any time."""
        return self._recipe.held_bytes + self.frontier.prefetched_bytes

    def cost_class(self, item: WorkItem) -> CostClass:
        """With which other items' times those of ``item`` are compared."""
        return self._recipe.cost_class(item)

    def record_seconds(self, item: WorkItem, kind: str, seconds: float) -> None:
        """An item was made on a slot of ``kind``."""
        self._used += seconds if item.kind != COSTS else 0.0
        if item.kind == SEGMENT:
            seconds /= self.segments[item.index].count
        elif item.kind in (FRAME, STRIP):
            self.forecast.took(item, kind, seconds)
        self.timings.record(self.cost_class(item), kind, seconds)
        todo = self.frontier.frames_left
        # The first frame comes before what measures.
        due = self.frontier.is_begun and self._used > self.policy.forecast_seconds
        if due and not self._is_measured and 10 * todo > self._frames:
            self._is_measured = True
            if self.forecast.iterates:
                self._measure(int(self.frontier.is_to_make.argmax()))

    def _measure(self, first: int) -> None:
        self.frontier.want(WorkItem(COSTS, first))

    @property
    def work_left(self) -> Work:
        """What is to be done until all segments are there."""
        frontier = self.frontier
        frames = np.ones(self._frames, bool) if self.estimated else frontier.is_to_make
        made = frontier.made((STRIP, MIPS))
        return self.forecast.left(frames, made, len(frontier.pictures()), self.timings)

    @property
    def is_under_way(self) -> bool:
        """Whether any of its tasks has ended."""
        return self._used > 0

    def estimate(self, slots: Mapping[str, int]) -> dict[str, Any]:
        """The fields of an event Estimated: what all of it would take on ``slots``.

        If that was not measured, the most is a bound: every sample reaches the iteration limit.
        """
        work = self.work_left
        most = work if self.forecast.costs is not None else self.forecast.most
        learning = self._used
        seconds = self.forecast.seconds(work, slots)[0], self.forecast.seconds(most, slots)[1]
        cpu_seconds = self.forecast.worker_seconds(work)[0], self.forecast.worker_seconds(most)[1]
        size = self.forecast.film_bytes()
        return {
            "seconds": [round(learning + it, 1) for it in seconds],
            "cpu_seconds": [round(learning + it, 1) for it in cpu_seconds],
            "bytes": None if size is None else [round(it) for it in size],
            "rendering": round(work.rendering, 1),
            "encoding": round(work.encoding, 1),
            "slots": {kind: count for kind, count in slots.items() if count},
        }

    @property
    def _frames(self) -> int:
        return self.payload.num_frames

    def next(
        self,
        kind: str,
        left_to_others: frozenset[CostClass] = frozenset(),
        room: Callable[[], float] = unbounded,
        ahead: int | None = None,
    ) -> tuple[WorkItem, Task] | None:
        """The next task that can start now on a slot of ``kind``, or None; it counts as handed out.

        Args:
            left_to_others: cost classes of items that are left to other slots.
            room: tells the bytes that the pictures of a segment to be begun may take.
            ahead: only for so many of the next frames.
        """
        item = self.frontier.next(left_to_others, room, ahead)
        return None if item is None else (item, self._task(item, kind))

    def ended(self, item: WorkItem, handle: Any) -> list[tuple[WorkItem, Task]]:
        """Notes that ``item`` was made; what can be encoded now."""
        if item.kind == SEGMENT:
            self.findings.forget(self.segments[item.index].frames)
        segment = self.frontier.ended(item, handle)
        return [] if segment is None else [(segment, self._encoding(segment))]

    def failed(self, item: WorkItem, lost: bool) -> None:
        """Puts ``item`` back; if something was ``lost``, what it was made from as well."""
        self.frontier.put_back(item)
        if item.kind == SEGMENT:
            self.unadopted.discard(item.index)
        if item.kind == STRIP and not lost:
            self.strips.forget(item.index)
        if lost and item.kind != SEGMENT:
            self.frontier.lost_inputs(item)

    def adopted(self, index: int, path: Path) -> list[int]:
        """A segment is durable at ``path``; strips on disk that no frame needs any more."""
        self.paths[index] = path
        self.unadopted.discard(index)
        open_ones = (s.first for s in self.segments if s.index not in self.paths)
        first = min(open_ones, default=self.payload.num_frames)
        return self.strips.unneeded(first, lambda strip: self._recipe.last_frame(WorkItem(RAW, strip)))

    def found(self, item: WorkItem, facts: dict[str, Any] | None) -> None:
        """Notes what people should know of a frame or strip that was made, if its task told."""
        if facts is not None:
            (self.findings.frame if item.kind == FRAME else self.findings.strip)(item.index, facts)

    def learn(self, item: WorkItem, value: Any) -> None:
        """Tells the recipe the value of an item that it wants to know."""
        if item.kind == COSTS:
            self.forecast.costs = value
        else:
            self._recipe.learn(item, value)

    def _task(self, item: WorkItem, kind: str) -> Task:
        """The task that makes ``item``, whose needs are there. That of a RepaintUnit lacks the strip's samples."""
        needs, unit = self._recipe.needs(item), self._recipe.unit(item)
        inputs: tuple[Any, ...] = tuple(
            self.frontier.handle(need) for need in needs if need.kind not in LEARNED
        )
        if self.estimated and isinstance(unit, CostsUnit):
            unit = replace(unit, fps=self.payload.fps, coding=self.payload.coding, enough=5e-3)
        memory = self._memory if item.kind == FRAME else 0
        return Task(item.kind, unit, inputs, self._label(item), kind, memory=memory)

    def _encoding(self, item: WorkItem) -> Task:
        """The task that encodes a segment, whose frames are there."""
        p = self.payload
        unit = SegmentUnit(p.frame_width, p.frame_height, p.fps, p.coding)
        frames = self.segments[item.index].frames
        inputs = tuple(self.frontier.handle(WorkItem(FRAME, frame)) for frame in frames)
        return Task(SEGMENT, unit, inputs, label=self._label(item), memory=self._memory)

    @property
    def _memory(self) -> int:
        """What a frame's tasks ask for beforehand, where it is more than cores usually have."""
        need = frame_bytes(self.payload.frame_width, self.payload.frame_height)
        return need if need > self.policy.large_task_bytes else 0

    def _label(self, item: WorkItem) -> str:
        return f"{self.name[:8]} {item}"

"""One job being rendered: what is still to be made, what is there, what failed. Bookkeeping only."""

from __future__ import annotations

import bisect
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from mandel.driver.files.disk_cache import Cache
from mandel.driver.files.strip_files import StripFiles
from mandel.driver.jobs.findings import Findings
from mandel.driver.recipes.choose import recipe_of
from mandel.driver.recipes.recipe import FRAME, LEARNED, RAW, SEGMENT, STRIP, CostClass, WorkItem
from mandel.errors import PayloadError
from mandel.payload.payload import SHARED, Payload
from mandel.plan.memory_needs import check_frame, check_held, frame_bytes
from mandel.plan.segment_plan import SegmentPlan, cut
from mandel.plan.zoom import Zoom
from mandel.tasks.executor import Task
from mandel.tasks.units import RepaintUnit, SegmentUnit

# Frames ahead of the next one that are looked at one by one; beyond, only what they need is made.
_AHEAD = 64
# Of how many items of a grade the least time tells how fast a slot is.
_RECENT = 16
# Bytes of memory beyond which tasks ask for it.
_LARGE_TASK = 1 << 30


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

    Attributes:
        spent: worker seconds used so far, divided by ``share``; the scheduler serves the job that had least.
        attempts: failed attempts by item; ``losses`` those that were a node's fault.
        failed_on: the kind of slot of an item's last failed attempt.
        blamed: failed attempts in a row, by node.
        recent_seconds: recent seconds per item, of segments per frame, by the item's grade and the kind of slot.
        begun: segments of which a frame was handed out; their memory is spoken for.
        paths: where each durable segment lies, by index.
        strips: those that are on disk.
        findings: what people should know of its frames.
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
    ):
        self.name = name
        self.client = client
        self.cache = cache
        self.payload = payload
        self.tmp = tmp
        self.frame_bytes = payload.picture_bytes
        self.segments = cut(payload.num_frames, self.frame_bytes)
        self.paths = dict(finished)
        self.set_priority(priority)
        self.spent = 0.0
        self.attempts: Counter = Counter()
        self.losses: Counter = Counter()
        self.failed_on: dict[WorkItem, str] = {}
        self.blamed: Counter = Counter()
        self._blamed_at: dict[str, float] = {}
        self.recent_seconds: dict[tuple[CostClass, str], float] = {}
        self._recent: dict[tuple[CostClass, str], deque[float]] = {}
        self._prefetch_positions = range(
            0
        )  # places in the queue, beyond _AHEAD, whose needs are made already
        self._prefetch_bytes = 0  # what may be made ahead of the next frame, beyond its like
        self.begun: set[int] = set()
        self.strips = strips or StripFiles(name, tmp, keeps=payload.keep_strips)
        self._recipe = recipe_of(payload, self.strips, source)
        self.findings = Findings(payload, self._recipe)
        self._firsts = [segment.first for segment in self.segments]
        self._todo = deque(f for s in self.segments if s.index not in finished for f in s.frames)
        self._made: dict[WorkItem, Any] = {}
        self._making: set[WorkItem] = set()
        self._missing = {s.index: s.count for s in self.segments}
        self._first = self._todo[0] if self._todo else 0  # frame that is not made yet
        # Found by ``next``, until something is made or put back: what waits for other items, and with which
        # kinds left alone there is nothing to do.
        self._waiting: set[WorkItem] = set()
        self._idle: set[frozenset[CostClass]] = set()

    def set_priority(self, priority: int) -> None:
        """What is used from now on counts by the new share."""
        self.share = 2.0**priority

    def refusal(self, store: int, nodes: Iterable[dict]) -> PayloadError | None:
        """Why it cannot be made in an object store of so many bytes, on these nodes."""
        p, memory = self.payload, [node["resources"].get("memory", 0) for node in nodes]
        try:
            if any(memory):  # else it is not known
                check_frame(p.frame_width, p.frame_height, int(max(memory)))
            if p.sampling == SHARED:
                check_held(Zoom.of(p), float(p.strip_density), store, self._recipe.held_bytes)
        except PayloadError as error:
            return error
        return None

    @property
    def held_bytes(self) -> int:
        """The most that what frames are made from takes at any time."""
        return self._recipe.held_bytes + len(self._prefetch_positions) * self._recipe.shared_input.bytes

    @property
    def frames_left(self) -> int:
        """Frames not yet handed out."""
        return len(self._todo)

    def cost_class(self, item: WorkItem) -> CostClass:
        """What paces are told apart by."""
        return self._recipe.cost_class(item)

    def seconds_per_item(self, item: WorkItem, kind: str) -> float | None:
        """Seconds that an item takes on a slot of ``kind``, if its like were made there."""
        return self.recent_seconds.get((self.cost_class(item), kind))

    def least_seconds(self, cost_class: CostClass, kind: str) -> float | None:
        """The least seconds that any of the last items of ``cost_class`` took on a slot of ``kind``.

        How fast the slot is, whatever kept some of them waiting.
        """
        return min(
            self._recent.get((cost_class, kind), ()), default=self.recent_seconds.get((cost_class, kind))
        )

    @property
    def next_cost_class(self) -> CostClass:
        """That of the next frame to be handed out."""
        return self.cost_class(WorkItem(FRAME, self._todo[0])) if self._todo else CostClass(FRAME)

    @property
    def reserved_bytes(self) -> int:
        """Bytes of the pictures of all segments begun."""
        return sum(self.segments[index].count for index in self.begun) * self.frame_bytes

    @property
    def is_under_way(self) -> bool:
        """Whether anything of it is there or being made."""
        return bool(self._made or self._making)

    @property
    def needs_ahead(self) -> int:
        """How many of what frames need, and share, are made ahead of the next one."""
        frames = min(self.frames_left, max(_AHEAD, self._prefetch_positions.stop))
        return max(1, frames // self._recipe.shared_input.frames)

    def prefetch(self, needs: int, room: int) -> None:
        """Makes ``needs`` more things ahead than the next frames want, if they take no more than ``room`` bytes."""
        shared_input, self._prefetch_bytes = self._recipe.shared_input, room
        if shared_input.bytes:
            count = min(needs, room // shared_input.bytes)
            further = range(_AHEAD, _AHEAD + count * shared_input.frames, shared_input.frames)
            if further != self._prefetch_positions:
                self._prefetch_positions = further
                self._idle.clear()

    def record_seconds(self, item: WorkItem, kind: str, seconds: float) -> None:
        """An item was made on a slot of ``kind``."""
        if item.kind == SEGMENT:
            seconds /= self.segments[item.index].count
        key = self.cost_class(item), kind
        self.recent_seconds[key] = 0.7 * self.recent_seconds.get(key, seconds) + 0.3 * seconds
        self._recent.setdefault(key, deque(maxlen=_RECENT)).append(seconds)

    def pictures(self) -> list[tuple[int, Any]]:
        """Frames that were made and are in no segment yet, with their handles."""
        return [(item.index, handle) for item, handle in self._made.items() if item.kind == FRAME]

    def next(
        self,
        kind: str,
        left_to_others: frozenset[CostClass] = frozenset(),
        room: Callable[[], float] = lambda: math.inf,
    ) -> tuple[WorkItem, Task] | None:
        """The next task that can start now on a slot of ``kind``, or None; it counts as handed out.

        Args:
            left_to_others: grades of items that are left to other slots.
            room: tells the bytes that the pictures of a segment to be begun may take.
        """
        if left_to_others in self._idle or not self._todo:
            return None
        goes_on = self._fits(self._todo[0], room)  # else only what is begun is ended: that makes room
        near = islice(self._todo, _AHEAD)
        far = (self._todo[place] for place in self._prefetch_positions if place < len(self._todo))
        withheld, first = False, None
        for place, frame in enumerate(chain(near, far)):
            if not goes_on and self._segment_of(frame).index not in self.begun:
                withheld = True
                continue
            item, first = WorkItem(FRAME, frame), frame if first is None else first
            while (ready := self._ready(item)) is not None and self.cost_class(ready) not in left_to_others:
                if ready == item and place >= _AHEAD:
                    break  # its turn has not come
                if (ready.kind == STRIP and self._is_full(frame == first)) or (
                    ready == item and not self._fits(frame, room)
                ):
                    withheld = True
                    break
                if (task := self._task(ready, kind)) is None:
                    self._look_again()
                    continue  # a strip on disk was damaged: now it has needs
                if ready == item:
                    self._todo.remove(frame)
                    self.begun.add(self._segment_of(frame).index)
                    self._idle.clear()
                self._making.add(ready)
                return ready, task
        if not withheld:
            self._idle.add(left_to_others)
        return None

    def _fits(self, frame: int, room: Callable[[], float]) -> bool:
        segment = self._segment_of(frame)
        return segment.index in self.begun or segment.count * self.frame_bytes <= room()

    def _is_full(self, is_first: bool) -> bool:
        """Whether strips take what they may: frames far apart share next to none. One frame gets its own."""
        held = sum(
            self._recipe.strip_bytes(item.index)
            for item in chain(self._made, self._making)
            if item.kind == STRIP
        )
        if held < self._recipe.held_bytes + self._prefetch_bytes:
            return False
        return not is_first or any(item.kind == FRAME for item in self._making)

    def _look_again(self) -> None:
        """What waited may be ready now."""
        self._waiting.clear()
        self._idle.clear()

    def ended(self, item: WorkItem, handle: Any) -> list[tuple[WorkItem, Task]]:
        """Notes that ``item`` was made; what can be encoded now."""
        self._making.discard(item)
        if item.kind == SEGMENT:
            self._forget(self.segments[item.index])
            self.findings.forget(self.segments[item.index].frames)
            self.begun.discard(item.index)
            return []
        self._made[item] = handle
        if item.kind != FRAME:
            self._look_again()
            return []
        self._drop_unneeded(item.index)
        segment = self._segment_of(item.index)
        self._missing[segment.index] -= 1
        if self._missing[segment.index]:
            return []
        encoding = WorkItem(SEGMENT, segment.index)
        p = self.payload
        unit = SegmentUnit(p.frame_width, p.frame_height, p.fps, p.coding)
        inputs = tuple(self._made[WorkItem(FRAME, f)] for f in segment.frames)
        return [(encoding, Task(SEGMENT, unit, inputs, label=self._label(encoding), memory=self._memory))]

    def failed(self, item: WorkItem, lost: bool) -> None:
        """Puts ``item`` back; if something was ``lost``, what it was made from as well."""
        self.put_back(item)
        if item.kind == SEGMENT:
            return
        if item.kind == STRIP and not lost:
            self.strips.forget(item.index)
        if lost:
            for need in self._recipe.needs(item):
                self._made.pop(need, None)

    def put_back(self, item: WorkItem) -> None:
        """``item`` is to be made after all; a segment from new pictures."""
        self._making.discard(item)
        self._look_again()
        if item.kind == SEGMENT:
            segment = self.segments[item.index]
            self._forget(segment)
            self._missing[segment.index] = segment.count
            self._put_back(segment.frames)
        if item.kind == FRAME:
            self._put_back([item.index])

    def _put_back(self, frames: Iterable[int]) -> None:
        for frame in frames:
            bisect.insort(self._todo, frame)
            self._first = min(self._first, frame)

    def adopted(self, index: int, path: Path) -> list[int]:
        """A segment is durable at ``path``; strips on disk that no frame needs any more."""
        self.paths[index] = path
        open_ones = (s.first for s in self.segments if s.index not in self.paths)
        first = min(open_ones, default=self.payload.num_frames)
        return self.strips.unneeded(first, lambda strip: self._recipe.last_frame(WorkItem(RAW, strip)))

    def is_alone(self, item: WorkItem) -> bool:
        """Whether its task must not share a call: it is no frame, or it may be what a worker dies of."""
        return item.kind != FRAME or bool(self.attempts[item] + self.losses[item])

    def final_attempt_on_other_kind(
        self, item: WorkItem, task: Task, most: int, kinds: Collection[str]
    ) -> Task:
        """The last of ``most`` attempts is made on another kind of slot than the one that failed before it."""
        others = [kind for kind in kinds if kind != task.kind]
        if self.attempts[item] < most - 1 or self.failed_on.get(item) != task.kind or not others:
            return task
        return task if item.kind == SEGMENT else replace(task, kind=others[0])

    def found(self, item: WorkItem, facts: dict | None) -> None:
        """Notes what people should know of a frame or strip that was made, if its task told."""
        if facts is not None:
            (self.findings.frame if item.kind == FRAME else self.findings.strip)(item.index, facts)

    def learn(self, item: WorkItem, value: Any) -> None:
        """Tells the recipe the value of an item that it wants to know."""
        self._recipe.learn(item, value)

    def record_failure(self, node: str) -> None:
        """An attempt failed on ``node``."""
        self.blamed[node] += 1
        self._blamed_at[node] = time.monotonic()

    def blocklist(self, most: int, seconds: float) -> set[str]:
        """Nodes that failed ``most`` attempts in a row, or one within the last ``seconds``."""
        recent = time.monotonic() - seconds
        return {
            n for n, count in self.blamed.items() if count >= most or (count and self._blamed_at[n] > recent)
        }

    def _segment_of(self, frame: int) -> SegmentPlan:
        return self.segments[bisect.bisect_right(self._firsts, frame) - 1]

    def _ready(self, item: WorkItem) -> WorkItem | None:
        """``item``, or the first thing it still needs that can be started now."""
        if item in self._waiting:
            return None
        waiting = False
        for need in self._recipe.needs(item):
            if need in self._made:
                continue
            waiting = True
            if need not in self._making and (ready := self._ready(need)) is not None:
                return ready
        if not waiting:
            return item
        self._waiting.add(item)
        return None

    def _task(self, item: WorkItem, kind: str) -> Task | None:
        """The task that makes ``item``, whose needs are there; None if it was to be read from disk in vain."""
        needs, unit = self._recipe.needs(item), self._recipe.unit(item)
        inputs = tuple(self._made[need] for need in needs if need.kind not in LEARNED)
        if isinstance(unit, RepaintUnit):
            if (raw := self.strips.read(item.index)) is None:
                return None
            inputs = (raw,)
        memory = self._memory if item.kind == FRAME else 0
        return Task(item.kind, unit, inputs, self._label(item), kind, memory=memory)

    @property
    def _memory(self) -> int:
        """What a frame's tasks ask for beforehand, where it is more than cores usually have."""
        need = frame_bytes(self.payload.frame_width, self.payload.frame_height)
        return need if need > _LARGE_TASK else 0

    def _label(self, item: WorkItem) -> str:
        return f"{self.name[:8]} {item}"

    def _forget(self, segment: SegmentPlan) -> None:
        for frame in segment.frames:
            self._made.pop(WorkItem(FRAME, frame), None)

    def _drop_unneeded(self, made: int) -> None:
        """Frees what no frame still to be rendered needs, now that frame ``made`` is there."""
        if made > self._first:
            return  # that one needs it all
        rendering = [item.index for item in self._making if item.kind == FRAME]
        self._first = min([*rendering, *islice(self._todo, 1)], default=self.payload.num_frames)
        gone = [m for m in self._made if m.kind != FRAME and self._recipe.last_frame(m) < self._first]
        for item in gone:
            del self._made[item]

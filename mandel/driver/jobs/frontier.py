"""What of a job can start now: which items are made, which are being made, and what waits for them.

Nothing here knows of tasks, workers or files.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np

from mandel.driver.jobs.policy import SchedulingPolicy
from mandel.driver.recipes.recipe import COSTS, FRAME, SEGMENT, STRIP, CostClass, Recipe, WorkItem
from mandel.plan.segment_plan import SegmentPlan


def unbounded() -> float:
    """Room for everything."""
    return math.inf


class Frontier:
    """The items of one job, with the handles of those that are made and still needed.

    Args:
        segments: all of the job's.
        frame_bytes: bytes of a picture.
        recipe: what each item needs.
        finished: indices of segments that need not be made.

    Attributes:
        is_to_make: of each frame, whether it is not made; bool (frames,).
        is_begun: whether a frame was handed out.
    """

    def __init__(
        self,
        segments: Sequence[SegmentPlan],
        frame_bytes: int,
        recipe: Recipe,
        finished: Collection[int],
        policy: SchedulingPolicy,
    ):
        self._segments, self._frame_bytes, self._recipe, self._policy = segments, frame_bytes, recipe, policy
        self._firsts = [segment.first for segment in segments]
        self._todo = deque(f for s in segments if s.index not in finished for f in s.frames)
        self.is_to_make = np.zeros(segments[-1].first + segments[-1].count, bool)
        self.is_to_make[self._todo] = True
        self._made: dict[WorkItem, Any] = {}
        self._making: set[WorkItem] = set()
        self._missing = {s.index: s.count for s in segments}  # frames of each segment that are not made
        self._begun: set[int] = set()  # segments of which a frame was handed out: their memory is reserved
        self.is_begun = False
        self._beside: WorkItem | None = None  # wanted before the next frame, but no frame needs it
        self._first = self._todo[0] if self._todo else 0  # frame that is not made yet
        # Positions in the queue, beyond the frames ahead, whose needs are made already.
        self._prefetch_positions = range(0)
        self._prefetch_bytes = 0  # that these needs may take
        # What a search has found, until something is made or put back: items that wait for other items,
        # and sets of cost classes without which there is nothing to do.
        self._waiting: set[WorkItem] = set()
        self._idle: set[frozenset[CostClass]] = set()

    @property
    def frames_left(self) -> int:
        """How many frames are still to be handed out."""
        return len(self._todo)

    @property
    def has_more(self) -> bool:
        """Whether anything is left to be handed out, but for segments."""
        return bool(self._todo) or self._beside is not None

    def made(self, kinds: Collection[str]) -> list[WorkItem]:
        """What there is of these kinds."""
        return [item for item in self._made if item.kind in kinds]

    def want(self, item: WorkItem) -> None:
        """``item`` is made once before the next frame, though no frame needs it."""
        self._beside = item
        self._look_again()

    @property
    def is_under_way(self) -> bool:
        """Whether anything is made or being made."""
        return bool(self._made or self._making)

    @property
    def reserved_bytes(self) -> int:
        """Bytes of the pictures of all segments begun."""
        return sum(self._segments[index].count for index in self._begun) * self._frame_bytes

    @property
    def prefetched_bytes(self) -> int:
        """Bytes of what is made ahead of its time."""
        return len(self._prefetch_positions) * self._recipe.shared_input.bytes

    @property
    def needs_ahead(self) -> int:
        """How many shared inputs are made ahead of the next frame."""
        frames = min(self.frames_left, max(self._policy.frames_ahead, self._prefetch_positions.stop))
        return max(1, frames // self._recipe.shared_input.frames)

    def prefetch(self, needs: int, room: int) -> None:
        """Makes ``needs`` more shared inputs ahead than the next frames want, in at most ``room`` bytes."""
        shared_input, self._prefetch_bytes = self._recipe.shared_input, room
        if shared_input.bytes:
            count, ahead = min(needs, room // shared_input.bytes), self._policy.frames_ahead
            positions = range(ahead, ahead + count * shared_input.frames, shared_input.frames)
            if positions != self._prefetch_positions:
                self._prefetch_positions = positions
                self._idle.clear()

    def pictures(self) -> list[tuple[int, Any]]:
        """Frames that are made and in no segment yet, with their handles."""
        return [(item.index, handle) for item, handle in self._made.items() if item.kind == FRAME]

    def handle(self, item: WorkItem) -> Any:
        """That of an item that is made."""
        return self._made[item]

    def next(
        self,
        left_to_others: frozenset[CostClass] = frozenset(),
        room: Callable[[], float] = unbounded,
        most_ahead: int | None = None,
    ) -> WorkItem | None:
        """The next item that can start now, or None. It counts as being made from here on.

        Args:
            left_to_others: cost classes of items that are left to other slots.
            room: tells the bytes that the pictures of a segment to be begun may take.
            most_ahead: only for so many of the next frames, and nothing that none of them needs.
        """
        if (
            self._beside is not None
            and not (most_ahead and self._todo)
            and (ready := self._ready(self._beside)) is not None
            and self._recipe.cost_class(ready) not in left_to_others
        ):
            self._beside = None if ready == self._beside else self._beside
            self._making.add(ready)
            return ready
        if left_to_others in self._idle or not self._todo:
            return None
        ahead = self._policy.frames_ahead
        goes_on = self._fits(self._todo[0], room)  # else only what is begun is ended: that makes room
        near = islice(self._todo, ahead if most_ahead is None else most_ahead)
        positions = self._prefetch_positions if most_ahead is None else ()
        far = (self._todo[place] for place in positions if place < len(self._todo))
        withheld, first = False, None
        for place, frame in enumerate(chain(near, far)):
            if not goes_on and self._segment_of(frame).index not in self._begun:
                withheld = True
                continue
            item, first = WorkItem(FRAME, frame), frame if first is None else first
            ready = self._ready(item)
            if ready is None or self._recipe.cost_class(ready) in left_to_others:
                continue
            if ready == item and place >= ahead:
                continue  # its turn has not come
            if (ready.kind == STRIP and self._is_full(frame == first)) or (
                ready == item and not self._fits(frame, room)
            ):
                withheld = True
                continue
            self._take(ready)
            return ready
        if not withheld and most_ahead is None:
            self._idle.add(left_to_others)
        return None

    def _take(self, item: WorkItem) -> None:
        if item.kind == FRAME:
            self._todo.remove(item.index)
            self._begun.add(self._segment_of(item.index).index)
            self.is_begun = True
            self._idle.clear()
        self._making.add(item)

    def ended(self, item: WorkItem, handle: Any) -> WorkItem | None:
        """``item`` is made; the segment that can be encoded now, if any."""
        self._making.discard(item)
        if item.kind == SEGMENT:
            self._forget_pictures(self._segments[item.index])
            self._begun.discard(item.index)
            return None
        if item.kind == COSTS:
            return None
        self._made[item] = handle
        if item.kind != FRAME:
            self._look_again()
            return None
        self.is_to_make[item.index] = False
        self._drop_unneeded(item.index)
        segment = self._segment_of(item.index)
        self._missing[segment.index] -= 1
        return None if self._missing[segment.index] else WorkItem(SEGMENT, segment.index)

    def give_up(self, item: WorkItem) -> None:
        """``item``, which no frame needs, is not made."""
        self._making.discard(item)

    def put_back(self, item: WorkItem) -> None:
        """``item`` is to be made after all; a segment from new pictures."""
        self._making.discard(item)
        self._look_again()
        if item.kind == COSTS:
            self._beside = item
        if item.kind == SEGMENT:
            segment = self._segments[item.index]
            self._forget_pictures(segment)
            self._missing[segment.index] = segment.count
            self._put_back_frames(segment.frames)
        if item.kind == FRAME:
            self._put_back_frames([item.index])

    def lost_inputs(self, item: WorkItem) -> None:
        """What ``item`` was to be made from may be gone: it is made anew."""
        for need in self._recipe.needs(item):
            self._made.pop(need, None)

    def _put_back_frames(self, frames: Iterable[int]) -> None:
        for frame in frames:
            bisect.insort(self._todo, frame)
            self.is_to_make[frame] = True
            self._first = min(self._first, frame)

    def _segment_of(self, frame: int) -> SegmentPlan:
        return self._segments[bisect.bisect_right(self._firsts, frame) - 1]

    def _fits(self, frame: int, room: Callable[[], float]) -> bool:
        segment = self._segment_of(frame)
        return segment.index in self._begun or segment.count * self._frame_bytes <= room()

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

    def _forget_pictures(self, segment: SegmentPlan) -> None:
        for frame in segment.frames:
            self._made.pop(WorkItem(FRAME, frame), None)

    def _drop_unneeded(self, made: int) -> None:
        """Frees what no frame still to be rendered needs, now that frame ``made`` is there."""
        if made > self._first:
            return  # that one needs it all
        rendering = [item.index for item in self._making if item.kind == FRAME]
        past_the_end = self._segments[-1].first + self._segments[-1].count
        self._first = min([*rendering, *islice(self._todo, 1)], default=past_the_end)
        gone = [m for m in self._made if m.kind != FRAME and self._recipe.last_frame(m) < self._first]
        for item in gone:
            del self._made[item]

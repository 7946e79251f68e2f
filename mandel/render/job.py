"""One job being rendered: which frames and segments are still to do. Bookkeeping only."""

from __future__ import annotations

import bisect
from collections import Counter, deque
from pathlib import Path
from typing import Any

from mandel.colour.look import Look
from mandel.payload import Payload
from mandel.plan.segments import Segment, cut
from mandel.plan.zoom import Zoom
from mandel.render.executor import Task
from mandel.render.unit import FrameUnit, SegmentUnit

# Smooth colouring wants a large radius; 2**10 keeps |z|^2 of the next steps finite.
VIDEO_BAILOUT = 1024.0


class Job:
    """Frames to render, handles of those rendered, segments to encode.

    Args:
        name: the job's id.
        payload: what was asked for.
        tmp: folder for finished files.
        finished: paths of segments that need not be made again, by index.

    Attributes:
        spent: worker seconds used so far; the scheduler serves the job that had least.
        pace: recent seconds per frame, by kind of slot.
        begun: segments of which a frame was handed out; their memory is spoken for.
        paths: where each durable segment lies, by index.
    """

    def __init__(self, name: str, payload: Payload, tmp: Path, finished: dict[int, Path]):
        self.name = name
        self.payload = payload
        self.tmp = tmp
        self.zoom = Zoom.of(payload)
        self.frame_bytes = payload.frame_width * payload.frame_height * 3 // 2
        self.segments = cut(payload.num_frames, self.frame_bytes)
        self._firsts = [segment.first for segment in self.segments]
        self.paths = dict(finished)
        self.todo = deque(f for s in self.segments if s.index not in finished for f in s.frames)
        self.pictures: dict[int, Any] = {}
        self.attempts: Counter = Counter()
        self.blamed: Counter = Counter()
        self.spent = 0.0
        self.pace: dict[str, float] = {}
        self.begun: set[int] = set()
        self._missing = {s.index: s.count for s in self.segments}

    def segment_of(self, frame: int) -> Segment:
        """The segment that ``frame`` belongs to."""
        return self.segments[bisect.bisect_right(self._firsts, frame) - 1]

    def frame_task(self, frame: int, kind: str) -> Task:
        """The task that renders ``frame``."""
        p = self.payload
        unit = FrameUnit(
            self.zoom.view(frame), p.maxiter, VIDEO_BAILOUT, Look(palette=p.palette), p.supersampling
        )
        return Task("frame", unit, label=f"{self.name[:8]} frame {frame}", kind=kind)

    def segment_task(self, segment: Segment) -> Task:
        """The task that encodes ``segment``; all its frames must have been rendered."""
        p = self.payload
        unit = SegmentUnit(p.frame_width, p.frame_height, p.fps)
        inputs = tuple(self.pictures[f] for f in segment.frames)
        return Task("segment", unit, inputs, label=f"{self.name[:8]} segment {segment.index}")

    def rendered(self, frame: int, picture: Any) -> Segment | None:
        """Notes a rendered frame; returns its segment when that is now complete."""
        self.pictures[frame] = picture
        segment = self.segment_of(frame)
        self._missing[segment.index] -= 1
        return segment if self._missing[segment.index] == 0 else None

    def forget(self, segment: Segment) -> None:
        """Drops the pictures of an encoded segment, so that their memory is freed."""
        for frame in segment.frames:
            del self.pictures[frame]

    def again(self, segment: Segment) -> None:
        """Puts all frames of a segment back: some of its pictures were lost."""
        self.forget(segment)
        self._missing[segment.index] = segment.count
        self.todo.extendleft(reversed(segment.frames))

    @property
    def complete(self) -> bool:
        """Whether every segment is durable."""
        return len(self.paths) == len(self.segments)

    def segment_paths(self) -> list[Path]:
        """Every segment's file, in order."""
        return [self.paths[s.index] for s in self.segments]

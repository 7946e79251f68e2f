"""A path of the camera: from frame number to view, by way of some stops.

From stop to stop it follows the optimal curve (zoom_and_pan.py). It slows down and speeds up at each stop as the stop's
easing says. Where it passes a stop without slowing down, the curves on both sides are bent within a short time, so that
it leaves the stop at the speed with which it came: a mean of the two curves' speeds.
"""

from __future__ import annotations

import cmath
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from functools import cached_property
from typing import NamedTuple, Protocol

from mandel.plan.easing import eased
from mandel.plan.view import View
from mandel.plan.zoom import Zoom
from mandel.plan.zoom_and_pan import Curve

_MATH = Context(prec=60, Emax=10**9, Emin=-(10**9))
_SHOWN_DIGITS = Context(prec=40, Emax=10**9, Emin=-(10**9))
# As many as on the way to a delta of 1e-6000. Twenty stops at 1e-20000 would have 300,000: at 70 us each the driver,
# which looks at all of them before it begins a job, would do nothing for anybody for 20 s.
MOST_KEY_TIMES = 5_000
# Length of a curve within which it is bent at a stop that is passed.
_BENT = 1.5
# A bend takes views below their stop's delta, by a tenth at most.
_DIPS = Decimal("0.85")
# Frames whose centre is so near a stop's point, in units of their delta, are made from strips about it: those from
# about 3 octaves below the top of a curve on. Strips show so much more on each side.
_NEAR = 1 / 16
# Changes of ln(delta) below this are rounding errors: the camera stands.
_STANDS = 1e-9


class Asked(Protocol):
    """A stop, as of a payload (payload/stops.py)."""

    @property
    def re(self) -> str: ...
    @property
    def im(self) -> str: ...
    @property
    def delta(self) -> str: ...
    @property
    def rotation(self) -> str: ...
    @property
    def easing(self) -> str: ...


class Motion(NamedTuple):
    """A step, or the speed of one a frame: of the centre in units of delta, of ln(delta), of the angle in radians."""

    centre: complex
    depth: float
    angle: float

    def plus(self, other: Motion) -> Motion:
        return Motion(self.centre + other.centre, self.depth + other.depth, self.angle + other.angle)

    def times(self, factor: float) -> Motion:
        return Motion(self.centre * factor, self.depth * factor, self.angle * factor)


@dataclass(frozen=True)
class _Leg:
    """The way from stop ``number`` to the next one, from frame ``first`` to frame ``last``."""

    number: int
    first: int
    last: int
    curve: Curve
    ramps: tuple[float, float]
    angles: tuple[float, float]

    def share(self, time: float) -> float:
        return eased((time - self.first) / (self.last - self.first), *self.ramps)

    @property
    def pace(self) -> float:
        """The share of the way that a frame takes between the ramps."""
        return 1 / (1 - sum(self.ramps) / 2) / (self.last - self.first)

    def motion(self, at_end: bool) -> Motion:
        """How the camera moves at an end that it passes."""
        speed = self.curve.speed(at_end)
        turn = self.angles[1] - self.angles[0]
        return Motion(speed.centre * self.curve.length, speed.depth * self.curve.length, turn).times(
            self.pace
        )


@dataclass(frozen=True)
class _Bend:
    """What is added to the motion near a stop that is passed.

    Attributes:
        stop: its number.
        frame: when it is passed.
        reach: for so many frames before and after.
        before, after: what the speed at the stop lacks on each side.
    """

    stop: int
    frame: int
    reach: float
    before: Motion
    after: Motion

    def at(self, time: float) -> Motion | None:
        """What is added to the centre, in units of the stop's delta, to ln(delta) and to the angle."""
        since = time - self.frame
        if not -self.reach < since < self.reach:
            return None
        return (self.after if since > 0 else self.before).times(since * (1 - abs(since) / self.reach) ** 2)


class Stretch(NamedTuple):
    """Frames in a row that strips about one point serve: they go all the way in, or all the way out.

    Attributes:
        number: names it; mostly the same if the path is shown at another rate.
        reference_point: of all its frames.
        first: its first frame.
        zoom: these frames.
    """

    number: int
    reference_point: int
    first: int
    zoom: ZoomAlongPath

    @property
    def frames(self) -> range:
        return range(self.first, self.first + self.zoom.num_frames)


class CameraPath:
    """The frames of a path.

    Args:
        stops: at least two.
        frames: those at which the camera reaches and leaves each stop; the first is 0.
        width, height: pixels of every frame.

    Attributes:
        num_frames: at least 1.
    """

    def __init__(self, stops: Sequence[Asked], frames: Sequence[tuple[int, int]], width: int, height: int):
        self._stops, self._frames = stops, frames
        self.width, self.height = width, height
        self.num_frames = frames[-1][1] + 1
        self._legs = [self._leg(number) for number in range(len(stops) - 1)]
        self._reached = [reached for reached, _ in frames]
        self._bends = {number: bend for number in range(1, len(stops) - 1) if (bend := self._bend(number))}

    def _leg(self, number: int) -> _Leg:
        a, b = self._stops[number], self._stops[number + 1]
        return _Leg(
            number,
            self._frames[number][1],
            self._frames[number + 1][0],
            Curve.between((a.re, a.im, a.delta), (b.re, b.im, b.delta)),
            (float(a.easing) / 2, float(b.easing) / 2),
            (math.radians(float(a.rotation)), math.radians(float(b.rotation))),
        )

    def _bend(self, number: int) -> _Bend | None:
        before, after = self._legs[number - 1], self._legs[number]
        spans = [leg.last - leg.first for leg in (before, after)]
        if float(self._stops[number].easing) or before.last < after.first or not all(spans):
            return None
        came, goes = before.motion(at_end=True), after.motion(at_end=False)
        ways = [leg.pace * leg.curve.length for leg in (before, after)]
        reach = min(*spans, _BENT / max(ways) if any(ways) else math.inf) / 2
        # Their mean, in which the slower one counts more, so that the camera never goes back on its way.
        share = ways[0] / sum(ways) if any(ways) else 0.5
        passing = came.times(1 - share).plus(goes.times(share))
        return _Bend(number, after.first, reach, passing.plus(came.times(-1)), passing.plus(goes.times(-1)))

    # Times to views. A time is a frame's number, or lies between two.

    def reference_point(self, time: float) -> int:
        """The stop near whose point the view's centre lies: within about half of its delta.

        Reference points are counted from the last one, so that 0 is the payload's own point. Stops at the same point
        have one reference point, and so share its orbit.
        """
        return self._reference_points[self._place(time)[0]]

    def angle(self, time: float) -> float:
        """How far a view is turned, radians."""
        return self._place(time)[3]

    def way(self, time: float) -> float:
        """How much of the way lies behind the camera; along a plain zoom 1 changes delta by e."""
        number = max(bisect_right(self._reached, time) - 1, 0)
        behind = sum(leg.curve.length for leg in self._legs[:number])
        if time <= self._frames[number][1] or number == len(self._legs):
            return behind
        return behind + self._legs[number].share(time) * self._legs[number].curve.length

    def ln_delta(self, time: float) -> float:
        """ln of a view's extent."""
        stop, _, depth, _ = self._place(time)
        return self._ln_deltas[stop] + depth

    def delta(self, time: float) -> str:
        """Extent of a view along its shorter side, a decimal string."""
        stop, _, depth, _ = self._place(time)
        return self._delta(stop, depth)

    def view(self, time: float) -> View:
        """The view at a time. Its ``re`` and ``im`` are those of its reference point.

        Raises:
            IndexError: no such frame.
        """
        if not 0 <= time < self.num_frames:
            raise IndexError(f"frame {time} of {self.num_frames}")
        stop, centre, depth, angle = self._place(time)
        turn = cmath.rect(1.0, angle) if angle else 1 + 0j
        at, delta = self._stops[stop], self._delta(stop, depth)
        return View(at.re, at.im, delta, self.width, self.height, turn, centre)

    def _delta(self, stop: int, depth: float) -> str:
        own = self._stops[stop].delta
        if depth == 0:
            return own
        return str(_SHOWN_DIGITS.plus(_MATH.multiply(Decimal(own), _MATH.exp(Decimal(depth)))))

    def _place(self, time: float) -> tuple[int, complex, float, float]:
        """Stop; centre from the stop's in units of the view's delta; ln(delta / the stop's); angle."""
        number = max(bisect_right(self._reached, time) - 1, 0)
        if time <= self._frames[number][1] or number == len(self._legs):
            stop, centre, depth, angle = number, 0j, 0.0, math.radians(float(self._stops[number].rotation))
        else:
            leg = self._legs[number]
            share = leg.share(time)
            from_end, centre, depth = leg.curve.at(share)
            stop = number + from_end
            angle = leg.angles[0] + (leg.angles[1] - leg.angles[0]) * share
        for bend in (self._bends.get(number), self._bends.get(number + 1)):
            if bend is not None and (more := bend.at(time)) is not None:
                # From units of the passed stop's delta to units of the view's.
                scale = math.exp(self._ln_deltas[bend.stop] - self._ln_deltas[stop] - depth)
                centre = (centre + more.centre * scale) * math.exp(-more.depth)
                depth, angle = depth + more.depth, angle + more.angle
        return stop, centre, depth, angle

    @cached_property
    def _ln_deltas(self) -> list[float]:
        return [float(_MATH.ln(Decimal(stop.delta))) for stop in self._stops]

    @cached_property
    def _reference_points(self) -> list[int]:
        points = [(stop.re, stop.im) for stop in reversed(self._stops)]
        return [points.index((stop.re, stop.im)) for stop in self._stops]

    # What is needed once for many frames

    @cached_property
    def stretches(self) -> list[Stretch]:
        """The runs of frames that zoom about one point in one direction: strips may serve each of these."""
        found: dict[int, Stretch] = {}
        first = stop = way = 0  # of the run; its way is 1 outwards, -1 inwards, 0 while the camera stands
        reference_point, depth = -1, 0.0  # of the frame before, if its centre is near a stop
        for frame in range(self.num_frames + 1):
            own, own_depth, at = -1, 0.0, 0
            if frame < self.num_frames:
                at, centre, below, _ = self._place(frame)
                if abs(centre) <= _NEAR:
                    own, own_depth = self._reference_points[at], self._ln_deltas[at] + below
            moved = own_depth - depth
            goes = 0 if abs(moved) < _STANDS else 1 if moved > 0 else -1
            if own >= 0 and own == reference_point and goes * way >= 0:
                way = way or goes
            else:
                number = 2 * stop + (way > 0)
                if reference_point >= 0 and number not in found:
                    zoom = ZoomAlongPath.part(self, first, frame - 1)
                    found[number] = Stretch(number, reference_point, first, zoom)
                first, stop, way = frame, at, 0
            reference_point, depth = own, own_depth
        return list(found.values())

    def aside(self, time: float) -> complex:
        """Where a view's centre lies from its reference point, right and up in the view, in units of its delta."""
        _, centre, _, angle = self._place(time)
        return centre * cmath.rect(1.0, -angle)

    @property
    def reference_points(self) -> list[int]:
        """The numbers of the reference points."""
        return sorted(set(self._reference_points))

    def deepest(self, reference_point: int) -> View:
        """A view about a reference point that is as deep as the deepest frame there."""
        same = [k for k, other in enumerate(self._reference_points) if other == reference_point]
        stop = self._stops[min(same, key=lambda k: Decimal(self._stops[k].delta))]
        delta = str(_SHOWN_DIGITS.multiply(Decimal(stop.delta), _DIPS)) if self._bends else stop.delta
        return View(stop.re, stop.im, delta, self.width, self.height)

    def last_frame(self, reference_point: int) -> int:
        """A frame after which none has this reference point."""
        last = max(k for k, other in enumerate(self._reference_points) if other == reference_point)
        return self._reached[last + 1] if last + 1 < len(self._reached) else self.num_frames - 1

    @property
    def is_turned(self) -> bool:
        """Whether any view is turned."""
        return any(float(stop.rotation) for stop in self._stops)

    def key_times(self, length: float) -> list[float]:
        """Times at which views are looked at beforehand: at the stops, and at most a ``length`` of the way apart.

        On ways so long that these would be more than ``MOST_KEY_TIMES``, they lie as much farther apart.
        """
        times = {float(reached) for reached in self._reached}
        length = max(length, sum(leg.curve.length for leg in self._legs) / MOST_KEY_TIMES)
        for leg in self._legs:
            steps = math.ceil(leg.curve.length / length - 1e-9)
            times |= {self._time(leg, step / steps) for step in range(1, steps)}
        return sorted(times)

    @staticmethod
    def _time(leg: _Leg, share: float) -> float:
        """When a share of a leg's way lies behind the camera."""
        low, high = float(leg.first), float(leg.last)
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (
                (middle, high) if leg.first < leg.last and leg.share(middle) < share else (low, middle)
            )
        return high


@dataclass(frozen=True)
class ZoomAlongPath(Zoom):
    """Frames of a path in a row, about one point, each as deep as the one before or deeper, or all outwards.

    Where their centres lie aside of the point, what it says of itself is larger than the frames on each side, so that
    it has in it all that they show.

    Attributes:
        first: the frame of the path with which it begins.
    """

    path: CameraPath | None = None
    first: int = 0

    @classmethod
    def along(cls, path: CameraPath) -> ZoomAlongPath:
        """The zoom of a whole path that stays at one point."""
        return cls.part(path, 0, path.num_frames - 1)

    @classmethod
    def part(cls, path: CameraPath, first: int, last: int) -> ZoomAlongPath:
        """Frames ``first`` to ``last``."""
        start, end = path.view(first), path.view(last)
        width, height = path.width, path.height
        if any(path.aside(frame) for frame in range(first, last + 1)):
            width, height = (2 * math.ceil(side * (0.5 + _NEAR)) for side in (width, height))
        frames = last - first + 1
        zoom = cls(end.re, end.im, start.delta, end.delta, frames, width, height, path=path, first=first)
        return replace(zoom, start_delta=zoom.delta(0), end_delta=zoom.delta(zoom.num_frames - 1))

    @property
    def _along(self) -> CameraPath:
        if self.path is None:
            raise ValueError("a zoom along no path")
        return self.path

    @property
    def is_turned(self) -> bool:
        return self._along.is_turned

    def share(self, frame: int) -> float:
        first, path = self.first, self._along
        start, end = path.ln_delta(first), path.ln_delta(first + self.num_frames - 1)
        return (path.ln_delta(first + frame) - start) / (end - start) if start != end else 0.0

    def angle(self, frame: int) -> float:
        return self._along.angle(self.first + frame)

    def aside(self, frame: int) -> complex:
        return self._along.aside(self.first + frame) * min(self._along.width, self._along.height)

    def delta(self, frame: int) -> str:
        path = self._along
        own, sides = (
            path.delta(self.first + frame),
            (min(path.width, path.height), min(self.width, self.height)),
        )
        if sides[0] == sides[1]:
            return own
        return str(_SHOWN_DIGITS.divide(_SHOWN_DIGITS.multiply(Decimal(own), sides[1]), sides[0]))

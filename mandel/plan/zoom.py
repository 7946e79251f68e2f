"""A zoom: from frame number to view.

Deltas are spaced geometrically, both ends included; a zoom of one frame shows the start. Easing moves the frames closer
together towards the ends. Held frames repeat the ends.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import lru_cache
from typing import Protocol

from mandel.plan.easing import eased
from mandel.plan.view import View

# ln and exp of deltas as small as 1e-20000 lose 5 digits; 60 digits leave enough.
_MATH = Context(prec=60, Emax=10**9, Emin=-(10**9))
_SHOWN_DIGITS = 40


@lru_cache(256)
def _log_ratio(start: str, end: str) -> Decimal:
    """ln(end / start): expensive, and the same for all frames of a zoom."""
    return _MATH.ln(_MATH.divide(Decimal(end), Decimal(start)))


class Asked(Protocol):
    """The fields of a ``mandel.payload.payload.Payload`` that a zoom needs."""

    @property
    def re(self) -> str: ...
    @property
    def im(self) -> str: ...
    @property
    def start_delta(self) -> str: ...
    @property
    def end_delta(self) -> str: ...
    @property
    def num_frames(self) -> int: ...
    @property
    def frame_width(self) -> int: ...
    @property
    def frame_height(self) -> int: ...
    @property
    def ramps(self) -> tuple[float, float]: ...
    @property
    def held(self) -> tuple[int, int]: ...
    @property
    def rotation(self) -> str: ...


@dataclass(frozen=True)
class Zoom:
    """The frames of a zoom about one point.

    Attributes:
        re, im: the point, decimal strings.
        start_delta, end_delta: extent of the first and last frame, decimal strings > 0.
        num_frames: at least 1.
        width, height: pixels of every frame.
        ramps: shares of the time spent speeding up and slowing down, but for what is held; together 1 at most.
        held: frames at the start and at the end that show the same as the first and the last one.
        rotation: degrees by which the last frame is rotated about the point
            against the first; positive rotates the view counter-clockwise.
    """

    re: str
    im: str
    start_delta: str
    end_delta: str
    num_frames: int
    width: int
    height: int
    ramps: tuple[float, float] = (0.0, 0.0)
    rotation: float = 0.0
    held: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, payload: Asked) -> Zoom:
        """The zoom that a payload asks for."""
        return cls(
            payload.re,
            payload.im,
            payload.start_delta,
            payload.end_delta,
            payload.num_frames,
            payload.frame_width,
            payload.frame_height,
            payload.ramps,
            float(payload.rotation),
            payload.held,
        )

    def share(self, frame: int) -> float:
        """The share of the way, in octaves and in degrees, that lies behind ``frame``: 0 to 1."""
        first, last = self._moving
        if frame <= first:
            return 0.0
        return 1.0 if frame >= last else eased((frame - first) / (last - first), *self.ramps)

    @property
    def _moving(self) -> tuple[int, int]:
        """The last frame that shows what the first does, and the first that shows what the last does."""
        return self.held[0], self.num_frames - 1 - self.held[1]

    def angle(self, frame: int) -> float:
        """Rotation of ``frame`` against the first frame, radians."""
        return math.radians(self.rotation) * self.share(frame)

    def delta(self, frame: int) -> str:
        """Extent of ``frame`` along its shorter side, a decimal string.

        Raises:
            IndexError: no such frame.
        """
        if not 0 <= frame < self.num_frames:
            raise IndexError(f"frame {frame} of {self.num_frames}")
        first, last = self._moving
        if frame <= first:
            return self.start_delta
        if frame >= last:
            return self.end_delta
        if any(self.ramps):
            share = Decimal(self.share(frame))
        else:
            share = _MATH.divide(Decimal(frame - first), Decimal(last - first))
        step = _MATH.multiply(_log_ratio(self.start_delta, self.end_delta), share)
        exact = _MATH.multiply(Decimal(self.start_delta), _MATH.exp(step))
        return str(Context(prec=_SHOWN_DIGITS, Emax=10**9, Emin=-(10**9)).plus(exact))

    def aside(self, frame: int) -> complex:
        """Pixels from the point to the centre of ``frame``, right and up in it."""
        return 0j

    @property
    def is_turned(self) -> bool:
        """Whether any frame is turned."""
        return bool(self.rotation)

    def view(self, frame: int) -> View:
        """The view that ``frame`` shows."""
        turn = cmath.rect(1.0, self.angle(frame)) if self.is_turned else 1 + 0j
        return View(self.re, self.im, self.delta(frame), self.width, self.height, turn)

    @staticmethod
    def reference_point(frame: int) -> int:
        """All views lie about one point: it has the number 0."""
        return 0

    def last_frame(self, reference_point: int = 0) -> int:
        """The last frame about that point."""
        return self.num_frames - 1

    def deepest(self, reference_point: int = 0) -> View:
        """The view of the smallest delta."""
        return min(self.view(0), self.view(self.num_frames - 1), key=lambda view: Decimal(view.delta))

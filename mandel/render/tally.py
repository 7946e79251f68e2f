"""Counts a picture's samples that reached the iteration limit, and finds pictures of one flat colour.

The device counts while it makes the picture. The host reads the counts after it has waited for the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from mandel.device.context import Buffer, DeviceContext, Event, Target
from mandel.kernels.contract import BYTE_SHIFT, CHANNEL_BITS, TALLY_RUN
from mandel.render.samples import Samples

_FILE = "tally.cl"
_GPU_GROUP = 256
# Pixels that differ by so many levels of 255 look alike.
_FLAT_LEVELS = 2
_LEAST_PIXELS = 64
_BLACK = 16  # its luma
_LOOKED_AT = 200_000  # pixels that are enough to judge by


@dataclass(frozen=True)
class Reached:
    """How many samples reached the iteration limit.

    Attributes:
        samples: all of them.
        reached: those that did not escape within ``maxiter`` iterations.
        late: those that escaped, after more than half of ``maxiter``.
        maxiter: the limit.
    """

    samples: int = 0
    reached: int = 0
    late: int = 0
    maxiter: int = 0


class Tally:
    """Counts samples, piece by piece. It must live until all that was enqueued with it is over.

    Args:
        maxiter: the samples' limit.
    """

    def __init__(self, ctx: DeviceContext, maxiter: int):
        self._ctx, self._maxiter = ctx, maxiter
        self._samples = 0
        self._copies: list[Event] = []
        self._found: list[
            tuple[np.ndarray, Buffer | None]
        ] = []  # and its buffer, where the device cannot write to it

    def slots(self, count: int, samples: int) -> Target:
        """A kernel's argument: ``count`` int2 (reached, late), each to be written, of ``samples`` samples."""
        self._samples += samples
        found = np.empty((count, 2), np.int32)
        target = self._ctx.target(found)
        if target is not None:
            self._found.append((found, None))
            return target
        buffer = self._ctx.empty(found.nbytes)
        self._found.append((found, buffer))
        return buffer

    def add(self, samples: Samples) -> None:
        """Counts samples that lie on the device; enqueued, not waited for."""
        self.adding(samples)()

    def adding(self, samples: Samples) -> Callable[[], object]:
        """A function that enqueues the counting of ``samples``; a later call replaces an earlier call's counts."""
        length = samples.rows * samples.cols
        group, runs = _GPU_GROUP if self._ctx.device.is_gpu else 1, -(-length // TALLY_RUN)
        return partial(
            self._ctx.kernel(_FILE, "tally", (("GROUP", group),)),
            self._ctx.queue,
            (runs * group,),
            (group,),
            samples.count,
            np.int32(length),
            np.int32(self._maxiter),
            self.slots(runs, length),
        )

    def collect(self) -> None:
        """Enqueues the copies of the counts to the host, so that waiting for what follows is waiting for them."""
        for found, buffer in self._found:
            if buffer is not None:
                self._copies.append(
                    self._ctx.cl.enqueue_copy(self._ctx.queue, found, buffer, is_blocking=False)
                )
        self._found = [(found, None) for found, _ in self._found]

    def read(self) -> Reached:
        """The counts; call it only when all that was enqueued is over."""
        self.collect()
        for event in self._copies:
            self._ctx.wait(event)
        reached = late = 0
        for found, _ in self._found:
            sums = np.add.reduce(found, axis=0, dtype=np.int64).tolist()
            reached, late = reached + sums[0], late + sums[1]
        return Reached(self._samples, reached, late, self._maxiter)


def following(
    samples: Samples, tally: Tally | None, then: Callable[[Samples], object] | None
) -> Callable[[], None]:
    """A function that enqueues what follows samples: counting them, then ``then``. It may be called repeatedly."""
    count = None if tally is None else tally.adding(samples)

    def enqueue() -> None:
        if count is not None:
            count()
        if then is not None:
            then(samples)

    return enqueue


def is_flat(picture: np.ndarray) -> bool:
    """Whether a picture looks like one flat colour; False for pictures of fewer than 64 pixels.

    Args:
        picture: uint8, of any layout of plan/picture.py.
    """
    planes = _planes(picture)
    if planes[0].size < _LEAST_PIXELS:
        return False
    # A few pixels are enough for nearly all pictures that are not flat.
    few = (plane[tuple(slice(None, None, max(side // 8, 1)) for side in plane.shape)] for plane in planes)
    return all(map(_is_even, few)) and all(map(_is_even, planes))


def black_share(picture: np.ndarray) -> float:
    """The share of a picture's pixels that are black, as only the interior is; estimated from evenly spaced rows.

    Args:
        picture: uint8, of any layout of plan/picture.py.
    """
    planes = _planes(picture)
    step, black = max(planes[0].size // _LOOKED_AT, 1), _BLACK if picture.ndim == 2 else 0
    rows = planes[0][::step] if picture.ndim == 2 else np.maximum.reduce([plane[::step] for plane in planes])
    return np.count_nonzero(rows <= black) / rows.size


def _planes(picture: np.ndarray) -> list[np.ndarray]:
    """Luma and each chroma of a picture in YUV, else red, green, blue; of 8 bits."""
    if picture.ndim == 2:
        height = len(picture) * 2 // 3
        return [picture[:height], *np.split(picture[height:].reshape(-1), 2)]
    if picture.shape[2] == 3:
        return [picture[..., channel] for channel in range(3)]
    pixels = picture.view(np.uint32)[..., 0]
    tops = (bits * CHANNEL_BITS + BYTE_SHIFT for bits in range(3))
    return [(pixels >> np.uint32(top)).astype(np.uint8) for top in tops]


def _is_even(values: np.ndarray) -> bool:
    return int(values.max()) - int(values.min()) <= _FLAT_LEVELS

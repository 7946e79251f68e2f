"""A frame: from a view to a picture, band by band, on one device.

Memory of a worker is bounded whatever the frame's size and supersampling:
raw samples never take more than ``BAND_BYTES`` at a time (two bands are in
flight); beside them there are 4 bytes a pixel of canvas and the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from mandel.colour.look import Look
from mandel.device.context import DeviceContext
from mandel.plan.arithmetic import DIRECT, PERTURBED, arithmetic
from mandel.plan.grid import Grid
from mandel.plan.reference import Reference
from mandel.plan.view import View
from mandel.render.direct import DirectIterator
from mandel.render.painter import Painter, outputs
from mandel.render.samples import Outputs, Samples

BAND_BYTES = 64 * 2**20
_SAMPLE_BYTES = 20  # count, frac, distance, slope
DEFAULT_BAILOUT = 1000.0


def bands(rows: int, cols: int, step: int, nbytes: int = BAND_BYTES) -> list[tuple[int, int]]:
    """(first, rows) of bands of a grid that keep raw samples within ``nbytes``.

    Args:
        step: rows that must stay together (the supersampling).
    """
    most = max(nbytes // (2 * _SAMPLE_BYTES * cols) // step, 1) * step
    return [(first, min(most, rows - first)) for first in range(0, rows, most)]


@dataclass
class Timing:
    """Seconds of the last picture, wall time on the host.

    Attributes:
        arithmetic: the row of the table that was used.
        samples: iterating, the reference and its table included; only with ``timed``.
        total: all of it; what is not samples is colour and the way to the host.
    """

    arithmetic: str = ""
    samples: float = 0.0
    total: float = 0.0


class FrameRenderer:
    """Renders views on one device; keeps programs, buffers and references between frames.

    Not thread-safe: one for each thread.

    Args:
        band_bytes: the most that raw samples take on the device.
        timed: waits after each step, so that ``timing`` can tell them apart.
    """

    def __init__(self, ctx: DeviceContext, band_bytes: int = BAND_BYTES, timed: bool = False):
        self.context = ctx
        self.timed = timed
        self.band_bytes = band_bytes
        self.timing = Timing()
        self._painter = Painter(ctx)
        self._engines = {}

    def _engine(self, name: str):
        if name not in self._engines:
            self._engines[name] = {DIRECT: self._direct, PERTURBED: self._perturbed}[name]()
        return self._engines[name]

    def _direct(self):
        return DirectIterator(self.context)

    def _perturbed(self):
        from mandel.render.perturbed import PerturbedIterator

        return PerturbedIterator(self.context)

    def keep_reference(self, re: str, im: str, reference: Reference) -> None:
        """Uses ``reference``, computed elsewhere, for deep views of this centre from now on."""
        self._engine(PERTURBED).keep(re, im, reference)

    def samples(
        self, grid: Grid, maxiter: int, bailout: float = DEFAULT_BAILOUT, outputs: Outputs = Outputs(),
        whole: Grid | None = None,
    ) -> Samples:
        """Raw samples of a grid by the arithmetic that it needs; enqueued, not waited for.

        Args:
            whole: the grid that ``grid`` is a band of, so that all bands use one arithmetic.
        """
        row = arithmetic(whole or grid)
        self.timing.arithmetic = row.name
        return self._engine(row.engine).iterate(grid, maxiter, bailout, outputs)

    def picture(
        self, view: View, maxiter: int, bailout: float, look: Look, supersampling: int = 1,
        layout: str = "rgb", out: np.ndarray | None = None,
    ) -> np.ndarray:
        """The picture of a view: uint8, (H, W, 3), or (H*3/2, W) for layout ``"yuv420"``.

        Raises:
            RenderError: ODD_SIZE, BAD_LAYOUT, OUT_OF_RANGE.
            DeviceError: BUILD_FAILED.
        """
        n, grid, queue = supersampling, view.grid(supersampling), self.context.queue
        self.timing = Timing()
        begun = started = perf_counter()
        canvas = self._painter.canvas(view.width, view.height)
        passed = []
        for first, rows in bands(grid.rows, grid.cols, n, self.band_bytes):
            samples = self.samples(grid.band(first, rows), maxiter, bailout, outputs(look), whole=grid)
            if self.timed:
                queue.finish()
                self.timing.samples += perf_counter() - started
            self._painter.shade(samples, look, canvas, n, first // n)
            if self.timed:
                queue.finish()
            passed.append(self.context.cl.enqueue_marker(queue))
            if len(passed) > 1:
                self.context.wait(passed.pop(0))  # two bands in flight, so memory is bounded
            started = perf_counter()
        picture = self._painter.develop(canvas, layout, out)
        self.timing.total = perf_counter() - begun
        return picture

    def raw(
        self, view: View, maxiter: int, bailout: float = DEFAULT_BAILOUT
    ) -> tuple[np.ndarray, np.ndarray]:
        """Counts (int32) and smooth counts (float32, 0 for interior) of a view, (H, W)."""
        grid, started = view.grid(), perf_counter()
        self.timing = Timing()
        count = np.empty((grid.rows, grid.cols), np.int32)
        frac = np.empty((grid.rows, grid.cols), np.float32)
        for first, rows in bands(grid.rows, grid.cols, 1, self.band_bytes):
            samples = self.samples(grid.band(first, rows), maxiter, bailout, whole=grid)
            self.context.download(samples.count, count[first:first + rows])
            self.context.download(samples.frac, frac[first:first + rows])
        smooth = np.where(count > maxiter, np.float32(0), (count + frac.astype(np.float64)).astype(np.float32))
        self.timing.samples = self.timing.total = perf_counter() - started
        return count, smooth

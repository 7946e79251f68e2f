"""Renders a frame on one device, from its view to a picture, band by band.

A worker's memory is bounded, whatever the frame's size and supersampling. At most two bands are in flight; their raw
samples take ``BAND_BYTES`` or less together (``GPU_BAND_BYTES`` on a GPU). Beside them there are the canvas, 4 bytes a
pixel, and the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from mandel.colour.style import ColourStyle
from mandel.device.context import DeviceContext
from mandel.plan.arithmetic import DIRECT, PERTURBED, Arithmetic, arithmetic
from mandel.plan.grid import LOCKSTEP_ROWS, Grid
from mandel.plan.picture import RGB
from mandel.plan.reference import Reference
from mandel.plan.view import View
from mandel.render import rounds
from mandel.render.coordinates import ListedCoordinates, listed_coordinates
from mandel.render.direct import DirectIterator
from mandel.render.iterator import SampleIterator
from mandel.render.painter import Canvas, Painter, outputs
from mandel.render.samples import Outputs, Samples
from mandel.render.tally import Reached, Tally

if TYPE_CHECKING:  # views that are not deep do without it
    from mandel.render.perturbed import PerturbedIterator

BAND_BYTES = 64 * 2**20
GPU_BAND_BYTES = 80 * 2**20  # a frame of 1920 x 1080 is one band: between bands a GPU waits for the host
_SAMPLE_BYTES = 20  # count, frac, distance, slope
_LISTED_BYTES = 36  # the same and coordinates
DEFAULT_BAILOUT = 1000.0


def bands(
    rows: int, cols: int, n: int, nbytes: int = BAND_BYTES, sample_bytes: int = 2 * _SAMPLE_BYTES
) -> list[tuple[int, int]]:
    """Cuts a grid into bands, as (first row, rows), whose raw samples take ``nbytes`` or less.

    Rows of the same pixels stay together, and so do rows that are iterated in lockstep: the samples of a band have the
    same neighbours as in the whole grid.

    Args:
        n: rows of samples in a row of pixels (the supersampling).
        sample_bytes: bytes of a sample, for all bands in flight.
    """
    step = math.lcm(n, LOCKSTEP_ROWS)
    most = max(nbytes // (sample_bytes * cols) // step, 1) * step
    return [(first, min(most, rows - first)) for first in range(0, rows, most)]


@dataclass
class Timing:
    """Where the time of the last picture went: seconds of wall time on the host.

    Attributes:
        arithmetic: name of the arithmetic that was used (``plan.arithmetic``).
        samples: iterating, with the reference and its table; only with ``timed``.
        reference, table: the part of ``samples`` for the reference orbit and for the BLA table.
        total: everything; without ``samples`` it is colouring and copying to the host.
        refined: share of the pixels that got more than one sample, by adaptive supersampling.
    """

    arithmetic: str = ""
    samples: float = 0.0
    reference: float = 0.0
    table: float = 0.0
    total: float = 0.0
    refined: float = 0.0


def _nothing() -> None:
    """Nothing is left to do for a piece that was coloured while it was iterated."""


class FrameRenderer:
    """Renders views on one device; keeps programs, buffers and references between frames.

    Not thread-safe: one for each thread.

    Args:
        band_bytes: the most that raw samples take on the device; by default what suits the device.
        timed: wait after each step, so that ``timing`` can tell the steps apart. Otherwise CPUs colour samples while
            these are in their caches.
        workers: processes that render on this machine and share its memory.

    Attributes:
        reached: how many samples of the last picture reached the iteration limit. In a refined picture only the first
            sample of each pixel counts.
    """

    def __init__(
        self, ctx: DeviceContext, band_bytes: int | None = None, timed: bool = False, workers: int = 1
    ):
        self.context = ctx
        self.timed = timed
        self.band_bytes = band_bytes or (GPU_BAND_BYTES if ctx.device.is_gpu else BAND_BYTES)
        self.timing = Timing()
        self._workers = workers
        self.reached = Reached()
        self._painter = Painter(ctx)

    def _iterator(self, name: str) -> SampleIterator:
        return self._direct if name == DIRECT else self._perturbed

    @cached_property
    def _direct(self) -> DirectIterator:
        return DirectIterator(self.context)

    @cached_property
    def _perturbed(self) -> PerturbedIterator:
        from mandel.render.perturbed import PerturbedIterator

        return PerturbedIterator(self.context, workers=self._workers)

    def keep_reference(self, re: str, im: str, reference: Reference) -> None:
        """From now on uses ``reference``, computed elsewhere, for deep views of this centre."""
        self._perturbed.keep(re, im, reference)

    def bands(self, grid: Grid, maxiter: int, n: int = 1) -> list[tuple[int, int]]:
        """Bands of a grid, smaller ones where iterating is done in rounds and samples keep a state between them.

        Not smaller on GPUs: more bands cost them time, and they have room for a band's state, at most 2.2 times
        ``band_bytes``.
        """
        found = bands(grid.rows, grid.cols, n, self.band_bytes)
        if self.context.device.is_gpu or not rounds.are_needed(
            self.context, found[0][1] * grid.cols, maxiter
        ):
            return found
        return bands(grid.rows, grid.cols, n, self.band_bytes, 2 * _SAMPLE_BYTES + rounds.KEPT_BYTES)

    def samples(
        self,
        grid: Grid,
        maxiter: int,
        bailout: float = DEFAULT_BAILOUT,
        outputs: Outputs = Outputs(),
        whole: Grid | None = None,
        tally: Tally | None = None,
        then: Callable[[Samples], object] | None = None,
    ) -> Samples:
        """Raw samples of a grid, by the arithmetic that it needs. Enqueued; waited for only where they may take long.

        Args:
            whole: the grid that ``grid`` is a part of, if it is one: all parts are iterated alike.
            tally: counts the samples.
            then: enqueues what else follows; may be called before all samples are there, and then again.
        """
        row = arithmetic(whole or grid)
        self.timing.arithmetic = row.name
        iterator = self._iterator(row.engine)
        samples = iterator.iterate(grid, maxiter, bailout, outputs, whole=whole, tally=tally, then=then)
        if row.engine == PERTURBED:
            self.timing.reference += self._perturbed.timing.reference
            self.timing.table += self._perturbed.timing.table
        return samples

    @property
    def table_seconds(self) -> float:
        """Seconds that the table of skipped steps took which the last perturbed grid was iterated with."""
        return self._perturbed.table_seconds

    def counts(self, grid: Grid, maxiter: int, bailout: float, chosen: np.ndarray) -> np.ndarray:
        """Counts of chosen samples of an axis-aligned grid, int32 (len(chosen),).

        Args:
            chosen: row-major indices, at least one.
        """
        row = arithmetic(grid)
        iterator = self._iterator(row.engine)
        place = listed_coordinates(self.context, grid, chosen, row.engine == PERTURBED, iterator.list_width)
        samples = iterator.iterate(grid, maxiter, bailout, place=place)
        return self.context.download(samples.count, np.empty(place.rows * place.cols, np.int32))[
            : len(chosen)
        ]

    def picture(
        self,
        view: View,
        maxiter: int,
        bailout: float,
        style: ColourStyle,
        supersampling: int = 1,
        layout: str = "rgb",
        out: np.ndarray | None = None,
        adaptive: bool = False,
    ) -> np.ndarray:
        """The picture of a view: uint8, its bytes as ``layout`` (plan/picture.py) has them.

        Args:
            supersampling: n for n x n samples a pixel.
            adaptive: one sample for each pixel at first; then n x n for pixels that differ from a neighbour
                (``Painter.edges``).

        Raises:
            RenderError: ODD_SIZE, BAD_LAYOUT, OUT_OF_RANGE.
            DeviceError: BUILD_FAILED.
        """
        self.timing = Timing()
        begun, grid = perf_counter(), view.grid(supersampling)
        row, refined, tally = arithmetic(grid), adaptive and supersampling > 1, Tally(self.context, maxiter)
        rgb = layout == RGB and not refined and self._fuses_colouring(row, style, supersampling)
        with self.context.finished_on_error():
            canvas = self._painter.canvas(view.width, view.height, rgb, out)
            if refined:
                self._shade(view.grid(), grid, maxiter, bailout, style, canvas, 1, tally)
                self._refine(grid, maxiter, bailout, style, canvas, supersampling)
            else:
                self._shade(grid, grid, maxiter, bailout, style, canvas, supersampling, tally)
            tally.collect()
            picture = self._painter.develop(canvas, layout, out)
            self.reached = tally.read()
        self.timing.total = perf_counter() - begun
        return picture

    def part(
        self, whole: Grid, part: Grid, maxiter: int, bailout: float, style: ColourStyle, n: int, layout: str
    ) -> np.ndarray:
        """The picture of a part of a view's grid, n x n samples for each pixel, as the whole would show it."""
        with self.context.finished_on_error():
            canvas = self._painter.canvas(part.cols // n, part.rows // n)
            self._shade(part, whole, maxiter, bailout, style, canvas, n, Tally(self.context, maxiter))
            return self._painter.develop(canvas, layout)

    def _fuses_colouring(self, row: Arithmetic, style: ColourStyle, n: int) -> bool:
        """Whether samples are coloured while they are iterated."""
        if n > 1 or self.timed or row.engine != DIRECT:
            return False
        return self._direct.fuses_colouring(outputs(style))

    def _shade(
        self,
        grid: Grid,
        whole: Grid,
        maxiter: int,
        bailout: float,
        style: ColourStyle,
        canvas: Canvas,
        n: int,
        tally: Tally,
    ) -> None:
        """Shades the whole canvas from ``grid``, n x n samples a pixel, iterated as a part of ``whole``."""
        row = arithmetic(whole)
        fuses_colouring = self._fuses_colouring(row, style, n)
        all_bands = self.bands(grid, maxiter, n)

        def paint(first: int, rows: int) -> None:
            self.timing.arithmetic = row.name
            colour_target = self._painter.colour_target(style, canvas, first)
            self._direct.paint(grid.band(first, rows), maxiter, bailout, colour_target, tally)

        if fuses_colouring and len(all_bands) == 1:  # a single band needs no marker
            paint(*all_bands[0])
            return

        def pieces() -> Iterator[Callable[[], None]]:
            for first, rows in all_bands:
                if fuses_colouring:
                    paint(first, rows)
                    yield _nothing
                    continue
                shade = partial(self._painter.shade, style=style, canvas=canvas, n=n, row=first // n)
                samples = self.samples(
                    grid.band(first, rows),
                    maxiter,
                    bailout,
                    outputs(style),
                    whole,
                    tally,
                    None if self.timed else shade,
                )
                yield partial(shade, samples) if self.timed else _nothing

        self._paint(pieces())

    def _refine(
        self, grid: Grid, maxiter: int, bailout: float, style: ColourStyle, canvas: Canvas, n: int
    ) -> None:
        """Shades the pixels at the canvas's edges again, from ``grid``, n x n samples a pixel."""
        pixels = self._painter.edges(canvas)
        self.timing.refined = pixels.length / (canvas.width * canvas.height)
        row = arithmetic(grid)
        iterator = self._iterator(row.engine)
        most = max(self.band_bytes // ((2 * _LISTED_BYTES + rounds.KEPT_BYTES) * n * n), 1)

        def pieces() -> Iterator[Callable[[], None]]:
            if not pixels.length:
                return
            places = ListedCoordinates(self.context, grid, n, pixels, relative=row.engine == PERTURBED)
            for first in range(0, pixels.length, most):
                length = min(most, pixels.length - first)
                place = places.place(first, length, iterator.list_width)
                samples = iterator.iterate(grid, maxiter, bailout, outputs(style), place=place)
                samples = replace(samples, rows=length, cols=n * n)
                yield lambda: self._painter.refine(samples, style, canvas, n, pixels, first)  # noqa: B023 - called before the next

        self._paint(pieces())

    def _paint(self, pieces: Iterator[Callable[[], None]]) -> None:
        """Iterates and shades piece after piece; at most two are in flight, which bounds the memory."""
        queue, passed, started = self.context.queue, [], perf_counter()
        for shade in pieces:
            if self.timed:
                queue.finish()
                self.timing.samples += perf_counter() - started
            shade()
            if self.timed:
                queue.finish()
            passed.append(self.context.cl.enqueue_marker(queue))
            if len(passed) > 1:
                self.context.wait(passed.pop(0))
            started = perf_counter()

    def raw(
        self, view: View, maxiter: int, bailout: float = DEFAULT_BAILOUT
    ) -> tuple[np.ndarray, np.ndarray]:
        """Counts (int32) and smooth counts (float32, 0 for interior) of a view, (H, W)."""
        return self.raw_of(view.grid(), maxiter, bailout)

    def raw_of(
        self, grid: Grid, maxiter: int, bailout: float = DEFAULT_BAILOUT
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same of a grid in the plane."""
        count, smooth, _ = self._raw(grid, maxiter, bailout, Outputs())
        return count, smooth

    def shading_of(self, grid: Grid, maxiter: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Smooth counts as ``raw`` has them, distances (float32) and slopes (float32, (H, W, 2)) of a grid."""
        _, smooth, found = self._raw(grid, maxiter, DEFAULT_BAILOUT, Outputs(distance=True, slope=True))
        return smooth, found["distance"], found["slope"]

    def _raw(
        self, grid: Grid, maxiter: int, bailout: float, wanted: Outputs
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        started = perf_counter()
        self.timing, tally = Timing(), Tally(self.context, maxiter)
        shape = grid.rows, grid.cols
        found = {"count": np.empty(shape, np.int32), "frac": np.empty(shape, np.float32)}
        if wanted.distance:
            found["distance"] = np.empty(shape, np.float32)
        if wanted.slope:
            found["slope"] = np.empty((*shape, 2), np.float32)
        for first, rows in self.bands(grid, maxiter):
            samples = self.samples(grid.band(first, rows), maxiter, bailout, wanted, whole=grid, tally=tally)
            for name, values in found.items():
                self.context.download(getattr(samples, name), values[first : first + rows])
        count, frac = found["count"], found["frac"]
        smooth = np.where(
            count > maxiter, np.float32(0), (count + frac.astype(np.float64)).astype(np.float32)
        )
        self.timing.samples = self.timing.total = perf_counter() - started
        self.reached = tally.read()
        return count, smooth, found

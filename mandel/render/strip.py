"""Makes a strip of the exponential map on one device: iterates it, colours it, averages it to all its levels."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np

from mandel.colour.style import ColourStyle
from mandel.device.context import Buffer
from mandel.errors import RenderError
from mandel.plan.blocks import Block
from mandel.plan.strip_plan import Layout
from mandel.render.frame import FrameRenderer
from mandel.render.painter import Canvas, Painter, outputs
from mandel.render.raw_strip import Piece, RawStrip, RawStripWriter, codes_of, round_fractions
from mandel.render.samples import Outputs
from mandel.render.tally import Reached, Tally

_FILE = "resample.cl"


class StripRenderer:
    """Makes strips with a frame renderer's iterators. Like the frame renderer, one for each thread.

    Attributes:
        reached: how many samples of the last strip reached the limit.
    """

    def __init__(self, renderer: FrameRenderer):
        self._renderer = renderer
        self._painter = Painter(renderer.context)
        self.reached = Reached()

    def render(
        self,
        layout: Layout,
        blocks: Sequence[Block],
        maxiter: int,
        bailout: float,
        style: ColourStyle,
        writer: RawStripWriter | None = None,
    ) -> np.ndarray:
        """The strip's levels in one array, uint32 (layout.size,): texels as resample.cl describes them.

        Texels that no block covers are black.

        Args:
            style: its ``edge`` counts samples.
            writer: also gets the raw samples.
        """
        ctx, tally = self._renderer.context, Tally(self._renderer.context, maxiter)
        # What is kept serves relief and edge, if it serves one of them.
        wanted = Outputs(*2 * [outputs(style).derivative])

        def pieces() -> Iterator[Piece]:
            for block in blocks:
                grid, whole = block.grid, block.whole
                for first, rows in self._renderer.bands(grid, maxiter):
                    begun, row = time.monotonic(), block.row + first
                    samples = self._renderer.samples(
                        grid.band(first, rows), maxiter, bailout, wanted, whole, tally=tally
                    )
                    round_fractions(ctx, samples, bailout)
                    codes = codes_of(ctx, samples)
                    if writer is not None and writer.wanted:
                        writer.take(ctx, samples, row, block.col, begun, codes)
                    yield Piece(row, block.col, samples)

        return self._paint(layout, layout.finest, pieces(), style, tally)

    def repaint(self, layout: Layout, base: int, raw: RawStrip, style: ColourStyle) -> np.ndarray:
        """The same from raw samples that were kept; nothing is iterated.

        Args:
            base: the samples' level. Finer levels of the layout repeat its texels.

        Raises:
            RenderError: BAD_STRIP; BAD_SAMPLES for a style that needs more than the samples have.
        """
        rows, cols = layout.shape(base)
        if any(piece.row + piece.rows > rows or piece.col + piece.cols > cols for piece in raw.places):
            raise RenderError("BAD_STRIP", "a kept strip has another size")
        tally = Tally(self._renderer.context, raw.maxiter)

        def pieces() -> Iterator[Piece]:
            for piece in raw.pieces(self._renderer.context):
                tally.add(piece.samples)
                yield piece

        return self._paint(layout, base, pieces(), style, tally)

    def _paint(
        self, layout: Layout, base: int, pieces: Iterator[Piece], style: ColourStyle, tally: Tally
    ) -> np.ndarray:
        ctx = self._renderer.context
        texels = ctx.empty(4 * layout.size)
        ctx.cl.enqueue_fill_buffer(ctx.queue, texels, np.uint32(0), 0, 4 * layout.size)
        start, (_, stride) = layout.offset(base), layout.shape(base)
        passed = []
        for piece in pieces:
            samples = piece.samples
            canvas = self._painter.canvas(samples.cols, samples.rows)
            self._painter.shade(samples, style, canvas)
            self._place(canvas, start + piece.row * stride + piece.col, stride, texels)
            passed.append(ctx.cl.enqueue_marker(ctx.queue))
            if len(passed) > 1:
                ctx.wait(passed.pop(0))  # at most two pieces in flight: bounds the memory
        self._average(layout, base, texels)
        strip = ctx.download(texels, np.empty(layout.size, np.uint32))
        self.reached = tally.read()
        return strip

    def _place(self, canvas: Canvas, at: int, stride: int, texels: Buffer) -> None:
        self._renderer.context.kernel(_FILE, "to_texels")(
            self._renderer.context.queue,
            (canvas.width, canvas.height),
            None,
            canvas.buffer,
            np.int32(at),
            np.int32(stride),
            texels,
        )

    def _average(self, layout: Layout, base: int, texels: Buffer) -> None:
        """Makes all other levels from level ``base``."""
        for level in range(base, layout.coarsest):
            self._derive("halve", _FILE, layout, level, level + 1, texels)
        for level in range(base, layout.finest, -1):
            self._derive("repeat", "raw_strip.cl", layout, level, level - 1, texels)

    def _derive(self, kernel: str, file: str, layout: Layout, level: int, other: int, texels: Buffer) -> None:
        rows, cols = layout.shape(other)
        self._renderer.context.kernel(file, kernel)(
            self._renderer.context.queue,
            (cols, rows),
            None,
            texels,
            np.int32(layout.offset(level)),
            np.int32(layout.offset(other)),
        )

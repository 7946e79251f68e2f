"""A frame out of strips of the exponential map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mandel.colour.transfer import encode_srgb
from mandel.device.context import DeviceContext
from mandel.plan.strips import TAPS, level_at_one_pixel
from mandel.render.painter import YUV420, Painter
from mandel.render.unit import ResampleUnit

_FILE = "resample.cl"


class Resampler:
    """Resamples frames on one device; keeps its buffers between frames. One for each thread."""

    def __init__(self, ctx: DeviceContext):
        self.ctx = ctx
        self._painter = Painter(ctx)
        self._texels = (0, None)
        self._pixels = ((0, 0), None)
        # The kernel's last step: canvas levels by square roots of light.
        light = ((np.arange(4096) + 0.5) / 4095).clip(0, 1) ** 2
        self._curve = ctx.upload((encode_srgb(light) * 1020).astype(np.uint32))

    def _polar(self, width: int, height: int):
        if self._pixels[0] != (width, height):
            self._pixels = ((width, height), self.ctx.empty(8 * width * height))
            self.ctx.kernel(_FILE, "polar")(self.ctx.queue, (width, height), None, self._pixels[1])
        return self._pixels[1]

    def _fill(self, copies: list, size: int):
        """The device's buffer of texels, with the rows of a frame in it."""
        ctx, cl = self.ctx, self.ctx.cl
        cpu = ctx.device.kind == "cpu"
        if self._texels[0] < size:
            flags = cl.mem_flags.READ_ONLY | cl.mem_flags.ALLOC_HOST_PTR
            self._texels = (size, cl.Buffer(ctx.context, flags, 4 * size) if cpu else ctx.empty(4 * size))
        texels = self._texels[1]
        if not cpu:
            for at, rows in copies:
                cl.enqueue_copy(ctx.queue, texels, rows, dst_offset=4 * at, is_blocking=False)
            return texels
        # Copies by a CPU's runtime leave the caches cold: small frames took nearly twice as long.
        mapped, _ = cl.enqueue_map_buffer(
            ctx.queue, texels, cl.map_flags.WRITE_INVALIDATE_REGION, 0, (size,), np.uint32
        )
        with mapped.base:
            for at, rows in copies:
                mapped[at:at + len(rows)] = rows
        return texels

    def picture(
        self, unit: ResampleUnit, arrays: Sequence[np.ndarray], layout: str = YUV420
    ) -> np.ndarray:
        """The frame's picture, as ``Painter.develop`` gives it.

        Args:
            arrays: what ``unit.parts`` describes, in its order: uint32, flat.
        """
        ctx = self.ctx
        places, copies, size = self._arrange(unit, arrays)
        texels = self._fill(copies, size)
        canvas = self._painter.canvas(unit.width, unit.height)
        coarsest = unit.rows.bit_length() - 1
        kernel = ctx.kernel(_FILE, "resample", (("TAPS", TAPS), ("COARSEST", coarsest)))
        f = np.float32
        kernel(
            ctx.queue, (unit.width, unit.height), None,
            texels, self._polar(unit.width, unit.height), ctx.upload(places),
            np.int32(unit.around), f(unit.origin - unit.first * unit.rows), f(unit.column),
            f(unit.around / (2 * np.pi)), f(level_at_one_pixel(unit.around)), self._curve, canvas.buffer,
        )
        return self._painter.develop(canvas, layout)

    @staticmethod
    def _arrange(unit: ResampleUnit, arrays) -> tuple[np.ndarray, list, int]:
        """Where each level's rows go: the kernel's table, (offset, rows) to copy, and the elements of all.

        Rows are counted from the first strip, to keep their numbers small.
        """
        parts = list(zip(unit.parts, arrays, strict=True))
        places = np.zeros((unit.rows.bit_length(), 4), np.int32)
        copies, size = [], 0
        for seen in unit.seen:
            height = unit.rows >> seen.level
            origin = unit.first * height
            places[seen.level, :3] = size, seen.first - origin, seen.last - origin
            for part, array in parts:
                first = max(seen.first, part.strip * height)
                stop = min(seen.last + 1, (part.strip + 1) * height)
                if first >= stop or seen.level not in part.levels:
                    continue
                cols = unit.around >> seen.level
                start = part.offset(seen.level) + (first - part.strip * height) * cols
                rows = array[start:start + (stop - first) * cols]
                copies.append((size + (first - seen.first) * cols, rows))
            size += (seen.last - seen.first + 1) * (unit.around >> seen.level)
        return places, copies, size

"""Makes frames from strips of the exponential map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mandel.colour.transfer import encode_srgb
from mandel.device.context import Buffer, DeviceContext
from mandel.kernels.contract import CANVAS_LEVELS, CURVE_ENTRIES, RESAMPLED_COLS, RESAMPLED_ROWS, RUN_LANES
from mandel.plan.strip_plan import TAPS, level_at_one_pixel
from mandel.render.painter import Painter
from mandel.render.resident_arrays import ResidentArrays
from mandel.render.texels import Copy, TexelWindows
from mandel.tasks.units import ResampleUnit

_FILE = "resample.cl"
# Strips that stay on a device take at most this share of its memory, and so many bytes, for each process that uses it.
# A few octaves are enough.
_STRIPS_SHARE, _STRIPS_BYTES = 1 / 12, 2 << 30


class Resampler:
    """Makes frames from strips on one device. It keeps its buffers for the next frame; each thread needs its own."""

    def __init__(self, ctx: DeviceContext):
        self.ctx = ctx
        self._painter = Painter(ctx)
        # CPUs load the texels of a pixel's row at once, also where the circle closes (``beyond`` in resample.cl).
        self._beyond = TAPS - 1 if ctx.device.kind == "cpu" else 0
        self._windows = TexelWindows(self._beyond)
        self._texels: tuple[int, Buffer] | None = None  # elements
        self._strips = ResidentArrays(ctx, min(int(_STRIPS_SHARE * ctx.device.memory), _STRIPS_BYTES))
        self._pixels: tuple[tuple[int, int, complex], Buffer] | None = None  # by the frame's size and place
        # For the kernel's last step: the canvas level of each square root of light.
        light = ((np.arange(CURVE_ENTRIES) + 0.5) / (CURVE_ENTRIES - 1)).clip(0, 1) ** 2
        levels = np.floor(encode_srgb(light) * CANVAS_LEVELS + 1e-6)  # white comes out a last bit below 1
        levels[-2:] = levels[-1]  # the kernel's roots may miss the last entry, and white must stay white
        self._curve = ctx.upload(levels.astype(np.uint32))

    def _polar(self, width: int, height: int, aside: complex) -> Buffer:
        if self._pixels is None or self._pixels[0] != (width, height, aside):
            same_size = self._pixels is not None and self._pixels[0][:2] == (width, height)
            buffer = self._pixels[1] if self._pixels and same_size else self.ctx.empty(8 * width * height)
            self._pixels = None  # should the kernel not start
            place = np.float32(aside.real), np.float32(aside.imag)
            self.ctx.kernel(_FILE, "polar")(self.ctx.queue, (width, height), None, buffer, *place)
            self._pixels = (width, height, aside), buffer
        return self._pixels[1]

    def _fill(self, unit: ResampleUnit, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, Buffer]:
        """The kernel's table ``places``, and a device buffer with all the texels that the frame sees."""
        try:
            places, copies = self._windows.arrange(unit)
            if self._texels is None or self._texels[0] < self._windows.size:
                self._windows.forget()
                places, copies = self._windows.arrange(unit)
                self._texels = self._windows.size, self._empty_texels(self._windows.size)
            if copies:
                self._copy(unit, arrays, copies, self._texels[1])
        except BaseException:
            self._windows.forget()
            raise
        return places, self._texels[1]

    def _empty_texels(self, size: int) -> Buffer:
        ctx, flags = self.ctx, self.ctx.cl.mem_flags
        if ctx.device.kind != "cpu":
            return ctx.empty(4 * size)
        return ctx.cl.Buffer(ctx.context, flags.READ_ONLY | flags.ALLOC_HOST_PTR, 4 * size)

    def _copy(
        self, unit: ResampleUnit, arrays: Sequence[np.ndarray], copies: Sequence[Copy], texels: Buffer
    ) -> None:
        ctx, cl = self.ctx, self.ctx.cl
        if ctx.device.kind != "cpu":
            there = {
                number: self._strips.copy_of((unit.strips, part.strip, part.layout), arrays[number])
                for number, part in enumerate(unit.parts)
                if any(copy.part == number for copy in copies)
            }
            for copy in copies:
                cl.enqueue_copy(
                    ctx.queue,
                    texels,
                    there[copy.part],
                    src_offset=4 * copy.start,
                    dst_offset=4 * copy.at,
                    byte_count=4 * copy.rows * copy.cols,
                )
            return
        # The host copies by itself: a CPU runtime's copies leave the caches cold, and small frames took nearly twice as
        # long.
        first = min(copy.at for copy in copies)
        stop = max(copy.at + copy.rows * (copy.cols + self._beyond) for copy in copies)
        mapped, _ = cl.enqueue_map_buffer(
            ctx.queue, texels, cl.map_flags.WRITE, 4 * first, (stop - first,), np.uint32
        )
        with mapped.base:
            for copy in copies:
                width, count, at = copy.cols + self._beyond, copy.rows * copy.cols, copy.at - first
                rows = mapped[at : at + copy.rows * width].reshape(copy.rows, width)
                rows[:, : copy.cols] = arrays[copy.part][copy.start : copy.start + count].reshape(
                    -1, copy.cols
                )
                rows[:, copy.cols :] = rows[:, : self._beyond]

    def picture(self, unit: ResampleUnit, arrays: Sequence[np.ndarray], layout: str = "") -> np.ndarray:
        """The frame's picture, as ``Painter.develop`` gives it.

        Args:
            arrays: what ``unit.parts`` describes, in its order: uint32, flat.
            layout: "" is the unit's.
        """
        ctx = self.ctx
        places, texels = self._fill(unit, arrays)
        canvas = self._painter.canvas(unit.width, unit.height)
        defines = (("TAPS", TAPS), ("COARSEST", unit.rows.bit_length() - 1))
        f, i = np.float32, np.int32
        arguments = (
            texels,
            self._polar(unit.width, unit.height, unit.aside),
            ctx.upload(places),
            i(unit.around),
            i(self._beyond),
            f(unit.origin - unit.first * unit.rows),
            f(unit.column),
            f(unit.around / (2 * np.pi)),
            f(level_at_one_pixel(unit.around)),
            self._curve,
            canvas.buffer,
            f(unit.aside.real),
            f(unit.aside.imag),
        )
        shape = unit.width, unit.height
        if self._beyond and unit.width >= RUN_LANES:
            tiles = -(-unit.width // RESAMPLED_COLS), -(-unit.height // RESAMPLED_ROWS)
            kernel = ctx.kernel(_FILE, "resample_run", defines)
            kernel(ctx.queue, tiles, (1, 1), *arguments, *map(i, shape))
        else:
            ctx.kernel(_FILE, "resample", defines)(ctx.queue, shape, None, *arguments)
        return self._painter.develop(canvas, layout or unit.layout)

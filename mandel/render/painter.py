"""Colours raw samples on their device, and brings the picture's bytes to the host.

Samples are shaded onto a ``Canvas``, which holds a gamma-encoded pixel in each uint. They come in any number of pieces:
bands of rows, or lists of pixels that get more samples than the others. The host waits only in ``develop``, which turns
the canvas into bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mandel.colour import palette_table
from mandel.colour.mappings import EVEN, LINEAR, LOG, ROOT, Curve
from mandel.colour.style import ColourStyle
from mandel.colour.transfer import decode_srgb, encode_srgb
from mandel.device.context import Argument, Buffer, DeviceContext, Target
from mandel.errors import RenderError
from mandel.kernels import contract
from mandel.plan.picture import RGB, RGB10, shape
from mandel.render.samples import ColourTarget, Outputs, Samples

# Where neighbours differ by less than this, in gamma-encoded light, more samples change little that can be seen;
# docs/colour.md has the figures.
EDGE_CONTRAST = 0.06

MAPPING_NUMBERS = {
    EVEN: contract.MAP_EVEN,
    ROOT: contract.MAP_ROOT,
    LINEAR: contract.MAP_LINEAR,
    LOG: contract.MAP_LOG,
}

_FILE = "colour.cl"


def outputs(style: ColourStyle) -> Outputs:
    """The raw values that ``style`` needs."""
    return Outputs(distance=style.needs_distance, slope=style.needs_slope)


def _picture(wanted: tuple[int, ...], out: np.ndarray | None) -> np.ndarray:
    """``out``, or a new picture; uint8, contiguous."""
    if out is None:
        return np.empty(wanted, np.uint8)
    if out.shape != wanted or out.dtype != np.uint8 or not out.flags.c_contiguous:
        raise RenderError("BAD_LAYOUT", f"out must be a contiguous uint8 array of shape {wanted}.")
    return out


@dataclass(frozen=True)
class Canvas:
    """A picture being painted, on the device.

    Attributes:
        width, height: pixels.
        buffer: uint32, row-major, ten bits each of gamma-encoded red (lowest), green, blue.
        rgb: the buffer holds bytes of RGB instead, made with ``Painter.colour_target``.
        picture: the host's array, if ``buffer`` is the host's memory.
    """

    width: int
    height: int
    buffer: Target
    rgb: bool = False
    picture: np.ndarray | None = None


@dataclass(frozen=True)
class _PaletteTable:
    """A palette on the device, as kernels take it.

    Attributes:
        canvas: uint32 (entries + 1,), canvas pixels; the last one for the interior.
        bytes: uint32 (4, entries + 1), the same as bytes R, G, B, 0, at each threshold (srgb.h).
        light: uint64 (entries + 1,), linear light, 17 bits a channel at bits 0, 21 and 42.
    """

    canvas: Buffer
    bytes: Buffer
    light: Buffer
    entries: int


@dataclass(frozen=True)
class _CurveTable:
    """A curve on the device, as kernels take it (runs.h); density and offset are part of it.

    Attributes:
        bases: int32, where to begin (MAP_BUCKETS,), then the counts from which pieces begin.
        lines: float32 (pieces, 2).
        reach: how far the search goes, 0 or a power of two.
    """

    bases: Buffer
    lines: Buffer
    reach: int


@dataclass(frozen=True)
class Pixels:
    """Some pixels of a canvas, on the device.

    Attributes:
        length: how many.
        buffer: int32, y * width + x of each.
    """

    length: int
    buffer: Buffer


class Painter:
    """Colours samples in ``ctx``'s memory; keeps tables and buffers between calls.

    Not thread-safe: one painter for each thread.
    """

    def __init__(self, ctx: DeviceContext):
        self.ctx = ctx
        self._ring = lru_cache(maxsize=16)(self._upload_palette_table)
        self._curve = lru_cache(maxsize=4)(self._upload_curve)
        self._bytes: tuple[int, Buffer] | None = None
        self._canvas: Canvas | None = None

    def _upload_palette_table(self, palette: str, interior: str) -> _PaletteTable:
        ring = palette_table.colour_table(palette)
        linear = np.append(ring, decode_srgb(np.array([list(bytes.fromhex(interior))]) / 255), axis=0)
        levels = (encode_srgb(linear) * contract.CANVAS_LEVELS + 1e-3).astype(np.uint32)
        light = np.rint(linear * contract.LIGHT_LEVELS).astype(np.uint64)
        light <<= np.arange(3, dtype=np.uint64) * np.uint64(contract.LIGHT_BITS)

        def packed(channels: np.ndarray, bits: int) -> Buffer:
            shifts = np.arange(3, dtype=np.uint32) * np.uint32(bits)
            return self.ctx.upload((channels << shifts).sum(axis=1, dtype=np.uint32))

        thresholds = np.arange(1 << contract.BYTE_SHIFT, dtype=np.uint32)[:, None, None]
        bytes_ = ((levels + thresholds) >> contract.BYTE_SHIFT).reshape(-1, 3)
        return _PaletteTable(
            packed(levels, contract.CHANNEL_BITS),
            packed(bytes_, 8),
            self.ctx.upload(light.sum(axis=1)),
            len(ring),
        )

    def canvas(self, width: int, height: int, rgb: bool = False, out: np.ndarray | None = None) -> Canvas:
        """A new canvas. Its pixels are undefined until they are shaded, or made with ``colour_target``.

        Args:
            rgb: it holds bytes of RGB, which only ``colour_target`` can make.
            out: what ``develop`` will get as ``out``; bytes of RGB are written there directly if the device can.
        """
        if rgb:
            picture = _picture(shape(width, height, RGB), out)
            target = self.ctx.target(picture)
            if target is not None:
                return Canvas(width, height, target, True, picture)
        return Canvas(width, height, self.ctx.empty((3 if rgb else 4) * (width * height + 3)), rgb)

    def colour_target(self, style: ColourStyle, canvas: Canvas, row: int = 0) -> ColourTarget:
        """What an iterator needs to colour a band of the canvas that begins at ``row``, one sample a pixel."""
        own, first = self._ring(style.palette, style.interior), row * canvas.width
        painted = own.bytes if canvas.rgb else own.canvas
        mapping = MAPPING_NUMBERS[style.mapping]
        return ColourTarget(
            painted, own.entries, mapping, self._phase(style), canvas.buffer, canvas.rgb, first
        )

    def _phase(self, style: ColourStyle) -> tuple[Argument, ...]:
        """A kernel's MAPPING_PARAMETERS."""
        if style.mapping == EVEN:
            curve = self._curve(style.curve, style.density, style.offset)
            return np.float32(1), np.float32(0), curve.bases, curve.lines, np.int32(curve.reach)
        return np.float32(style.density), np.float32(style.offset % 1.0), None, None, np.int32(0)

    def _upload_curve(self, curve: Curve, density: float, offset: float) -> _CurveTable:
        if not curve:
            raise RenderError(
                "BAD_SAMPLES", 'the mapping "even" needs the curve that was learned for the job'
            )
        counts = np.array([knot.base for knot in curve], np.int64)
        # Where the search in the curve begins, and how far it may go: by the eighth of an octave of count + 1.
        eighths = np.exp2(np.arange(contract.MAP_BUCKETS + 1) // 8) * (
            1 + np.arange(contract.MAP_BUCKETS + 1) % 8 / 8
        )
        at = np.searchsorted(counts, np.floor(eighths) - 1, side="right") - 1
        reach = 1 << int(np.diff(at).max()).bit_length() >> 1
        beyond = np.full(2 * reach, 2**31 - 1)
        lines = np.zeros((len(curve) + 2 * reach, 2), np.float32)
        lines[: len(curve)] = [
            ((offset + density * knot.value) % 1.0, density * knot.slope) for knot in curve
        ]
        bases = np.concatenate((at[:-1], counts, beyond)).astype(np.int32)
        return _CurveTable(self.ctx.upload(bases), self.ctx.upload(lines), reach)

    def shade(self, samples: Samples, style: ColourStyle, canvas: Canvas, n: int = 1, row: int = 0) -> None:
        """Shades a band of the canvas: n x n samples a pixel, averaged in linear light.

        Enqueued, not waited for; ``samples`` must live on until the queue has passed.

        Args:
            samples: rows a multiple of n, cols = n * canvas.width.
            row: the band's first row on the canvas.

        Raises:
            RenderError: BAD_SAMPLES when sizes or outputs do not fit.
        """
        rows = samples.rows // n
        if samples.cols != n * canvas.width or samples.rows % n or not 0 <= row <= canvas.height - rows:
            raise RenderError(
                "BAD_SAMPLES",
                f"{samples.cols}x{samples.rows} samples, {n}x{n} a pixel, from row {row}, do not fit "
                f"a picture of {canvas.width}x{canvas.height}.",
            )
        self._shade(samples, style, canvas, n, (canvas.width, rows), base=row * canvas.width)

    def edges(self, canvas: Canvas, contrast: float = EDGE_CONTRAST) -> Pixels:
        """The pixels of a wholly shaded canvas that need more samples, row by row; waits.

        These are the pixels that differ from one of their four neighbours by more than ``contrast`` in some channel
        (0..1, gamma-encoded: equal steps look about equal).
        """
        pixels = canvas.width * canvas.height
        mark, runs = self.ctx.empty(pixels), -(-pixels // contract.MARK_RUN)
        found = self.ctx.empty(4 * runs)
        self.ctx.kernel(_FILE, "mark_edges")(
            self.ctx.queue,
            (canvas.width, canvas.height),
            None,
            canvas.buffer,
            np.uint32(round(contrast * contract.CANVAS_LEVELS)),
            mark,
        )
        self.ctx.kernel(_FILE, "count_marked")(self.ctx.queue, (runs,), None, mark, np.int32(pixels), found)
        ends = np.cumsum(self.ctx.download(found, np.empty(runs, np.int32)), dtype=np.int32)
        starts, listed = np.concatenate((np.zeros(1, np.int32), ends[:-1])), self.ctx.empty(4 * int(ends[-1]))
        self.ctx.kernel(_FILE, "list_marked")(
            self.ctx.queue, (runs,), None, mark, np.int32(pixels), self.ctx.upload(starts), listed
        )
        return Pixels(int(ends[-1]), listed)

    def refine(
        self, samples: Samples, style: ColourStyle, canvas: Canvas, n: int, pixels: Pixels, first: int = 0
    ) -> None:
        """Shades pixels ``first`` to ``first + samples.rows`` of a list again, from n x n samples each.

        Enqueued, not waited for.

        Args:
            samples: a row for each pixel, of its n * n samples. Sample k of pixel (x, y) is the sample in column
                x * n + k % n and row y * n + k // n of ``view.grid(n)``.

        Raises:
            RenderError: BAD_SAMPLES when sizes or outputs do not fit.
        """
        if samples.cols != n * n or not 0 <= first <= pixels.length - samples.rows:
            raise RenderError(
                "BAD_SAMPLES",
                f"{samples.rows} x {samples.cols} samples from {first} do not fit {pixels.length} pixels "
                f"of {n}x{n} samples.",
            )
        if samples.rows:
            self._shade(samples, style, canvas, n, (samples.rows,), base=first, pixels=pixels.buffer)

    def _shade(
        self,
        samples: Samples,
        style: ColourStyle,
        canvas: Canvas,
        n: int,
        size: tuple[int, ...],
        *,
        base: int,
        pixels: Buffer | None = None,
    ) -> None:
        if (style.needs_slope and samples.slope is None) or (
            style.needs_distance and samples.distance is None
        ):
            raise RenderError("BAD_SAMPLES", "the style needs slope or distance, which the samples lack.")
        own = self._ring(style.palette, style.interior)
        f, i = np.float32, np.int32
        mapping, phase = MAPPING_NUMBERS[style.mapping], self._phase(style)
        length = size[0] * size[-1]
        if n == 1 and len(size) == 2 and self._runs(length) and not outputs(style).derivative:
            self.ctx.kernel(_FILE, "shade_run", (("MAPPING", mapping),))(
                self.ctx.queue,
                (-(-length // contract.RUN_PIXELS),),
                (1,),
                samples.count,
                samples.frac,
                i(samples.maxiter),
                own.canvas,
                i(own.entries),
                *phase,
                i(length),
                i(base),
                canvas.buffer,
            )
            return
        kernel = self.ctx.kernel(
            _FILE,
            "shade",
            (
                ("N", n),
                ("LIST", int(pixels is not None)),
                ("SLOPE", int(style.needs_slope)),
                ("DISTANCE", int(style.needs_distance)),
                ("MAPPING", mapping),
            ),
        )
        kernel(
            self.ctx.queue,
            size,
            None,
            samples.count,
            samples.frac,
            samples.distance,
            samples.slope,
            i(samples.maxiter),
            own.canvas,
            own.light,
            i(own.entries),
            *phase,
            f(style.light[0]),
            f(style.light[1]),
            f(style.relief),
            f(1.0 / (n * style.edge) if style.needs_distance else 0.0),
            pixels,
            i(base),
            canvas.buffer,
        )

    def _runs(self, length: int) -> bool:
        """Whether so many pixels are coloured by the kernels for CPUs, which are two to four times as fast there."""
        return self.ctx.device.kind == "cpu" and length >= contract.RUN_LANES

    def develop(self, canvas: Canvas, layout: str = RGB, out: np.ndarray | None = None) -> np.ndarray:
        """The canvas as bytes, in ``out`` if given (uint8, of ``shape(...)``, contiguous); waits."""
        wanted = shape(canvas.width, canvas.height, layout)
        if canvas.rgb and layout != RGB:
            raise RenderError("BAD_LAYOUT", f"the canvas holds {RGB}, which does not become {layout}.")
        if canvas.picture is not None:
            self.ctx.finish_queue()
            if out is None or out is canvas.picture:
                return canvas.picture
        out = _picture(wanted, out)
        if canvas.picture is not None:
            out[...] = canvas.picture
            return out
        if canvas.rgb:
            return self.ctx.download(canvas.buffer, out)
        length, kernel, queue = canvas.width * canvas.height, self.ctx.kernel, self.ctx.queue
        runs = layout == RGB and self._runs(length) and canvas.width >= contract.RUN_LANES
        width = np.int32(canvas.width)
        target = (
            self.ctx.target(out) if runs or layout != RGB else None
        )  # to_rgb writes beyond the picture's end
        buffer = self._bytes_for(out.size) if target is None else target
        with self.ctx.finished_on_error():
            if runs:
                groups = -(-length // contract.RUN_PIXELS)
                kernel(_FILE, "to_rgb_run")(
                    queue, (groups,), (1,), canvas.buffer, np.int32(length), width, buffer
                )
            elif layout == RGB:
                kernel(_FILE, "to_rgb")(queue, ((length + 3) // 4,), None, canvas.buffer, width, buffer)
            elif layout == RGB10:
                kernel(_FILE, "to_rgb10")(queue, (length,), None, canvas.buffer, buffer)
            else:
                size = (canvas.width // 2, canvas.height // 2)
                kernel(_FILE, "to_yuv420")(queue, size, None, canvas.buffer, buffer)
            if target is None:
                return self.ctx.download(buffer, out)
            self.ctx.finish_queue()
            return out

    def _bytes_for(self, size: int) -> Buffer:
        """The buffer of the last picture's bytes if it is large enough, else a new one."""
        if self._bytes is None or self._bytes[0] < size + 12:  # kernels write whole words
            self._bytes = (size + 12, self.ctx.empty(size + 12))
        return self._bytes[1]

    def paint(
        self,
        samples: Samples,
        style: ColourStyle,
        n: int = 1,
        layout: str = RGB,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """A whole picture from its samples: ``shade`` and ``develop`` in one call."""
        width, height = samples.cols // n, samples.rows // n
        canvas = self._canvas
        if canvas is None or (canvas.width, canvas.height) != (width, height):
            canvas = self._canvas = self.canvas(width, height)
        self.shade(samples, style, canvas, n)
        return self.develop(canvas, layout, out)

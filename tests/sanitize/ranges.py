"""Scenarios of integer ranges: kernels at the greatest indices that a payload may lead to.

A buffer's address is moved back by what its first used element is numbered, so that a few kilobytes stand
for gigabytes: only the last work items run, and a report is due if a number wrapped on its way to memory.
What they make must equal what the same numbers make with small indices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mandel.colour.style import ColourStyle
from mandel.plan.view import View
from mandel.render.direct import DirectIterator
from mandel.render.painter import Painter
from tests.sanitize.compiler import HERE
from tests.sanitize.context import Buffer, HostMemory, SanitizedContext
from tests.sanitize.direct import SEED, TURN

SIDE = 16_384  # pixels; settings.Limits.max_side
PIXELS = SIDE * SIDE
TEXELS = 2**31 - 1  # plan.strips.most_texels is at most so much
I, U, F = np.int32, np.uint32, np.float32  # noqa: E741


@dataclass(frozen=True)
class Moved:
    """A buffer whose first byte is numbered ``by``."""

    buffer: Buffer
    by: int

    @property
    def address(self) -> int:
        return (self.buffer.address - self.by) % 2**64


def nothing(ctx) -> dict[str, np.ndarray]:
    """What these give: they compare on their own."""
    return {}


def _numbers(count: int, seed: int = 5) -> np.ndarray:
    """Canvas pixels."""
    return (np.random.default_rng(seed).integers(0, 1021, (count, 3), U) << np.array([0, 10, 20], U)).sum(
        1, dtype=U
    )


def _equal(ctx, what: str, far: Buffer, near: Buffer) -> None:
    a, b = (ctx.download(buffer, np.empty(buffer.size, np.uint8)) for buffer in (far, near))
    assert np.array_equal(a, b), f"{what}: {np.count_nonzero(a != b)} of {a.size} bytes differ"


def shading(ctx) -> dict[str, np.ndarray]:
    """The last pixels of a canvas, supersampled and not, from a band and from a list."""
    painter = Painter(ctx)
    palette_table = painter._ring(ColourStyle().palette, ColourStyle().interior)
    count, frac = (np.resize(np.arange(1, 99, dtype=kind), 64 * 64) for kind in (I, F))
    values = (
        ctx.upload(count),
        ctx.upload(frac / 99),
        ctx.upload(frac),
        ctx.upload(np.resize(frac, 2 * frac.size)),
    )
    style = (
        I(10**6),
        palette_table.canvas,
        palette_table.light,
        I(palette_table.entries),
        F(0.3),
        F(0.4),
        None,
        None,
        I(0),
        F(1),
        F(0),
        F(0.5),
        F(1),
    )
    for n in (1, 2, 4):
        for extra in (0, 1):
            shade = ctx.kernel(
                "colour.cl", "shade", (("N", n), ("LIST", 0), ("SLOPE", extra), ("DISTANCE", extra))
            )
            far, near = ctx.empty(4 * 256), ctx.empty(4 * 256)
            base = PIXELS - 256
            shade(ctx.queue, (16, 16), None, *values, *style, None, I(base), Moved(far, 4 * base))
            shade(ctx.queue, (16, 16), None, *values, *style, None, I(0), near)
            _equal(ctx, f"shade {n} {extra}", far, near)
            listed = ctx.kernel(
                "colour.cl", "shade", (("N", n), ("LIST", 1), ("SLOPE", extra), ("DISTANCE", extra))
            )
            pixels = np.arange(256, dtype=I)
            listed(
                ctx.queue,
                (256,),
                None,
                *values,
                *style,
                Moved(ctx.upload(pixels + base), 4 * base),
                I(base),
                Moved(far, 4 * base),
            )
            listed(ctx.queue, (256,), None, *values, *style, ctx.upload(pixels), I(0), near)
            _equal(ctx, f"shade {n} {extra} of a list", far, near)
    base, far, near = PIXELS - 4096, ctx.empty(4 * 4096), ctx.empty(4 * 4096)
    run = ctx.kernel("colour.cl", "shade_run")
    head = (
        *values[:2],
        I(10**6),
        palette_table.canvas,
        I(palette_table.entries),
        F(0.3),
        F(0.4),
        None,
        None,
        I(0),
        I(4096),
    )
    run(ctx.queue, (1,), (1,), *head, I(base), Moved(far, 4 * base))
    run(ctx.queue, (1,), (1,), *head, I(0), near)
    _equal(ctx, "shade_run", far, near)
    return {}


def painting(ctx) -> dict[str, np.ndarray]:
    """The last band of a picture, painted as it is iterated."""
    painter, iterator = Painter(ctx), DirectIterator(ctx)
    grid = View(*SEED, "1e-3", 67, 9).grid()
    for rgb in (False, True):
        step, pixels = 3 if rgb else 4, grid.cols * grid.rows
        colour_target = painter.colour_target(ColourStyle(), painter.canvas(grid.cols, grid.rows, rgb))
        base, far, near = PIXELS - pixels, ctx.empty(step * pixels), ctx.empty(step * pixels)
        iterator.paint(grid, 300, 1000.0, replace(colour_target, target=Moved(far, step * base), first=base))
        iterator.paint(grid, 300, 1000.0, replace(colour_target, target=near, first=0))
        _equal(ctx, f"painted, rgb {rgb}", far, near)
    return {}


def developing(ctx) -> dict[str, np.ndarray]:
    """The last pixels of a canvas: edges, lists, bytes."""
    kernel = ctx.kernel
    rows, width = 2, SIDE
    canvas = ctx.upload(_numbers(rows * width))
    base, far, near = PIXELS - rows * width, ctx.empty(rows * width), ctx.empty(rows * width)
    for mark in (far, near):
        mark.bytes()[:] = 0
    mark_edges = kernel("colour.cl", "mark_edges")
    mark_edges(
        ctx.queue,
        (SIDE, SIDE),
        None,
        Moved(canvas, 4 * base),
        U(61),
        Moved(far, base),
        first=(SIDE - 99, SIDE - 1, 0),
    )
    mark_edges(ctx.queue, (SIDE, rows), None, canvas, U(61), near, first=(SIDE - 99, rows - 1, 0))
    _equal(ctx, "mark_edges", far, near)

    runs, found, starts, listed = PIXELS // 64, ctx.empty(4), ctx.upload(np.zeros(1, I)), ctx.empty(4 * 64)
    marks = ctx.upload(np.ones(64, np.uint8))
    last = (runs - 1, 0, 0)
    kernel("colour.cl", "count_marked")(
        ctx.queue,
        (runs,),
        None,
        Moved(marks, PIXELS - 64),
        I(PIXELS),
        Moved(found, 4 * (runs - 1)),
        first=last,
    )
    starts = ctx.upload(np.array([PIXELS - 64], I))
    kernel("colour.cl", "list_marked")(
        ctx.queue,
        (runs,),
        None,
        Moved(marks, PIXELS - 64),
        I(PIXELS),
        Moved(starts, 4 * (runs - 1)),
        Moved(listed, 4 * (PIXELS - 64)),
        first=last,
    )
    assert ctx.download(found, np.empty(1, I))[0] == 64
    assert (ctx.download(listed, np.empty(64, I)) == np.arange(PIXELS - 64, PIXELS)).all()

    canvas = ctx.upload(_numbers(4096))
    base, far, near = PIXELS - 4096, ctx.empty(3 * 4096), ctx.empty(3 * 4096)
    kernel("colour.cl", "to_rgb_run")(
        ctx.queue,
        (PIXELS // 4096,),
        (1,),
        Moved(canvas, 4 * base),
        I(PIXELS),
        I(SIDE),
        Moved(far, 3 * base),
        first=(PIXELS // 4096 - 1, 0, 0),
    )
    # The last row of a picture is an odd one, as is the second row of 2 x 4096 pixels.
    both, pair = ctx.upload(np.resize(_numbers(4096), 2 * 4096)), ctx.empty(6 * 4096)
    kernel("colour.cl", "to_rgb_run")(ctx.queue, (2,), (1,), both, I(2 * 4096), I(4096), pair)
    near = ctx.upload(ctx.download(pair, np.empty(6 * 4096, np.uint8))[3 * 4096 :].copy())
    _equal(ctx, "to_rgb_run", far, near)
    far.bytes()[:] = 0
    kernel("colour.cl", "to_rgb")(
        ctx.queue,
        (PIXELS // 4,),
        None,
        Moved(canvas, 4 * base),
        I(SIDE),
        Moved(far, 3 * base),
        first=(base // 4, 0, 0),
    )
    _equal(ctx, "to_rgb", far, near)

    whole, small = (
        np.zeros(PIXELS * 3 // 2, np.uint8),
        np.zeros(SIDE * 8 * 3 // 2, np.uint8),
    )  # pages nobody touches
    canvas = ctx.upload(_numbers(2 * SIDE))
    kernel("colour.cl", "to_yuv420")(
        ctx.queue,
        (SIDE // 2, SIDE // 2),
        None,
        Moved(canvas, 4 * (PIXELS - 2 * SIDE)),
        HostMemory(whole),
        first=(0, SIDE // 2 - 1, 0),
    )
    # The last rows of the picture have the thresholds of the seventh and eighth.
    kernel("colour.cl", "to_yuv420")(
        ctx.queue,
        (SIDE // 2, 4),
        None,
        Moved(canvas, 4 * (6 * SIDE)),
        HostMemory(small),
        first=(0, 3, 0),
    )
    last = [
        [plane[end - size : end] for end, size in zip(ends, (2 * SIDE, SIDE // 2, SIDE // 2), strict=True)]
        for plane, pixels in ((whole, PIXELS), (small, 8 * SIDE))
        for ends in [(pixels, pixels * 5 // 4, pixels * 3 // 2)]
    ]
    assert all(map(np.array_equal, *last)), "to_yuv420"
    return {}


def locating(ctx) -> dict[str, np.ndarray]:
    """Samples of the last pixels of a list, 4 x 4 a pixel."""
    from mandel.plan.axes import axes, coordinates

    n = 4
    for turn in (1 + 0j, TURN):
        grid = View(*SEED, "1e-3", SIDE, SIDE, turn).grid(n)
        table = axes(grid)
        pixels = np.arange(PIXELS - 8, PIXELS, dtype=I)
        re, im = ctx.empty(8 * 8 * n * n), ctx.empty(8 * 8 * n * n)
        ctx.kernel("points.cl", "locate", (("GEOMETRY", table.geometry), ("N", n)))(
            ctx.queue,
            (8 * n * n,),
            None,
            ctx.upload(table.across),
            ctx.upload(table.down),
            I(grid.cols),
            I(grid.rows),
            I(SIDE),
            Moved(ctx.upload(pixels), 4 * (PIXELS - 8)),
            I(PIXELS - 8),
            I(8 * n * n),
            re,
            im,
        )
        got = ctx.download(re, np.empty(8 * n * n)) + 1j * ctx.download(im, np.empty(8 * n * n))
        last = replace(grid, cols=8 * n, rows=n, x0=grid.x0 + grid.cols - 8 * n, y0=grid.y0 - grid.rows + n)
        c = coordinates(axes(last), last.cols, last.rows)
        want = np.stack([c[:, n * k : n * k + n].ravel() for k in range(8)]).ravel()
        assert np.abs(got - want).max() < 1e-15, turn
    return {}


def texels(ctx) -> dict[str, np.ndarray]:
    """Levels and frames at the last texels that int32 numbers."""
    cols, rows, size = 16, 4, 16 * 4 + 8 * 2 + 64
    base = TEXELS - size
    for file, name, source, to in (
        ("resample.cl", "halve", 0, 64),
        ("raw_strip.cl", "repeat", 0, 64),
        ("resample.cl", "to_texels", None, 64),
    ):
        far, near = ctx.upload(_numbers(size)), ctx.upload(_numbers(size))
        for buffer, first in ((far, base), (near, 0)):
            target = Moved(buffer, 4 * first)
            if source is None:
                canvas = ctx.upload(_numbers(cols * rows, 8))
                ctx.kernel(file, name)(ctx.queue, (cols, rows), None, canvas, I(to + first), I(cols), target)
            else:
                shape = (8, 2) if name == "halve" else (8, 8)
                ctx.kernel(file, name)(ctx.queue, shape, None, target, I(source + first), I(to + first))
        _equal(ctx, name, far, near)

    far, near, around = ctx.empty(4 * 64), ctx.empty(4 * 64), 64
    pixels, source = ctx.empty(8 * 64), ctx.upload(_numbers(around * 64))
    ctx.kernel("resample.cl", "polar")(ctx.queue, (8, 8), None, pixels, F(0), F(0))
    curve = ctx.upload(np.arange(4096, dtype=U) // 4)
    for out, first in ((far, TEXELS - around * 64), (near, 0)):
        places = np.array([[first, 0, 63, 0]], I)
        ctx.kernel("resample.cl", "resample", (("TAPS", 4), ("COARSEST", 0)))(
            ctx.queue,
            (8, 8),
            None,
            Moved(source, 4 * first),
            pixels,
            ctx.upload(places),
            I(around),
            I(0),
            F(30),
            F(3),
            F(around / (2 * np.pi)),
            F(2),
            curve,
            out,
            F(0),
            F(0),
        )
    _equal(ctx, "resample", far, near)

    last = SIDE - 1
    far, near = ctx.empty(8 * SIDE), np.empty((SIDE, 2), F)
    ctx.kernel("resample.cl", "polar")(
        ctx.queue, (SIDE, SIDE), None, Moved(far, 8 * (PIXELS - SIDE)), F(0), F(0), first=(0, last, 0)
    )
    x, y = np.arange(SIDE) - last / 2, last / 2 - last
    near[:, 0], near[:, 1] = np.arctan2(y, x), 0.5 * np.log2(x * x + y * y)
    assert np.allclose(ctx.download(far, np.empty((SIDE, 2), F)), near, atol=1e-5), "polar"
    return {}


def counts(ctx) -> dict[str, np.ndarray]:
    """Numbers that go with the greatest count, 2e9, and the largest blocks."""
    own = SanitizedContext(folder=HERE)
    out = own.empty(12)
    for block in (8, 16, 32):
        for blocks in (0, 1, 3, 2_000_000_000 // block, (2_000_000_000 + 2 * block) // block):
            own.kernel("ranges.cl", "of_blocks", (("WIDTH", 4),))(
                own.queue, (1,), None, I(blocks), I(block), out
            )
            gap, later, trial = own.download(out, np.empty(3, I)).tolist()
            assert later == blocks + gap > blocks and 64 <= trial <= 250_000_008
    for count in (1, 2_000_000_000, 2_000_000_001):
        own.kernel("ranges.cl", "of_states", (("WIDTH", 4),))(own.queue, (1,), None, I(count), out)
        assert own.download(out, np.empty(3, I))[:2].all()
    return {}


ALL = {f.__name__: f for f in (shading, painting, developing, locating, texels, counts)}

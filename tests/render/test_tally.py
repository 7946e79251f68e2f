"""What is counted on the device equals what numpy counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mandel import notes
from mandel.colour import palettes
from mandel.colour.style import ColourStyle
from mandel.device.context import device_context
from mandel.kernels.contract import TALLY_RUN
from mandel.plan.blocks import blocks as blocks_of
from mandel.plan.grid import POLAR, Grid
from mandel.plan.strip_plan import StripPlan
from mandel.plan.view import View
from mandel.plan.zoom import Zoom
from mandel.render.direct import VARIANTS, DirectIterator
from mandel.render.frame import FrameRenderer
from mandel.render.painter import Painter
from mandel.render.raw_strip import RawStrip, RawStripWriter
from mandel.render.rounds import Pace
from mandel.render.samples import Outputs
from mandel.render.strip import StripRenderer
from mandel.render.tally import Reached, Tally, black_share, is_flat

LIMIT = 150
# The period-2 bulb's edge, a minibrot far off the bulbs, all inside, all outside.
CENTRES = [
    ("-0.75", "0.1", "0.3"),
    ("-1.7548776662466927", "0", "0.05"),
    ("-0.1", "0.1", "1e-3"),
    ("-0.7", "0.5", "1e-3"),
]
SIZES = [(1, 1), (3, 7), (16, 5), (17, 1), (67, 41), (160, 90), (509, 23)]


def found(count: np.ndarray, maxiter: int) -> Reached:
    """What numpy counts."""
    inside, late = count > maxiter, (count > maxiter // 2) & (count <= maxiter)
    return Reached(count.size, int(inside.sum()), int(late.sum()), maxiter)


def geometry(kind: str, re: str, im: str, delta: str, cols: int, rows: int) -> Grid:
    view = View(re, im, delta, cols, rows)
    if kind == "turned":
        return replace(view, turn=0.6 + 0.8j).grid()
    if kind == "polar":
        grid = view.grid()
        return Grid(re, im, grid.scale * cols, cols, rows, x0=0.5, y0=0.5, kind=POLAR, around=4 * cols)
    return view.grid()


@pytest.mark.parametrize("centre", CENTRES)
@pytest.mark.parametrize(
    "variant, kind",
    [
        *((name, "plane") for name in VARIANTS),
        ("16 lanes x 2", "turned"),
        ("4 lanes x 4", "polar"),
        ("scalar", "polar"),
    ],
)
def test_all_variants_paints_and_awkward_sizes(variant, kind, centre):
    ctx = device_context("cpu")
    iterator, painter = DirectIterator(ctx, variant), Painter(ctx)
    for cols, rows in SIZES:
        grid = geometry(kind, *centre, cols, rows)
        tally = Tally(ctx, LIMIT)
        samples = iterator.iterate(grid, LIMIT, 1000.0, tally=tally)
        expected = found(ctx.download(samples.count, np.empty((rows, cols), np.int32)), LIMIT)
        assert tally.read() == expected
        if not iterator.fuses_colouring(Outputs()):
            continue
        for rgb in (False, True):
            tally, canvas = Tally(ctx, LIMIT), painter.canvas(cols, rows, rgb)
            iterator.paint(grid, LIMIT, 1000.0, painter.colour_target(ColourStyle(), canvas), tally)
            ctx.finish_queue()
            assert tally.read() == expected


@pytest.mark.parametrize(
    "view, maxiter",
    [
        (View("-0.75", "0.1", "0.3", 67, 41), LIMIT),
        (View("-1.7490812690053707442832620219208639942586460813548838", "0", "5.414e-21", 67, 41), 1000),
    ],
)
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"layout": "yuv420"},
        {"supersampling": 3},
        {"supersampling": 3, "adaptive": True},
        {"style": ColourStyle(relief=0.5)},
        {"style": ColourStyle(edge=2.0)},
    ],
)
@pytest.mark.parametrize("settings", [{}, {"band_bytes": 2 * 20 * 201 * 6}, {"timed": True}])
def test_pictures(view, maxiter, how, settings):
    how = {"style": ColourStyle(), **how}
    if how.get("layout"):
        view = replace(view, width=66, height=40)
    renderer = FrameRenderer(device_context("cpu"), **settings)
    n = 1 if how.get("adaptive") else how.get("supersampling", 1)
    count, _ = renderer.raw(replace(view, width=view.width * n, height=view.height * n), maxiter, 1000.0)
    expected = found(count, maxiter)
    assert renderer.reached == expected
    renderer.reached = Reached()
    renderer.picture(view, maxiter, 1000.0, **how)
    assert renderer.reached == expected
    assert 0 < expected.reached < expected.samples


def test_strips_made_and_painted_again():
    """Their samples, of all blocks; a wide frame's outer strips are cropped."""
    strips = StripPlan(Zoom("-0.75", "0.1", "2.5", "1e-2", 20, 96, 54), 1.1)
    frames = FrameRenderer(device_context("cpu"), band_bytes=60_000)
    renderer = StripRenderer(frames)
    for strip in range(strips.last + 1):
        layout, blocks = strips.layout(strip), blocks_of(strips, strip)
        writer = RawStripWriter(LIMIT, 1000.0)
        renderer.render(layout, blocks, LIMIT, 1000.0, ColourStyle(), writer)
        counts = []
        for block in blocks:
            samples = frames.samples(block.grid, LIMIT, 1000.0)
            shape = (block.grid.rows, block.grid.cols)
            counts.append(frames.context.download(samples.count, np.empty(shape, np.int32)).ravel())
        expected = found(np.concatenate(counts), LIMIT)
        assert renderer.reached == expected
        renderer.reached = Reached()
        renderer.repaint(layout, layout.finest, RawStrip(writer.data()), ColourStyle())
        assert renderer.reached == expected
    assert any(len(blocks_of(strips, strip)) > 1 for strip in range(strips.last + 1))


def test_a_limit_near_the_largest():
    """The views escape long before; nothing overflows."""
    ctx, most = device_context("cpu"), 2_000_000_000
    tally = Tally(ctx, most)
    DirectIterator(ctx).iterate(View("-0.1", "0.1", "1e-3", 67, 41).grid(), most, 1000.0, tally=tally)
    DirectIterator(ctx, "scalar").iterate(
        View("-0.7", "0.5", "1e-3", 67, 41).grid(), most, 1000.0, tally=tally
    )
    ctx.finish_queue()
    assert tally.read() == Reached(2 * 67 * 41, 67 * 41, 0, most)


def test_flat_pictures():
    rgb, yuv = np.full((40, 60, 3), 7, np.uint8), np.full((60, 60), 16, np.uint8)
    yuv[40:50], yuv[50:] = 120, 200  # the chroma planes
    assert is_flat(rgb) and is_flat(yuv)
    for picture in (rgb, yuv):
        for place in [(3, 5), (39, 59), (-1, -1)]:
            other = picture.copy()
            other[place] += 2
            assert is_flat(other)
            other[place] += 1
            assert not is_flat(other), place
    yuv[45, 30] -= 5
    assert not is_flat(yuv)
    assert not is_flat(np.zeros((6, 8, 3), np.uint8)), "too few pixels to speak of"


def test_only_the_interior_is_black():
    """No palette comes near, so that black pixels can be counted."""
    renderer = FrameRenderer(device_context("cpu"))
    for palette in palettes.NAMES:
        for view in (
            View("-0.75", "0.1", "0.3", 960, 540),
            View("-1.338238635", "-0.057237059", "1e-4", 960, 540),
        ):
            style = ColourStyle(palette=palette)
            share = black_share(renderer.picture(view, 2000, 1000.0, style, layout="yuv420"))
            assert share == pytest.approx(renderer.reached.reached / renderer.reached.samples, abs=2e-3)


@pytest.mark.parametrize("group", [1, 64, 256])
@pytest.mark.parametrize("length", [1, 15, 4096, 4097, 100_003])
def test_the_kernel_in_the_forms_for_cpus_and_gpus(group, length):
    """CPUs run both."""
    ctx, limit = device_context("cpu"), 1001
    count = np.random.default_rng(length).integers(1, 2 * limit, length, np.int32)
    count[::7], count[::11] = limit, limit // 2
    runs = -(-length // TALLY_RUN)
    out = ctx.empty(8 * runs)
    ctx.kernel("tally.cl", "tally", (("GROUP", group),))(
        ctx.queue, (runs * group,), (group,), ctx.upload(count), np.int32(length), np.int32(limit), out
    )
    sums = ctx.download(out, np.empty((runs, 2), np.int32)).sum(axis=0)
    expected = found(count, limit)
    assert tuple(sums) == (expected.reached, expected.late)


@pytest.mark.parametrize(
    "re, im, delta, maxiter, short",
    [
        ("-0.75", "0", "2.5", 1000, False),
        ("-1.338238635", "-0.057237059", "4.2e-4", 1000, True),
        ("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139", "2e-8", 1000, True),
        ("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139", "9.2e-3", 1000, True),
        ("-1.7548776662466927", "0", "0.05", 1000, False),
        ("0.2501", "0", "4.4e-6", 5000, True),
        ("-0.16", "1.04", "1e-2", 1000, False),
        ("-0.7", "0.3", "1e-3", 100, False),
    ],
)
def test_frames_that_lack_iterations_are_told_from_those_that_do_not(re, im, delta, maxiter, short):
    """By what the same samples do with 32 times the limit."""
    renderer, view = FrameRenderer(device_context("cpu")), View(re, im, delta, 160, 90)
    count, _ = renderer.raw(view, 32 * maxiter)
    lacking = ((count > maxiter) & (count <= 32 * maxiter)).mean()
    assert (lacking >= 0.01) == short
    renderer.picture(view, maxiter, 1000.0, ColourStyle())
    reached = renderer.reached
    told = notes.of_frame(
        0,
        {
            "flat": False,
            "reached": reached.reached / reached.samples,
            "late": reached.late / reached.samples,
            "maxiter": maxiter,
        },
    )
    assert ("short" in told) == short


@pytest.mark.parametrize("variant", ["scalar", "4 lanes x 4", "16 lanes x 2"])
def test_work_in_rounds_is_counted_once(variant):
    ctx, grid = device_context("cpu"), View("-0.75", "0.1", "0.3", 67, 41).grid()
    pace = Pace(1, 1e-9)
    iterator, tally = DirectIterator(ctx, variant, pace=pace), Tally(ctx, LIMIT)
    samples = iterator.iterate(grid, LIMIT, 1000.0, tally=tally)
    expected = found(ctx.download(samples.count, np.empty((41, 67), np.int32)), LIMIT)
    assert tally.read() == expected and expected.reached > 100
    assert pace.steps != 1e-9, "there was more than one round"

"""Frames in bands: the same picture and bounded memory, whatever the bands."""

from __future__ import annotations

import numpy as np
import pytest

from mandel.colour.style import ColourStyle
from mandel.device.context import device_context
from mandel.plan.view import View
from mandel.render import frame
from mandel.render.frame import FrameRenderer, bands

VIEW = View("-1.338238635", "-0.057237059", "0.05", 64, 48)


@pytest.mark.parametrize("layout", ["rgb", "yuv420"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_bands_leave_no_trace(layout, n):
    ctx, style = device_context("cpu"), ColourStyle(relief=0.5, edge=1.0)
    whole = FrameRenderer(ctx).picture(VIEW, 300, 1000.0, style, n, layout)
    # Room for a handful of rows.
    banded = FrameRenderer(ctx, band_bytes=2 * 20 * 64 * n * 5).picture(VIEW, 300, 1000.0, style, n, layout)
    assert (whole == banded).all()
    assert whole.shape == ((48, 64, 3) if layout == "rgb" else (72, 64))
    assert whole.std() > 10


@pytest.mark.parametrize(
    "rows, cols, step", [(1000, 1000, 1), (4320, 7680, 4), (16384, 16384, 2), (4, 65536, 4)]
)
def test_bands_are_whole_and_within_the_bound(rows, cols, step):
    found = bands(rows, cols, step)
    assert [first for first, _ in found] == list(np.cumsum([0] + [n for _, n in found])[:-1])
    assert sum(n for _, n in found) == rows
    assert all(n % step == 0 for _, n in found)
    # Two bands in flight, 20 bytes a sample with every output.
    assert all(2 * 20 * n * cols <= frame.BAND_BYTES or n == step for _, n in found)


def test_a_large_frame_takes_no_more_than_the_bound(monkeypatch):
    """Peak of what is asked of the device, over a frame of nine megasamples."""
    ctx = device_context("cpu")
    view, asked = View("-0.75", "0", "3", 1000, 1000), []
    renderer = FrameRenderer(ctx, band_bytes=2**23)
    renderer.picture(view, 20, 1000.0, ColourStyle(), 3)
    empty = ctx.empty
    monkeypatch.setattr(ctx, "empty", lambda nbytes: asked.append(nbytes) or empty(nbytes))
    renderer.picture(view, 20, 1000.0, ColourStyle(), 3)
    canvas = 4 * (1000 * 1000 + 3)
    assert max(n for n in asked if n != canvas) <= 2**23 // 4


def test_raw_is_what_the_picture_is_made_of():
    count, smooth = FrameRenderer(device_context("cpu")).raw(VIEW, 300)
    assert count.shape == smooth.shape == (48, 64)
    assert count.dtype == np.int32 and smooth.dtype == np.float32
    assert (smooth[count > 300] == 0).all()
    out = count <= 300
    assert (np.abs(smooth[out] - count[out]) < 4).all()


@pytest.mark.parametrize("width, height", [(131, 67), (64, 48), (3, 5), (17, 1)])
@pytest.mark.parametrize("layout", ["rgb", "yuv420"])
def test_samples_coloured_as_they_are_made_look_the_same(width, height, layout):
    """Timed, each step is a kernel of its own; in small bands no tile is whole."""
    if layout == "yuv420":
        width, height = 2 * width, 2 * height
    ctx = device_context("cpu")
    view, args = (
        View("-1.338238635", "-0.057237059", "2.5", width, height),
        (300, 1000.0, ColourStyle(), 1, layout),
    )
    whole = FrameRenderer(ctx).picture(view, *args)
    assert (whole == FrameRenderer(ctx, timed=True).picture(view, *args)).all()
    assert (whole == FrameRenderer(ctx, band_bytes=2 * 20 * width).picture(view, *args)).all()


def test_timing_tells_steps_apart():
    renderer = FrameRenderer(device_context("cpu"), timed=True)
    renderer.picture(VIEW, 300, 1000.0, ColourStyle())
    assert 0 < renderer.timing.samples < renderer.timing.total
    assert renderer.timing.arithmetic == "double"


@pytest.mark.parametrize("style", [ColourStyle(), ColourStyle(relief=0.5, edge=1.0)])
@pytest.mark.parametrize("n", [2, 3])
def test_adaptive_supersampling_is_full_where_it_refines_and_single_elsewhere(n, style):
    renderer, args = FrameRenderer(device_context("cpu")), (300, 1000.0, style)
    once, full = (renderer.picture(VIEW, *args, m) for m in (1, n))
    adaptive = renderer.picture(VIEW, *args, n, adaptive=True)
    share = renderer.timing.refined
    refined, kept = ((adaptive == other).all(axis=2) for other in (full, once))
    assert (refined | kept).all()
    assert 0.1 < share < 0.9
    assert (~kept).mean() <= share <= refined.mean() + kept.mean()
    assert (~refined).mean() <= 1 - share
    assert ((adaptive.astype(float) - full) ** 2).mean() < 0.2 * ((once.astype(float) - full) ** 2).mean()


@pytest.mark.parametrize(
    "view",
    [
        VIEW,
        View("-1.338238635", "-0.057237059", "0.05", 63, 47, turn=complex(0.6, 0.8)),
        View("-0.10109636384562", "0.95628651080914", "1e-11", 64, 48),
    ],
)
def test_adaptive_supersampling_knows_no_bands(view):
    style, args = ColourStyle(), (1500, 1000.0)
    ctx = device_context("cpu")
    whole = FrameRenderer(ctx).picture(view, *args, style, 2, adaptive=True)
    small = FrameRenderer(ctx, band_bytes=2 * 20 * 64 * 5)
    banded = small.picture(view, *args, style, 2, adaptive=True)
    assert small.timing.refined > 0.05
    if small.timing.arithmetic == "double":
        assert (whole == banded).all()
    else:  # groups in lockstep differ, and so does rounding, far below a level
        assert (whole != banded).mean() < 0.01


def test_adaptive_supersampling_of_a_flat_picture():
    renderer = FrameRenderer(device_context("cpu"))
    picture = renderer.picture(View("0", "0", "0.1", 8, 8), 100, 1000.0, ColourStyle(), 2, adaptive=True)
    assert (picture == 0).all() and renderer.timing.refined == 0


@pytest.mark.parametrize("layout", ["rgb", "yuv420"])
def test_a_picture_goes_where_it_is_wanted(layout):
    """Into the caller's memory, whatever its address; nothing before it or behind it is touched."""
    renderer, size = FrameRenderer(device_context("cpu")), 64 * 48 * 3 // (1 if layout == "rgb" else 2)
    shape = (48, 64, 3) if layout == "rgb" else (72, 64)
    expected = renderer.picture(VIEW, 300, 1000.0, ColourStyle(), 1, layout)
    memory = np.full(size + 64, 7, np.uint8)
    for first in (1, 16, 37):
        memory[:] = 7
        out = memory[first : first + size].reshape(shape)
        assert renderer.picture(VIEW, 300, 1000.0, ColourStyle(), 1, layout, out) is out
        assert (out == expected).all()
        assert (memory[:first] == 7).all() and (memory[first + size :] == 7).all()

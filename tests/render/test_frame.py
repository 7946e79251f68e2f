"""Frames in bands: the same picture and bounded memory, whatever the bands."""

from __future__ import annotations

import numpy as np
import pytest

from mandel.colour.look import Look
from mandel.device.context import device_context
from mandel.plan.view import View
from mandel.render import frame
from mandel.render.frame import FrameRenderer, bands

VIEW = View("-1.338238635", "-0.057237059", "0.05", 64, 48)


@pytest.mark.parametrize("layout", ["rgb", "yuv420"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_bands_leave_no_trace(layout, n):
    ctx, look = device_context("cpu"), Look(relief=0.5, edge=1.0)
    whole = FrameRenderer(ctx).picture(VIEW, 300, 1000.0, look, n, layout)
    # Room for a handful of rows.
    banded = FrameRenderer(ctx, band_bytes=2 * 20 * 64 * n * 5).picture(VIEW, 300, 1000.0, look, n, layout)
    assert (whole == banded).all()
    assert whole.shape == ((48, 64, 3) if layout == "rgb" else (72, 64))
    assert whole.std() > 10


@pytest.mark.parametrize("rows, cols, step", [(1000, 1000, 1), (4320, 7680, 4), (16384, 16384, 2), (4, 65536, 4)])
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
    renderer.picture(view, 20, 1000.0, Look(), 3)
    empty = ctx.empty
    monkeypatch.setattr(ctx, "empty", lambda nbytes: asked.append(nbytes) or empty(nbytes))
    renderer.picture(view, 20, 1000.0, Look(), 3)
    canvas = 4 * (1000 * 1000 + 3)
    assert max(n for n in asked if n != canvas) <= 2**23 // 4


def test_raw_is_what_the_picture_is_made_of():
    count, smooth = FrameRenderer(device_context("cpu")).raw(VIEW, 300)
    assert count.shape == smooth.shape == (48, 64)
    assert count.dtype == np.int32 and smooth.dtype == np.float32
    assert (smooth[count > 300] == 0).all()
    out = count <= 300
    assert (np.abs(smooth[out] - count[out]) < 4).all()


def test_timing_tells_steps_apart():
    renderer = FrameRenderer(device_context("cpu"), timed=True)
    renderer.picture(VIEW, 300, 1000.0, Look())
    assert 0 < renderer.timing.samples < renderer.timing.total
    assert renderer.timing.arithmetic == "double"

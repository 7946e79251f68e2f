"""The way of a GPU, on a CPU: what a frame brings to the device takes no memory anew."""

from dataclasses import replace

import numpy as np
import pytest

from mandel.colour.style import ColourStyle
from mandel.device.choose import choose
from mandel.device.context import DeviceContext, device_context
from mandel.plan.view import View
from mandel.render.frame import FrameRenderer


@pytest.fixture
def distant() -> DeviceContext:
    return DeviceContext(replace(choose("cpu").device, kind="gpu"))


def test_a_small_array_is_copied_at_once_however_many_follow(distant):
    array, kept = np.zeros(1000, np.int32), []
    for number in range(300):
        array[:] = number
        kept.append(distant.upload(array))
    for number, buffer in enumerate(kept):
        assert (distant.download(buffer, np.empty(1000, np.int32)) == number).all()
    distant.upload(array)
    assert len(distant._uploads) <= 1  # those that are over are forgotten


@pytest.mark.parametrize(
    "view", [View("-0.75", "0.1", "0.3", 64, 36), View("-1.7490812690237", "0", "1e-12", 64, 36)]
)
@pytest.mark.parametrize("adaptive", [False, True])
def test_frames_after_the_first_allocate_nothing(distant, view, adaptive, monkeypatch):
    renderer, near, made = FrameRenderer(distant), FrameRenderer(device_context("cpu")), []
    allocate = distant.cl.Buffer
    monkeypatch.setattr(
        distant.cl, "Buffer", lambda *some, **more: made.append(some) or allocate(*some, **more)
    )
    for number in range(4):
        before, held = len(made), distant._pool.managed_bytes
        picture = renderer.picture(view, 500, 1024.0, ColourStyle(), 2, adaptive=adaptive)
        assert number < 2 or (len(made), distant._pool.managed_bytes) == (before, held)
        assert np.array_equal(picture, near.picture(view, 500, 1024.0, ColourStyle(), 2, adaptive=adaptive))
        assert renderer.reached == near.reached and renderer.reached.samples > 0
    assert made  # tables are kept

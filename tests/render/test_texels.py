"""Texels that stay in a buffer from frame to frame: each frame is what a new resampler makes of it."""

from dataclasses import replace

import numpy as np
import pytest

from mandel.device.choose import choose
from mandel.device.context import DeviceContext, device_context
from mandel.driver.recipes.recipe import FRAME, WorkItem
from mandel.driver.recipes.shared import SharedRecipe
from mandel.payload.payload import parse
from mandel.plan.strip_plan import Layout
from mandel.render.resampler import Resampler
from mandel.render.texels import TexelWindows

ZOOM = {"sampling": "shared", "point": "0,0", "start_delta": "2", "end_delta": "1e-3", "num_frames": 240}


class Zoom:
    """Units of a zoom and arrays of noise in place of its strips."""

    def __init__(self, seed=1, **fields):
        self.recipe = SharedRecipe(parse(ZOOM | {"frame_width": 48, "frame_height": 32} | fields))
        self._strips, self._random = {}, np.random.default_rng(seed)

    def frame(self, number):
        unit = self.recipe.unit(WorkItem(FRAME, number))
        return unit, [self._levels(part) for part in unit.parts]

    def _levels(self, part):
        whole = Layout(part.layout.around, part.layout.rows, 0)
        if part.strip not in self._strips:
            self._strips[part.strip] = self._random.integers(0, 2**30, whole.size, np.uint32)
        return self._strips[part.strip][whole.offset(part.layout.finest) :]


def shown(unit, arrays, places, buffer, beyond):
    """Whether the buffer has, where ``places`` says, the rows that the unit sees."""
    for seen in unit.seen:
        height, cols = unit.rows >> seen.level, unit.around >> seen.level
        at, first, last, _ = places[seen.level].tolist()
        assert (first, last) == (seen.first - unit.first * height, seen.last - unit.first * height)
        rows = buffer[at : at + (last - first + 1) * (cols + beyond)].reshape(-1, cols + beyond)
        for part, array in zip(unit.parts, arrays, strict=True):
            if seen.level not in part.levels:
                continue
            held = array[part.offset(seen.level) :][: height * cols].reshape(height, cols)
            begin = part.strip * height
            low, high = max(seen.first, begin), min(seen.last + 1, begin + height)
            if low < high:
                there = rows[low - seen.first : high - seen.first, :cols]
                assert np.array_equal(there, held[low - begin : high - begin])


JUMPS = [0, 1, 2, 3, 60, 61, 59, 200, 5, 239, 238, 100, 100]
# Frames, and the share of what they see that is copied at most.
WAYS = {
    "in": (list(range(240)), 0.3),
    "out": (list(range(239, -1, -1)), 0.3),
    "by turns": (list(range(0, 240, 7)), 0.8),
    "jumps": (JUMPS, 1.0),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("beyond", [0, 3])
def test_what_a_frame_sees_is_there(way, beyond):
    zoom, windows, buffer, copied, needed = Zoom(), TexelWindows(beyond), np.zeros(0, np.uint32), 0, 0
    numbers, share = WAYS[way]
    for number in numbers:
        unit, arrays = zoom.frame(number)
        places, copies = windows.arrange(unit)
        if windows.size > len(buffer):
            windows.forget()
            places, copies = windows.arrange(unit)
            buffer = np.zeros(windows.size, np.uint32)
        for at, part, start, rows, cols in copies:
            assert at + rows * (cols + beyond) <= windows.size
            to = buffer[at : at + rows * (cols + beyond)].reshape(rows, cols + beyond)
            to[:, :cols] = arrays[part][start : start + rows * cols].reshape(rows, cols)
            copied += rows * cols
        needed += sum((seen.last - seen.first + 1) * (unit.around >> seen.level) for seen in unit.seen)
        shown(unit, arrays, places, buffer, beyond)
    assert copied < share * needed
    assert windows.size < 2 * needed / len(numbers)  # bounded, however long a zoom is


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_frames_by_turns_of_two_zooms_are_what_new_resamplers_make(kind):
    """The way of a GPU, too, on a CPU."""
    context = DeviceContext(replace(choose("cpu").device, kind=kind))
    kept, zooms = Resampler(context), [Zoom(1), Zoom(2, frame_width=90, point="0.1,0")]
    for zoom, number in [
        (0, 0),
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 1),
        (0, 2),
        (0, 40),
        (0, 41),
        (0, 30),
        (1, 239),
        (1, 238),
    ]:
        unit, arrays = zooms[zoom].frame(number)
        assert np.array_equal(
            kept.picture(unit, arrays, "rgb10"), Resampler(context).picture(unit, arrays, "rgb10")
        )


def test_after_an_error_nothing_is_taken_to_be_there():
    zoom, kept = Zoom(), Resampler(device_context("cpu"))
    kept.picture(*zoom.frame(3), "rgb")
    unit, arrays = zoom.frame(20)
    with pytest.raises(ValueError, match="shape"):
        kept.picture(unit, [array[:1] for array in arrays], "rgb")
    assert np.array_equal(
        kept.picture(unit, arrays, "rgb"), Resampler(device_context("cpu")).picture(unit, arrays, "rgb")
    )


def test_after_an_error_places_of_pixels_are_made_again(monkeypatch):
    unit, arrays = Zoom().frame(3)
    aside, kept = replace(unit, aside=9 + 5j), Resampler(device_context("cpu"))
    kept.picture(unit, arrays, "rgb")
    find = kept.ctx.kernel

    def failing(file, name, *more):
        if name == "polar":
            raise MemoryError("injected")
        return find(file, name, *more)

    with monkeypatch.context() as broken:
        broken.setattr(kept.ctx, "kernel", failing)
        with pytest.raises(MemoryError, match="injected"):
            kept.picture(aside, arrays, "rgb")
    anew = Resampler(device_context("cpu")).picture(aside, arrays, "rgb")
    assert np.array_equal(kept.picture(aside, arrays, "rgb"), anew)


def test_spare_rows_are_left_out_where_int32_could_not_number_them(monkeypatch):
    zoom, windows = Zoom(), TexelWindows(0)
    unit, _ = zoom.frame(0)
    monkeypatch.setattr("mandel.render.texels._MOST_TEXELS", 1)
    windows.arrange(unit)
    assert windows.size == sum((s.last - s.first + 1) * (unit.around >> s.level) for s in unit.seen)

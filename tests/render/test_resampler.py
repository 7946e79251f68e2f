"""The kernel that makes frames from texels, against the same filter in plain numpy."""

import json

import numpy as np
import pytest

from mandel.colour.transfer import encode_srgb
from mandel.device.context import device_context
from mandel.driver.recipes.recipe import FRAME, WorkItem
from mandel.driver.recipes.shared import SharedRecipe
from mandel.kernels.contract import RUN_LANES
from mandel.payload.payload import parse
from mandel.plan.strip_plan import FINEST, TAPS
from mandel.protocol.strict_json import loads
from mandel.render.resampler import Resampler

SOFT = 1.4


def frame_of(**fields):
    fields |= {"sampling": "shared", "point": "0,0", "start_delta": "1", "num_frames": 3}
    recipe = SharedRecipe(parse(loads(json.dumps(fields).encode())))
    return recipe.unit(WorkItem(FRAME, 1))


def inputs(unit, texels):
    """Arrays for the unit's parts, of what ``texels(count)`` gives."""
    return [texels(part.layout.size) for part in unit.parts]


def rows_of(unit, arrays):
    """(level, row of the whole map) -> linear light of its texels, (cols, 3)."""
    found = {}
    for part, array in zip(unit.parts, arrays, strict=True):
        for level in part.levels:
            rows, cols = part.layout.shape(level)
            block = array[part.offset(level) :][: rows * cols].reshape(rows, cols, 1)
            light = ((block >> np.array([0, 10, 20])) & 1023).astype(float) ** 2
            found |= {(level, part.strip * rows + k): light[k] for k in range(rows)}
    return found


def resampled(unit, arrays) -> np.ndarray:
    """The frame, RGB: for each pixel a block of texels, weighted by the pixel's square."""
    rows, picture = rows_of(unit, arrays), np.zeros((unit.height, unit.width, 3))
    per_e, seen = unit.around / (2 * np.pi), {r.level: r for r in unit.seen}
    for j, i in np.ndindex(unit.height, unit.width):
        x, y = i - (unit.width - 1) / 2, (unit.height - 1) / 2 - j
        radius = np.hypot(x, y)
        level = int(np.clip(np.floor(np.log2(per_e / FINEST / radius)), 0, unit.rows.bit_length() - 1))
        u = (unit.column + per_e * np.arctan2(y, x)) / 2**level - 0.5
        v = (unit.origin - per_e * np.log(radius)) / 2**level - 0.5
        near = np.arange(TAPS) - (TAPS // 2 - 1)
        columns, lines = np.floor(u).astype(int) + near, np.floor(v).astype(int) + near
        du, dv = np.meshgrid(columns - u, lines - v)
        side = per_e / radius / 2**level
        right, up = np.abs(du * y + dv * x) / radius, np.abs(du * x - dv * y) / radius
        weight = np.prod([np.clip((side / 2 - d) / SOFT + 0.5, 0, 1) for d in (right, up)], axis=0)
        held = [rows[level, int(np.clip(line, seen[level].first, seen[level].last))] for line in lines]
        light = np.stack([row[columns % len(row)] for row in held])
        picture[j, i] = (weight[..., None] * light).sum((0, 1)) / weight.sum() / 1023**2
    return 255 * encode_srgb(picture)


@pytest.mark.parametrize(
    "fields",
    [
        {"frame_width": 48, "frame_height": 32, "end_delta": "0.3"},
        {"frame_width": 20, "frame_height": 60, "end_delta": "3", "rotation": "50"},
        {"frame_width": 40, "frame_height": 24, "end_delta": "0.7", "strip_density": "0.6"},
        {"frame_width": 24, "frame_height": 24, "end_delta": "0.7", "strip_density": "3"},
    ],
    ids=["in", "out, turned", "coarse", "fine"],
)
def test_frames_are_what_the_definition_says(fields):
    unit, random = frame_of(**fields), np.random.default_rng(1)
    arrays = inputs(unit, lambda count: random.integers(0, 2**30, count, np.uint32))
    picture = Resampler(device_context("cpu")).picture(unit, arrays, "rgb")
    error = np.abs(picture - resampled(unit, arrays))
    # Where a pixel lies on the border between two blocks, rounding decides for one.
    assert np.quantile(error, 0.99) < 1 and error.max() < 12


@pytest.mark.parametrize("texel, colour", [(0, 0), (2**30 - 1, 255)])
def test_one_colour_stays_that_colour(texel, colour):
    unit = frame_of(frame_width=64, frame_height=36, end_delta="0.5")
    picture = Resampler(device_context("cpu")).picture(
        unit, inputs(unit, lambda count: np.full(count, texel, np.uint32)), "rgb"
    )
    assert (picture == colour).all()


def test_a_larger_frame_after_a_smaller_one():
    """Buffers grow; what an earlier frame left in them shows nowhere."""
    resampler, made = Resampler(device_context("cpu")), []
    for width in (24, 80, 24):
        unit = frame_of(frame_width=width, frame_height=24, end_delta="0.5")
        random = np.random.default_rng(2)
        arrays = inputs(unit, lambda count: random.integers(0, 2**30, count, np.uint32))
        made.append(resampler.picture(unit, arrays, "rgb"))
    assert np.array_equal(made[0], made[2])


@pytest.mark.parametrize(
    "fields",
    [
        {"frame_width": 406, "frame_height": 132, "end_delta": "0.3"},
        {"frame_width": 16, "frame_height": 70, "end_delta": "3", "rotation": "350"},
        {"frame_width": 38, "frame_height": 2, "end_delta": "0.7", "strip_density": "3"},
    ],
    ids=["several work items", "narrow", "flat"],
)
def test_one_kernel_for_all_frames_and_the_one_for_cpus_make_the_same_bits(fields, monkeypatch):
    unit, random = frame_of(**fields), np.random.default_rng(3)
    arrays = inputs(unit, lambda count: random.integers(0, 2**30, count, np.uint32))
    made = []
    for narrowest in (RUN_LANES, 10**6):
        monkeypatch.setattr("mandel.render.resampler.RUN_LANES", narrowest)
        made.append(Resampler(device_context("cpu")).picture(unit, arrays, "rgb10").copy())
    assert made[0].any() and np.array_equal(*made)

"""Strips that stay on a device between frames."""

import json
from dataclasses import replace

import numpy as np

from mandel.device.choose import choose
from mandel.device.context import DeviceContext, device_context
from mandel.driver.recipes.recipe import FRAME, WorkItem
from mandel.driver.recipes.shared import SharedRecipe
from mandel.payload.payload import parse
from mandel.protocol.strict_json import loads
from mandel.render.resampler import Resampler
from mandel.render.resident_arrays import ResidentArrays


def test_the_last_used_stay():
    ctx = device_context("cpu")
    arrays = [np.full(1000, k, np.uint32) for k in range(4)]
    resident = ResidentArrays(ctx, 3 * 4000)
    first = [resident.copy_of(k, arrays[k]) for k in range(3)]
    assert resident.copy_of(0, arrays[0]) is first[0]
    resident.copy_of(3, arrays[3])  # 1 is what was not used for longest
    assert resident.copy_of(0, arrays[0]) is first[0] and resident.copy_of(2, arrays[2]) is first[2]
    again = resident.copy_of(1, arrays[1])
    assert again is not first[1]
    for k, buffer in ((0, first[0]), (1, again), (2, first[2])):
        assert (ctx.download(buffer, np.empty(1000, np.uint32)) == k).all()


def test_one_that_is_larger_than_all_that_may_stay():
    resident = ResidentArrays(device_context("cpu"), 100)
    large = np.arange(1000, dtype=np.uint32)
    assert resident.copy_of("a", large).size == 4000
    assert resident.copy_of("b", large) is not resident.copy_of("a", large)


def test_frames_of_devices_with_memory_of_their_own_are_the_same():
    """The way of a GPU, on a CPU: each strip is copied once, and frames are made from the copies."""
    fields = {
        "sampling": "shared",
        "point": "0,0",
        "start_delta": "2",
        "end_delta": "0.1",
        "num_frames": 9,
        "frame_width": 48,
        "frame_height": 32,
    }
    recipe = SharedRecipe(parse(loads(json.dumps(fields).encode())))
    distant = Resampler(DeviceContext(replace(choose("cpu").device, kind="gpu")))
    near = Resampler(device_context("cpu"))
    strips, uploads, upload = {}, [], distant.ctx.upload
    distant.ctx.upload = lambda array: uploads.append(array.size) or upload(array)
    random = np.random.default_rng(5)
    for frame in range(9):
        unit = recipe.unit(WorkItem(FRAME, frame))
        arrays = [
            strips.setdefault(
                (part.strip, part.layout), random.integers(0, 2**30, part.layout.size, np.uint32)
            )
            for part in unit.parts
        ]
        assert np.array_equal(distant.picture(unit, arrays, "rgb"), near.picture(unit, arrays, "rgb")), frame
    tables = 4 * (unit.rows.bit_length())
    assert len([size for size in uploads if size != tables]) == len(strips) > 3

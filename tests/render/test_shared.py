"""Frames out of strips against frames iterated on their own."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mandel.colour.transfer import decode_srgb, encode_srgb
from mandel.device.context import device_context
from mandel.driver.recipes.recipe import VIDEO_BAILOUT, WorkItem
from mandel.driver.recipes.shared import STRIP
from mandel.payload.payload import Payload, parse
from mandel.plan.arithmetic import arithmetic
from mandel.plan.blocks import blocks
from mandel.protocol.strict_json import loads
from mandel.render.frame import FrameRenderer
from mandel.render.samples import Outputs
from tests.support.colour_oracle import average
from tests.support.zooms import Zoomed, psnr

# The root turns often in detail, so that a sample that is off shows more than along a calm curve.
SMALL = {"frame_width": 160, "frame_height": 90, "maxiter": 500, "sampling": "shared", "mapping": "root"}


def payload(**fields) -> Payload:
    return parse(loads(json.dumps({**SMALL, **fields}).encode()))


def zoomed(p: Payload) -> Zoomed:
    return Zoomed(device_context("cpu"), p)


def truth(shared: Zoomed, index: int) -> np.ndarray:
    """64 samples a pixel: a frame of twice the size at 16, averaged in linear light."""
    p = shared.payload
    large = zoomed(replace(p, frame_width=2 * p.frame_width, frame_height=2 * p.frame_height))
    light = average(decode_srgb(large.alone(index, 4) / 255), 2)
    return encode_srgb(light) * 255


def assert_good(shared: Zoomed, index: int):
    """At least about as good as four samples a pixel; so few pixels are a matter of luck, too."""
    wanted = truth(shared, index)
    assert psnr(shared.frame(index), wanted) > psnr(shared.alone(index, 2), wanted) - 0.8


SPIRAL = "-0.743643887037151,0.131825904205330"


@pytest.mark.parametrize(
    "fields",
    [
        {"num_frames": 7, "start_delta": "2.5", "end_delta": "0.02", "point": SPIRAL},
        {"num_frames": 7, "start_delta": "0.02", "end_delta": "2.5", "point": SPIRAL},
        {"num_frames": 1, "start_delta": "0.3", "point": SPIRAL},
        {"num_frames": 1, "start_delta": "0.3", "end_delta": "3", "point": SPIRAL},
        {"num_frames": 5, "start_delta": "0.3", "end_delta": "0.25", "point": SPIRAL},
        {"num_frames": 3, "start_delta": "0.3", "end_delta": "1e-8", "point": SPIRAL, "maxiter": 3000},
        {"num_frames": 4, "start_delta": "0.3", "end_delta": "0.02", "point": SPIRAL, "rotation": "200"},
        {"num_frames": 6, "start_delta": "0.3", "end_delta": "0.02", "point": SPIRAL, "easing": "0.7"},
        {"num_frames": 4, "start_delta": "0.3", "end_delta": "0.02", "point": SPIRAL, "relief": "1"},
        {"num_frames": 4, "start_delta": "0.3", "end_delta": "0.02", "point": SPIRAL, "interior": "5080c0"},
        {
            "num_frames": 4,
            "start_delta": "1",
            "end_delta": "0.2",
            "point": "0,1",
            "frame_width": 40,
            "frame_height": 300,
        },
        {
            "num_frames": 4,
            "start_delta": "0.05",
            "end_delta": "0.02",
            "point": "0,1",
            "frame_width": 300,
            "frame_height": 20,
        },
    ],
    ids=lambda fields: "-".join(f"{v}" for k, v in fields.items() if k != "point"),
)
def test_frames_are_as_good_as_four_samples_a_pixel(fields):
    shared = zoomed(payload(**fields))
    for index in sorted({0, fields["num_frames"] // 2, fields["num_frames"] - 1}):
        assert_good(shared, index)


def test_no_seam_where_the_arithmetic_changes():
    p = payload(num_frames=9, start_delta="1e-5", end_delta="1e-8", point="0,1", rotation="30")
    shared = zoomed(p)
    rows = [arithmetic(shared.recipe.strips.whole(k)).name for k in range(shared.recipe.strips.last + 1)]
    assert len(set(rows)) == 2
    gains = []
    for index in range(9):
        wanted = truth(shared, index)
        gains.append(psnr(shared.frame(index), wanted) - psnr(shared.alone(index, 2), wanted))
    # A frame whose detail all lies at one edge has fewer samples there.
    assert min(gains) > -2 and np.mean(gains) > 0.5


def test_no_seam_anywhere_in_a_smooth_picture():
    """Far outside the set all is smooth: no pixel may differ by more than rounding."""
    p = payload(num_frames=12, start_delta="0.4", end_delta="0.001", point="1.5,1.5", rotation="-100")
    shared = zoomed(p)
    for index in range(12):
        assert np.abs(shared.frame(index) - shared.alone(index, 4)).max() <= 3


@pytest.mark.parametrize("width, height", [(2, 2), (2, 40), (40, 2), (6, 4)])
def test_tiny_frames(width, height):
    p = payload(
        num_frames=3,
        start_delta="0.02",
        end_delta="0.01",
        point="1.5,1.5",
        frame_width=width,
        frame_height=height,
    )
    shared = zoomed(p)
    for index in range(3):
        assert np.abs(shared.frame(index) - shared.alone(index, 4)).max() <= 3


def test_a_zoom_out_is_a_zoom_in_backwards():
    there = zoomed(payload(num_frames=5, start_delta="1", end_delta="0.1", point=SPIRAL))
    back = zoomed(payload(num_frames=5, start_delta="0.1", end_delta="1", point=SPIRAL))
    for index in range(5):
        assert np.abs(there.frame(index) - back.frame(4 - index)).max() <= 1


def test_neighbouring_frames_agree_where_they_overlap():
    """A step of one part in 10,000 changes next to nothing: nothing pops from level to level."""
    p = payload(num_frames=2, start_delta="0.01", end_delta="0.009999", point=SPIRAL)
    first, second = (zoomed(p).frame(index) for index in range(2))
    assert np.abs(first - second).mean() < 0.5


def test_strips_serve_every_frame_rate():
    """The strips depend on the way, not on how many frames it is cut into."""
    way = {"start_delta": "1", "end_delta": "0.1", "point": SPIRAL}
    few, many = (zoomed(payload(num_frames=n, **way)) for n in (11, 101))
    kept = [few.make(WorkItem(STRIP, k)) for k in range(3)]
    for k, strip in enumerate(kept):
        assert np.array_equal(strip, many.make(WorkItem(STRIP, k)))


def test_black_where_the_set_is():
    p = payload(num_frames=2, start_delta="0.1", end_delta="0.05", point="-0.2,0")
    assert zoomed(p).frame(1).max() == 0


def test_an_edge_is_as_wide_as_asked_at_the_corner_and_thinner_towards_the_centre():
    p = payload(num_frames=1, start_delta="0.01", point=SPIRAL, frame_width=240, edge="6", density="0.01")
    shared = zoomed(p)
    frame, alone = shared.frame(0).mean(axis=2), shared.alone(0, 4).mean(axis=2)
    bare = zoomed(replace(p, edge="0")).alone(0, 4).mean(axis=2)
    corners = np.concatenate([part[rows, :24].ravel() - alone[rows, :24].ravel() for part in (frame,)
                              for rows in (slice(0, 12), slice(-12, None))])  # fmt: skip
    dimmed = (bare - alone).mean()
    assert dimmed > 10
    assert abs(corners.mean()) < 0.25 * dimmed
    middle = slice(35, 55), slice(105, 135)
    assert (frame - alone)[middle].mean() > 0.25 * dimmed


def test_another_palette_needs_another_strip():
    p = payload(num_frames=2, point=SPIRAL)
    other = replace(p, palette="silver")
    assert not np.array_equal(zoomed(p).make(WorkItem(STRIP, 0)), zoomed(other).make(WorkItem(STRIP, 0)))


@pytest.mark.parametrize("size", [(160, 90), (64, 30), (20, 120)], ids=lambda size: f"{size[0]} x {size[1]}")
def test_a_strip_cut_to_what_frames_show_has_the_samples_of_the_whole(size):
    """Strips that are kept are whole circles; what is made from them equals what is rendered anew."""
    p = payload(
        point="-1.759817130804847813610825010561798238244,-0.01259331079974986538374663184326485845034",
        start_delta="2e-16", end_delta="1e-17", num_frames=3, maxiter=2000,
        frame_width=size[0], frame_height=size[1],
    )  # fmt: skip
    strips, render = zoomed(p).recipe.strips, FrameRenderer(device_context("cpu"))

    def raw(grid, whole) -> list[np.ndarray]:
        made = render.samples(grid, p.maxiter, VIDEO_BAILOUT, Outputs(True, True), whole)
        kinds = (made.count, 1), (made.frac, 1), (made.distance, 1), (made.slope, 2)
        shape = grid.rows, grid.cols
        return [render.context.download(b, np.empty((*shape, lanes), np.uint32)) for b, lanes in kinds]

    cut = 0
    for strip in range(2):
        found, whole = blocks(strips, strip), strips.whole(strip)
        full = raw(whole, whole)
        for block in found:
            for own, there in zip(raw(block.grid, block.whole), full, strict=True):
                rows, cols = own.shape[:2]
                assert np.array_equal(own, there[block.row : block.row + rows, block.col : block.col + cols])
        cut += len(found) > 1
    assert cut

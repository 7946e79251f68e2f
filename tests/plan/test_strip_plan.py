import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mandel.plan.blocks import blocks
from mandel.plan.strip_plan import SPLIT, TAPS, Layout, StripPlan, densest, level_at_one_pixel, most_texels
from mandel.plan.zoom import Zoom


def strips(start="2.5", end="1e-4", frames=50, width=320, height=180, density=1.0, **path):
    return StripPlan(Zoom("-0.75", "0.1", start, end, frames, width, height, **path), density)


ZOOMS = [
    strips(),
    strips("1e-4", "2.5"),
    strips(frames=1),
    strips("1e-6", "3", frames=1),
    strips("2", "1.5", frames=9),
    strips("3", "3", frames=4),
    strips(width=64, height=600),
    strips(width=900, height=20),
    strips(width=2, height=2),
    strips(end="1e-40", frames=3),
    strips(density=3.0),
    strips(ramps=(0.5, 0.5)),
    strips(ramps=(0.1, 0.6), held=(4, 7)),
    strips(rotation=200.0),
    strips(end="1e-1000", frames=9000),
]


@pytest.mark.parametrize("plan", [*ZOOMS[:-2], strips(width=16_384, height=16_384, density=1.4)])
def test_the_texels_that_kernels_number_at_once(plan):
    density = plan.around / (2 * math.pi * plan.corner)
    most = most_texels(plan.zoom, density)
    assert most >= Layout(plan.around, plan.rows, 0).size
    for frame in range(plan.zoom.num_frames):
        assert most >= sum((r.last - r.first + 1) * (plan.around >> r.level) for r in plan.seen(frame))


@pytest.mark.parametrize("side", [2, 1000, 8192, 12_000, 16_384])
def test_the_densest_strips_that_int32_numbers(side):
    zoom = strips(width=side, height=side).zoom
    most = densest(zoom)
    assert most_texels(zoom, most) < 2**31 and (most == 4 or most_texels(zoom, most + 0.01) >= 2**31)


def _pixels(plan: StripPlan, frame: int):
    """(v, level) of some pixels of a frame, from its definition, in floating point."""
    zoom = plan.zoom
    xs, ys = (np.arange(size) - (size - 1) / 2 for size in (zoom.width, zoom.height))
    x, y = (part.ravel() for part in np.meshgrid(xs[:: max(len(xs) // 64, 1)], ys[:: max(len(ys) // 64, 1)]))
    x, y = np.append(x, [0.5, xs[-1]]), np.append(y, [0.5, ys[-1]])
    radius, per_e = np.hypot(x, y), plan.around / (2 * np.pi)
    level = np.floor(level_at_one_pixel(plan.around) - np.log2(radius)).clip(0, plan.coarsest)
    return plan.origin(frame) - per_e * np.log(radius), level.astype(int)


@pytest.mark.parametrize("plan", ZOOMS)
def test_every_pixel_of_every_frame_finds_its_rows(plan):
    count = plan.zoom.num_frames
    for frame in sorted({0, count // 3, count // 2, count - 1}):
        rows = {r.level: r for r in plan.seen(frame)}
        for v, level in zip(*_pixels(plan, frame), strict=True):
            above = math.floor(v / 2**level - 0.5)
            assert rows[level].first <= above - TAPS // 2 + 1 and above + TAPS // 2 <= rows[level].last


@pytest.mark.parametrize("plan", ZOOMS)
def test_strips_know_the_frames_that_see_them(plan):
    count = plan.zoom.num_frames
    picked = range(count) if count < 100 else range(0, count, count // 40)
    seen = {}
    for frame in picked:
        for rows in plan.seen(frame):
            for strip in plan.strips_of(rows):
                seen.setdefault((strip, rows.level), []).append(frame)
    for (strip, level), frames in seen.items():
        run = plan.frames(strip, range(level, level + 1))
        assert all(frame in run for frame in frames)
        assert count >= 100 or (run[0], run[-1]) == (frames[0], frames[-1])
        assert plan.base(strip) <= level
        assert plan.frames(strip, range(plan.coarsest + 1))[0] <= run[0]
    assert max(strip for strip, _ in seen) <= plan.last


def test_a_strip_that_no_frame_sees():
    plan = strips(end="1e-40", frames=3)
    assert plan.frames(40, range(plan.coarsest + 1)) is None


@pytest.mark.parametrize("plan", ZOOMS[:4])
def test_neighbouring_strips_continue_each_other(plan):
    ratio = plan.radius(3) / plan.radius(4)
    assert float(ratio) == pytest.approx(math.exp(plan.rows * 2 * math.pi / plan.around), rel=1e-12)


def test_the_first_corner_lies_just_inside_the_first_strip():
    plan = strips()
    corner = Decimal("2.5") / 180 * Decimal(math.hypot(160, 90))
    assert corner < plan.radius(0) < corner * Decimal("1.06")
    inner = float(plan.radius(0)) * math.exp(-2 * math.pi * plan.rows / plan.around)
    assert inner < float(corner)


def test_a_place_has_the_same_row_in_every_frame():
    plan = strips(ramps=(0.2, 0.2))
    per_e = plan.around / (2 * math.pi)
    spacing = [float(plan.zoom.view(f).spacing) for f in (7, 31)]
    for distance in (1e-3, 1e-2):
        rows = [plan.origin(f) - per_e * math.log(distance / s) for f, s in zip((7, 31), spacing)]
        assert rows[0] == pytest.approx(rows[1], abs=1e-6)


def test_samples_a_frame_needs_do_not_grow_with_depth():
    shallow, deep = strips(end="1e-10", frames=900), strips(end="1e-1000", frames=90000)

    def held(plan, frame):
        return sum((r.last - r.first + 1) * (plan.around >> r.level) for r in plan.seen(frame))

    assert held(deep, 89_999) == pytest.approx(held(shallow, 899), rel=0.02)
    assert held(deep, 45_000) < 12 * 320 * 180


def test_innermost_strips_are_iterated_no_finer_than_seen():
    plan = strips()
    assert plan.base(0) == 0
    assert plan.base(plan.last) == plan.coarsest
    cost = sum(b.grid.rows * b.grid.cols for k in range(plan.last + 1) for b in blocks(plan, k))
    octaves = math.log2(2.5 / 1e-4)
    per_octave = 2 * math.pi * math.log(2) * plan.corner**2
    assert cost < (octaves + 3) * 1.05 * per_octave


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 3), st.floats(0.5, 3))
def test_blocks_cover_what_a_frame_can_see(width, height, strip, density):
    plan = strips("1", "0.5", 3, 2 * width, 2 * height, density)
    level = plan.base(strip)
    rows, around = plan.layout(strip).shape(level)
    covered = np.zeros((rows, around), int)
    for block in blocks(plan, strip):
        covered[block.row : block.row + block.grid.rows, block.col : block.col + block.grid.cols] += 1
    assert covered.max() <= 1
    angle = (np.arange(around) + 0.5) * 2 * np.pi / around
    v = strip * plan.rows + (np.arange(rows) + 0.5) * 2**level
    radius = np.exp((plan.origin(0) - v) * 2 * np.pi / plan.around)[:, None]
    inside = (np.abs(radius * np.cos(angle)) < width) & (np.abs(radius * np.sin(angle)) < height)
    seen = plan.seen(0)
    lit = np.zeros(rows, bool)
    for r in seen:
        first, stop = ((x << r.level) - strip * plan.rows for x in (r.first, r.last + 1))
        lit[max(first, 0) >> level : max(stop, 0) >> level] = True
    assert covered[inside & lit[:, None]].all()


def test_outer_strips_of_a_long_frame_are_cropped():
    whole = sum(strips(width=900, height=20, rotation=1.0).layout(k).shape(0)[0] for k in range(2))
    plan = strips(width=900, height=20)
    cropped = sum(b.grid.rows * b.grid.cols for k in range(2) for b in blocks(plan, k)) / plan.around
    assert cropped < 0.25 * whole


def test_layout():
    layout = strips().layout(0)
    assert [layout.shape(k) for k in (0, 1, layout.coarsest)] == [(128, 1152), (64, 576), (1, 9)]
    assert layout.offset(1) == 128 * 1152 and layout.offset(2) == 128 * 1152 * 5 // 4
    assert layout.size == sum(math.prod(layout.shape(k)) for k in range(8))
    assert 0 < SPLIT <= layout.coarsest

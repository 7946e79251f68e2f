"""What samples take: where they lie, and that tiles show what frames show. No times."""

from types import SimpleNamespace

import numpy as np
import pytest

from mandel.colour.style import ColourStyle
from mandel.payload.payload import parse
from mandel.plan.cost import Costs
from mandel.plan.picture import RGB, YUV420, shape
from mandel.plan.view import View
from mandel.render import cost
from mandel.render.frame import FrameRenderer
from mandel.tasks.units import CostsUnit
from mandel.video.coding import CODECS, DEFAULT, PNG
from mandel.video.encode import encode_segment
from mandel.worker import functions
from mandel.worker.functions import Slot, worker_context

SHALLOW = View("-0.743643887", "0.131825904", "1e-3", 320, 180)
DEEP = View("-1.7490812690237", "0", "1e-12", 320, 180)


@pytest.fixture(scope="module")
def renderer() -> FrameRenderer:
    return worker_context(Slot("cpu", 1)).frames


@pytest.mark.parametrize("rows", [1, 4, 16, 22])
@pytest.mark.parametrize("turn", [1 + 0j, 0.6 + 0.8j])
def test_pieces_lie_in_all_columns_and_at_many_heights_of_the_frame(rows, turn):
    grid = View("0", "0", "1", 320, 180, turn).grid(2)
    pieces = cost._pieces(grid, rows)
    assert len(pieces) == 8 and sum(piece.cols for piece in pieces) == grid.cols
    edge = grid.x0
    for piece in pieces:
        assert (piece.x0, piece.rows, piece.scale, piece.turn) == (edge, rows, grid.scale, turn)
        assert grid.y0 >= piece.y0 >= piece.y0 - (rows - 1) >= grid.y0 - (grid.rows - 1)
        edge += piece.cols
    assert len({piece.y0 for piece in pieces}) == 8
    assert cost._pieces(grid, 46) == [grid]


@pytest.mark.parametrize("size", [(2, 2), (16, 2), (4, 100)])
def test_frames_of_a_few_pixels_can_be_measured(renderer, size):
    seconds, fixed = cost.sample_seconds(
        renderer, View("-0.75", "0", "2", *size), 1, 50, 1024.0, ColourStyle(), 1e-3
    )
    assert seconds > 0 and fixed == 0


@pytest.mark.parametrize("launch, sample", [(1e-3, 1e-8), (1e-3, 1e-6), (0.0, 1e-7), (1e-4, 1e-3)])
def test_what_launches_take_is_no_part_of_a_sample(renderer, monkeypatch, launch, sample):
    clock = [0.0]

    def iterated(piece, *_, **__):
        clock[0] += launch + sample * piece.rows * piece.cols

    monkeypatch.setattr(renderer, "samples", iterated)
    monkeypatch.setattr("mandel.render.cost.time.process_time", lambda: clock[0])
    seconds, _ = cost.sample_seconds(renderer, SHALLOW, 2, 500, 1024.0, ColourStyle(), 1e-3)
    dear = launch * 8 > 0.05 * sample * 4 * 640  # what launches take matters
    assert seconds == pytest.approx(sample, rel=1e-6 if dear else 0.05)
    assert clock[0] < 100 * max(sample * 2560, 1e-3) + 30 * launch  # and little is iterated


def test_what_others_do_on_a_gpu_is_no_part_of_a_sample(renderer, monkeypatch):
    """Their kernels come in between now and then, for as long as a launch may take."""
    clock, launches = [0.0], [0]

    def iterated(piece, *_, **__):
        launches[0] += 1
        clock[0] += 1e-4 + 1e-8 * piece.rows * piece.cols + (1.0 if launches[0] % 17 == 0 else 0.0)

    monkeypatch.setattr(renderer.context, "device", SimpleNamespace(is_gpu=True))
    monkeypatch.setattr(renderer, "samples", iterated)
    monkeypatch.setattr("mandel.render.cost.time.perf_counter", lambda: clock[0])
    seconds, _ = cost.sample_seconds(renderer, SHALLOW, 2, 500, 1024.0, ColourStyle(), 1e-3)
    assert launches[0] > 17
    assert seconds == pytest.approx(1e-8, rel=0.05)


def test_a_table_that_was_kept_is_counted_as_if_it_were_made(renderer):
    """Else a worker that has made frames of the zoom already tells that others need no time for theirs."""
    measure = renderer, DEEP, 1, 2000, 1024.0, ColourStyle(), 1e-4
    renderer.picture(DEEP, 2000, 1024.0, ColourStyle(), 1, RGB)
    _, fixed = cost.sample_seconds(*measure)
    assert fixed > 0 and cost.sample_seconds(*measure)[1] == fixed
    assert cost.sample_seconds(renderer, SHALLOW, *measure[2:])[1] == 0


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("view", [SHALLOW, DEEP])
def test_tiles_show_what_the_frame_shows_all_over_it(renderer, view, n):
    style = ColourStyle()
    whole = renderer.picture(view, 2000, 1024.0, style, n, RGB).astype(int)

    def draw(grid, part):
        return renderer.part(grid, part, 2000, 1024.0, style, n, RGB)

    part = cost.tiles(draw, view, n, RGB, 2, 32)
    for row, top in enumerate((28, 120)):  # about a quarter and three quarters
        for col, left in enumerate((64, 224)):
            tile = part[row * 32 : (row + 1) * 32, col * 32 : (col + 1) * 32]
            difference = tile - whole[top : top + 32, left : left + 32]
            assert np.abs(difference).max() <= 1  # dithering follows the picture's own columns
    assert part.std() > 5


@pytest.mark.parametrize("size", [(64, 64), (103, 65), (320, 180)])
@pytest.mark.parametrize("widened", [1.0, 1.03, 2.0])
def test_tiles_of_planes_lie_within_the_frame(size, widened):
    seen = []

    def draw(whole, part):
        left, top = part.x0 - whole.x0, whole.y0 - part.y0
        assert 0 <= left <= whole.cols - 32 and 0 <= top <= whole.rows - 32 and left % 2 == top % 2 == 0
        seen.append((left, top))
        planes = np.full(shape(32, 32, YUV420), len(seen), np.uint8)
        planes[32:] += 100
        return planes

    planes = cost.tiles(draw, View("0", "0", "1", *size), 1, YUV420, 2, 32, widened)
    assert planes.shape == shape(64, 64, YUV420) and len(set(seen)) == 4
    luma, chroma = planes[:64], planes[64:].reshape(2, 32, 32)
    assert [luma[0, 0], luma[0, 63], luma[63, 0], luma[63, 63]] == [1, 2, 3, 4]
    assert [[plane[0, 0], plane[0, 31], plane[31, 0], plane[31, 31]] for plane in chroma] == [
        [101, 102, 103, 104]
    ] * 2


def test_tiles_are_few_and_small_where_samples_are_dear():
    large = View("0", "0", "1", 1920, 1080)
    assert cost.tiling(large, 1, 1e-9, 3) == (8, 48)
    assert cost.tiling(large, 1, 1e-6, 3) == (8, 32)
    assert cost.tiling(large, 2, 3e-6, 3) == (2, 32)
    assert cost.tiling(large, 1, 1e-3, 3) == (0, 0)
    assert cost.tiling(SHALLOW, 1, 1e-9, 3) == (5, 32)  # the frame is no higher
    assert cost.tiling(View("0", "0", "1", 62, 64), 1, 1e-9, 3) == (0, 0)


@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec != PNG])
def test_the_smallest_tiles_can_be_encoded(codec):
    coding = parse(
        {"codec": codec, "point": "0,0", "num_frames": 2, "frame_width": 64, "frame_height": 64}
    ).coding
    side = 64
    random = np.random.default_rng(1)
    tiles = [random.integers(16, 235, shape(side, side, coding.layout), np.uint8) for _ in range(3)]
    assert all(len(encode_segment(tiles[:count], side, side, "25", coding)) > 100 for count in (1, 3))


def test_a_worker_measures_each_view_and_encodes_tiles_where_that_is_asked_for():
    views = (SHALLOW, View(SHALLOW.re, SHALLOW.im, "1e-5", 320, 180))
    unit = CostsUnit(views, (500, 2000), (9.0, 16.0), (None, None), 1024.0, ColourStyle(), 1)
    costs, facts = functions.measure_costs(unit, Slot("cpu", 1))
    assert isinstance(costs, Costs) and facts["device"]
    assert [view.depth for view in costs.views] == [9.0, 16.0]
    assert all(view.seconds > 0 and view.key_bytes is None for view in costs.views)
    unit = CostsUnit(
        views, (500, 2000), (9.0, 16.0), (None, None), 1024.0, ColourStyle(), 1, "30", DEFAULT, step=1.03
    )
    costs, _ = functions.measure_costs(unit, Slot("cpu", 1))
    assert all(0.01 < (view.next_bytes or 0) < view.key_bytes < 3 for view in costs.views)

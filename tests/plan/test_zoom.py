import itertools
from decimal import Decimal, getcontext

import pytest

from mandel.plan.segment_plan import cut
from mandel.plan.zoom import Zoom


def zoom(start="2.5", end="0.0001", frames=50):
    return Zoom("-1.338238635", "-0.057237059", start, end, frames, 1000, 1000)


def test_both_ends_are_the_payload_s_own_numbers():
    assert zoom().delta(0) == "2.5"
    assert zoom().delta(49) == "0.0001"


def test_one_frame_means_the_start():
    assert zoom(frames=1).view(0).delta == "2.5"


@pytest.mark.parametrize(
    "start, end", [("2.5", "0.0001"), ("1e-3", "2"), ("2.5", "1e-19000"), ("4", "4"), ("1e-400", "1e-390")]
)
def test_ratio_of_neighbours_is_constant(start, end):
    getcontext().prec = 60
    z = zoom(start, end, 7)
    deltas = [Decimal(z.delta(k)) for k in range(7)]
    ratios = [b / a for a, b in itertools.pairwise(deltas)]
    for ratio in ratios:
        assert abs(ratio / ratios[0] - 1) < Decimal("1e-35")
    assert (deltas[0], deltas[-1]) == (Decimal(start), Decimal(end))


def test_no_such_frame():
    with pytest.raises(IndexError):
        zoom().delta(50)
    with pytest.raises(IndexError):
        zoom().delta(-1)


def test_centre_keeps_every_digit():
    digits = "-1." + "1234567890" * 120
    z = Zoom(digits, "0", "1", "1e-1000", 3, 64, 32)
    assert z.view(1).re == digits


def test_spacing_and_grid_follow_the_shorter_side():
    view = Zoom("0", "0", "2", "1", 2, 640, 320).view(0)
    assert view.spacing == Decimal(2) / 320
    grid = view.grid(2)
    assert (grid.cols, grid.rows, grid.x0, grid.y0) == (1280, 640, -639.5, 319.5)
    assert grid.scale * 2 == view.spacing
    assert view.grid().band(10, 5).y0 == 159.5 - 10


@pytest.mark.parametrize("frames", [*range(1, 70), 100, 999, 10_000, 100_000])
def test_segments_cover_each_frame_once(frames):
    segments = cut(frames)
    assert [f for s in segments for f in s.frames] == list(range(frames))
    assert [s.index for s in segments] == list(range(len(segments)))
    assert max(s.count for s in segments) <= 61


def test_segments_shrink_towards_the_end():
    counts = [s.count for s in cut(1000)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] <= 5


def test_large_frames_make_short_segments():
    frame_bytes = 7680 * 4320 * 3 // 2
    assert max(s.count for s in cut(10_000, frame_bytes)) * frame_bytes <= 256 << 20

"""What cannot be held is refused in words that say what can."""

import re

import pytest

from mandel.errors import PayloadError
from mandel.plan.memory_needs import check_frame, check_held, frame_bytes
from mandel.plan.strip_plan import StripPlan
from mandel.plan.zoom import Zoom


def zoom(width, height, frames=1, end="2.5"):
    return Zoom("-0.75", "0.1", "2.5", end, frames, width, height)


def test_a_frame_of_two_rows_holds_what_it_shows():
    """33.8 GB were said of one frame whose strips take 4.5 GB: only the outermost are iterated finely."""
    strips = StripPlan(zoom(16_384, 2), 1.1)
    needed = 4 * sum(strips.layout(strip).size for strip in range(strips.last + 1))
    assert needed <= strips.held_bytes() < 9e9
    assert StripPlan(zoom(16_384, 2, 300, "1e-9"), 1.1).held_bytes() > 25e9  # whose inner strips come close


@pytest.mark.parametrize("size", [(16_384, 2), (3840, 2160), (2, 9000)])
def test_what_a_refusal_offers_can_be_had(size):
    wide, most = zoom(*size, 300, "1e-9"), 10**9
    with pytest.raises(PayloadError) as caught:
        check_held(wide, 1.1, most)
    error = caught.value
    assert error.code == "JOB_TOO_BIG" and 'sampling "exact"' in error.message
    if error.limit is not None:
        check_held(wide, error.limit, most)
    width, height = map(int, re.search(r"frames of (\d+)x(\d+)", error.message).groups())
    check_held(zoom(width, height, 300, "1e-9"), 1.1, most)
    assert width < size[0] or height < size[1]


def test_frames_that_no_machine_can_make():
    check_frame(16_384, 16_128, frame_bytes(16_384, 16_128))
    with pytest.raises(PayloadError) as caught:
        check_frame(16_384, 16_128, 1_500 << 20)
    width, height = map(int, re.search(r"frames of (\d+)x(\d+) fit", caught.value.message).groups())
    check_frame(width, height, 1_500 << 20)
    assert width * height > 100e6
    with pytest.raises(PayloadError, match="too little for any frame"):
        check_frame(2, 2, 1)

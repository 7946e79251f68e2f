"""Which frames are refused before anything is rendered: those that ffmpeg or x264 cannot take, and no others."""

import numpy as np
import pytest

from mandel.errors import PayloadError, RenderError
from mandel.payload.payload import parse
from mandel.video.encode import encode_segment
from mandel.video.poster import save_poster
from mandel.video.size import encodable, nearest


@pytest.mark.parametrize("width, height", [(16_384, 2), (2, 16_384), (16_384, 16_128)])
def test_the_largest_that_are_accepted_are_encoded_and_decoded(tmp_path, width, height):
    parse({"frame_width": width, "frame_height": height, "num_frames": 1})
    segment = tmp_path / "segment"
    segment.write_bytes(encode_segment([np.zeros(width * height * 3 // 2, np.uint8)], width, height, "25"))
    save_poster(segment, tmp_path / "poster.png", width, height)
    assert (tmp_path / "poster.png").stat().st_size


@pytest.mark.parametrize("width, height", [(16_384, 16_130), (16_386, 2), (2, 16_386)])
def test_just_beyond_them_nothing_is_encoded(width, height):
    assert not encodable(width, height)
    with pytest.raises(RenderError, match="ffmpeg"):
        encode_segment([np.zeros(width * height * 3 // 2, np.uint8)], width, height, "25")


def test_what_is_encoded_and_not_decoded_is_refused_too():
    """16240x16256 ends in a segment that no poster can be made of (on a CPU with registers of 64 bytes)."""
    assert not encodable(16_240, 16_256) and not encodable(16_254, 16_254)


@pytest.mark.parametrize("width, height", [(16_384, 16_384), (16_384, 16_256), (16_254, 16_254)])
def test_a_refusal_names_the_largest_of_the_same_shape(width, height):
    with pytest.raises(PayloadError) as caught:
        parse({"frame_width": width, "frame_height": height, "num_frames": 1})
    error = caught.value
    assert (error.code, error.field) == ("OUT_OF_RANGE", "frame_width")
    assert f"{width}x{height}" in error.message and f"{error.limit['frame_width']}x" in error.message
    parse({**error.limit, "num_frames": 1})
    assert error.limit["frame_width"] / error.limit["frame_height"] == pytest.approx(width / height, rel=1e-3)
    assert error.limit["frame_width"] * error.limit["frame_height"] > 0.96 * 16_384 * 16_128


def test_a_limit_raised_by_the_service_is_still_x264s():
    assert nearest(100_000, 4) == (16_384, 2) and nearest(16_384, 16_384) == (16_128, 16_128)

"""Posters: the right colours, in a PNG."""

import imageio.v3 as iio
import numpy as np
import pytest

from mandel.colour import transfer
from mandel.errors import RenderError
from mandel.video.encode import encode_segment
from mandel.video.poster import rgb_of_yuv420, save_png, save_poster
from tests.support import colour_oracle


@pytest.mark.parametrize(
    "colour", [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (90, 30, 200)]
)
def test_colours_come_back(colour):
    picture = np.broadcast_to(np.array(colour) / 255.0, (4, 6, 3))
    back = rgb_of_yuv420(colour_oracle.yuv420(transfer.decode_srgb(picture)), 6, 4)
    assert np.abs(back.astype(int) - colour).max() <= 2


def test_png_is_exact(tmp_path):
    picture = np.random.default_rng(3).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    save_png(picture, tmp_path / "p.png")
    assert np.array_equal(iio.imread(tmp_path / "p.png"), picture)


@pytest.mark.parametrize("count", [1, 7])
def test_poster_is_the_segment_s_first_frame(tmp_path, count):
    grey = [np.repeat(np.array([40 + 20 * k, 128], np.uint8), [32 * 32, 512]) for k in range(count)]
    part = tmp_path / "s.h264"
    part.write_bytes(encode_segment(grey, 32, 32, "29.97"))
    save_poster(part, tmp_path / "p.png", 32, 32)
    level = iio.imread(tmp_path / "p.png")
    assert level.shape == (32, 32, 3)
    assert abs(level.mean() - (40 - 16) * 255 / 219) < 3


def test_a_poster_of_nothing(tmp_path):
    (tmp_path / "s.h264").write_bytes(b"")
    with pytest.raises(RenderError):
        save_poster(tmp_path / "s.h264", tmp_path / "p.png", 32, 32)
    assert not (tmp_path / "p.png").exists()


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        save_png(np.zeros((4, 4, 3), np.uint8), tmp_path / "none" / "p.png")

"""Frames that are cut out of a film of codec png, by the standard library alone."""

import io
import json

import imageio.v3 as iio
import numpy as np
import pytest

from mandel.client import frames, payload_file
from mandel.errors import RequestError, TransferError
from mandel.payload import in_file
from mandel.payload.decimal_text import Number
from mandel.payload.payload import parse
from mandel.video.encode import encode_segment
from mandel.video.join import Joiner

WIDTH, HEIGHT = 32, 18


@pytest.fixture
def film(tmp_path):
    """A film of seven pictures, and these."""
    own = parse({"codec": "png"}).coding
    rng = np.random.default_rng(3)
    pictures = [rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(7)]
    pictures[3][:] = 90
    part, path = tmp_path / "part", tmp_path / "film.mov"
    part.write_bytes(encode_segment(pictures, WIDTH, HEIGHT, "20", own))
    with Joiner(path, WIDTH, HEIGHT, "20", 7, 1, own) as joiner:
        joiner.add(part)
        joiner.finish()
    return path, pictures


def test_all_frames_become_files(film, tmp_path):
    path, pictures = film
    folder = tmp_path / "frames"
    frames.check_folder(folder)
    assert frames.write(path, folder) == 7
    assert [file.name for file in sorted(folder.iterdir())] == [f"frame-{k:05d}.png" for k in range(7)]
    for k, picture in enumerate(pictures):
        assert np.array_equal(iio.imread(folder / f"frame-{k:05d}.png"), picture)
    with pytest.raises(TransferError, match="not an empty folder"):
        frames.check_folder(folder)
    with pytest.raises(TransferError, match="could not be written"):
        frames.write(path, folder)
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".frames")]


def test_a_sheet_shows_all_frames_and_carries_the_payload(film, tmp_path):
    path, pictures = film
    comment = in_file.text({"point": "0,0"})
    data = frames.sheet(path, comment)
    (tmp_path / "sheet.png").write_bytes(data)
    shown = iio.imread(io.BytesIO(data))
    rows, columns = (shown.shape[0] + 4) // (HEIGHT + 4), (shown.shape[1] + 4) // (WIDTH + 4)
    assert rows * columns >= 7 > (rows - 1) * columns
    for k, picture in enumerate(pictures):
        top, left = k // columns * (HEIGHT + 4), k % columns * (WIDTH + 4)
        assert np.array_equal(shown[top : top + HEIGHT, left : left + WIDTH], picture)
    assert json.loads(in_file.read(tmp_path / "sheet.png")) == {"point": "0,0"}


def test_a_film_without_png_files_has_no_sheet(tmp_path):
    (tmp_path / "film").write_bytes(b"nothing")
    with pytest.raises(TransferError, match="cannot be read"):
        frames.sheet(tmp_path / "film", "")


def test_a_preview_asks_for_small_frames_that_look_as_ordered():
    asked = {
        "num_frames": Number("3000"),
        "frame_width": Number("1920"),
        "frame_height": Number("1080"),
        "palette": "ember",
        "sampling": "shared",
        "quality": "best",
        "fps": "60",
        "end_delta": "1e-30",
    }
    small = parse(payload_file.preview(asked, 12))
    assert (small.num_frames, small.frame_width, small.frame_height) == (12, 320, 180)
    assert (small.palette, small.end_delta, small.codec, small.sampling) == ("ember", "1E-30", "png", "exact")
    other = asked | {"fps": "30", "codec": "av1", "num_frames": Number("500")}
    assert parse(payload_file.preview(other, 12)).job_id() == small.job_id()
    assert parse(payload_file.preview({"num_frames": Number("5")}, 12)).num_frames == 5
    with pytest.raises(RequestError, match="1 to 100"):
        payload_file.preview(asked, 101)

"""Joining: every frame, bit-identical, at the right time, in a tagged mp4."""

import errno
import hashlib
import os
import subprocess
from fractions import Fraction

import pytest

from mandel.errors import RenderError
from mandel.video.encode import encode_segment
from mandel.video.join import Joiner, Video
from mandel.video.probe import packet_times
from tests.support.video import frame_digests, stream


def segments(folder, frames, cuts, fps="20", width=64, height=48):
    """Files of a sequence cut at ``cuts``."""
    given = frames(cuts[-1], width, height)
    paths = []
    for first, last in zip([0, *cuts], cuts):
        paths.append(folder / f"{first:05}.h264")
        paths[-1].write_bytes(encode_segment(given[first:last], width, height, fps))
    return paths


def join(parts, path, width, height, fps, frames) -> Video:
    """All of it in one go."""
    with Joiner(path, width, height, fps, frames, len(parts)) as joiner:
        for part in parts:
            joiner.add(part)
        return joiner.finish()


@pytest.mark.parametrize("cuts", [[1], [5], [1, 2, 3], [4, 5, 11], [3, 6, 9, 12, 15, 18]])
def test_every_frame_is_there_and_the_same(frames, tmp_path, cuts):
    parts = segments(tmp_path, frames, cuts)
    video = join(parts, tmp_path / "v.mp4", 64, 48, "20", cuts[-1])
    assert video.frames == cuts[-1] == stream(video.path).frames
    assert frame_digests(video.path) == [d for part in parts for d in frame_digests(part)]
    data = video.path.read_bytes()
    assert (video.bytes, video.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_what_the_file_says_of_itself(frames, tmp_path):
    video = join(segments(tmp_path, frames, [3, 6]), tmp_path / "v.mp4", 64, 48, "20", 6)
    found = stream(video.path)
    assert (found.codec, found.pixel_format, found.width, found.height) == ("h264", "yuv420p", 64, 48)
    assert found.fps == "20"
    assert found.colour.startswith("tv, bt709")
    assert "/" not in found.colour  # primaries, transfer and matrix agree
    head = video.path.read_bytes()
    assert head.index(b"moov") < head.index(b"mdat")  # +faststart


@pytest.mark.parametrize(
    "fps",
    [
        "1",
        "0.01",
        "20",
        "23.976",
        "29.97",
        "59.94",
        "240",
        "239.999",
        "12.3456789012",
        "24000/1001",
        "30000/1001",
        "60000/1001",
        "120000/1001",
        "1/3",
        "100000000/999999999",
    ],
)
def test_frames_are_shown_at_their_exact_time(frames, tmp_path, fps):
    video = join(segments(tmp_path, frames, [2, 3, 7], fps), tmp_path / "v.mp4", 64, 48, fps, 7)
    exact = Fraction(fps)
    slack = Fraction(1, 1_200_000) if exact.numerator > 600_000 else 0
    for k, time in enumerate(packet_times(video.path)):
        assert abs(time - k / exact) <= slack


def test_names_that_a_shell_would_trip_over(frames, tmp_path):
    folder = tmp_path / "it's %d \\ a\nfolder; :é"
    folder.mkdir()
    video = join(segments(folder, frames, [2, 4]), folder / "v.mp4", 64, 48, "20", 4)
    assert stream(video.path).frames == 4


def test_a_missing_frame_is_noticed_and_nothing_is_left(frames, tmp_path):
    parts = segments(tmp_path, frames, [2, 4])
    with pytest.raises(RenderError) as caught:
        join(parts, tmp_path / "v.mp4", 64, 48, "20", 5)
    assert caught.value.code == "BAD_VIDEO"
    assert not (tmp_path / "v.mp4").exists()


@pytest.mark.parametrize("rubbish", [b"", b"no video at all" * 1000])
def test_rubbish_is_refused(tmp_path, rubbish):
    (tmp_path / "s.h264").write_bytes(rubbish)
    with pytest.raises(RenderError) as caught:
        join([tmp_path / "s.h264"], tmp_path / "v.mp4", 64, 48, "20", 1)
    assert caught.value.code == "BAD_SEGMENT"
    assert not (tmp_path / "v.mp4").exists()


def test_a_missing_segment_leaves_nothing(frames, tmp_path):
    parts = segments(tmp_path, frames, [2])
    with pytest.raises(FileNotFoundError):
        join([*parts, tmp_path / "none.h264"], tmp_path / "v.mp4", 64, 48, "20", 2)
    assert not (tmp_path / "v.mp4").exists()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True
        ).returncode
    ):
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_a_clean_error(frames, tmp_path, small_disk):
    parts = segments(tmp_path, frames, [4, 8], width=320, height=240)
    assert sum(part.stat().st_size for part in parts) > 100_000
    with pytest.raises(OSError) as caught:
        join(parts, small_disk / "v.mp4", 320, 240, "20", 8)
    assert caught.value.errno == errno.ENOSPC
    assert list(small_disk.iterdir()) == []

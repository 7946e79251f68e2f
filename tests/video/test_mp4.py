"""The mp4 writer: boxes that add up, whatever the length of the video."""

import struct
from fractions import Fraction

import pytest

from mandel.errors import RenderError
from mandel.video.encode import encode_segment
from mandel.video.join import Joiner
from mandel.video.mp4 import Mp4Writer
from mandel.video.probe import packet_times
from tests.support.video import frame_digests, stream

CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl")


def boxes(data: bytes) -> dict[bytes, bytes]:
    """Content by kind of all boxes, those of the media data aside; they must fill ``data`` exactly."""
    found, at = {}, 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        assert 8 <= size <= len(data) - at, kind
        found[kind] = data[at + 8 : at + size]
        if kind in CONTAINERS:
            found |= boxes(found[kind])
        at += size
    return found


def test_the_boxes_fill_the_file(frames, tmp_path):
    given = frames(12)
    parts = [encode_segment(given[a:b], 64, 48, "20") for a, b in ((0, 5), (5, 10), (10, 12))]
    with Mp4Writer(tmp_path / "v.mp4", 64, 48, 20, Fraction(1), 12, 3) as writer:
        for part in parts:
            writer.add(part)
        writer.finish()
    found = boxes((tmp_path / "v.mp4").read_bytes())
    assert list(found)[:2] == [b"ftyp", b"moov"]
    assert struct.unpack(">5I", found[b"stss"]) == (0, 3, 1, 6, 11)
    assert struct.unpack(">2I", found[b"stsz"][4:12]) == (0, 12)
    assert sum(struct.unpack(">12I", found[b"stsz"][12:])) == len(found[b"mdat"])
    assert struct.unpack(">3I", found[b"stts"][4:]) == (1, 12, 1)
    assert struct.unpack(">7I", found[b"stsc"][4:]) == (2, 1, 5, 1, 3, 2, 1)


@pytest.mark.parametrize(
    "fps, shown",
    [
        ("24000/1001", "23.98"),
        ("30000/1001", "29.97"),
        ("60000/1001", "59.94"),
        ("29.97", "29.97"),
        ("1/3", "0.33"),
    ],
)
def test_the_rate_is_exact(frames, tmp_path, fps, shown):
    """As players and ffprobe read it: ticks of the clock and ticks of every frame."""
    part = tmp_path / "s.h264"
    part.write_bytes(encode_segment(frames(3), 64, 48, fps))
    with Joiner(tmp_path / "v.mp4", 64, 48, fps, 3, 1) as joiner:
        joiner.add(part)
        joiner.finish()
    found = boxes((tmp_path / "v.mp4").read_bytes())
    runs, frames_of_run, ticks = struct.unpack(">3I", found[b"stts"][4:])
    assert (runs, frames_of_run) == (1, 3)
    assert Fraction(struct.unpack(">I", found[b"mdhd"][12:16])[0], ticks) == Fraction(fps)
    assert stream(tmp_path / "v.mp4").fps == shown


def test_beyond_four_gigabytes_and_32_bits_of_time(frames, tmp_path):
    given = frames(6)
    parts = [encode_segment(given[:4], 64, 48, "20"), encode_segment(given[4:], 64, 48, "20")]
    path = tmp_path / "v.mp4"
    with Mp4Writer(path, 64, 48, 1000, Fraction(1_000_000_000), 6, 2) as writer:
        writer.add(parts[0])
        writer._end = writer._file.seek(5 << 30)  # a hole stands for what would take minutes to write
        writer.add(parts[1])
        writer.finish()
    for k, part in enumerate(parts):
        (tmp_path / f"{k}.h264").write_bytes(part)
    assert frame_digests(path) == [d for k in range(2) for d in frame_digests(tmp_path / f"{k}.h264")]
    assert packet_times(path) == [k * 1_000_000 for k in range(6)]


def test_more_frames_than_were_said_find_no_room(frames, tmp_path):
    segment = encode_segment(frames(1), 64, 48, "20")
    with (
        Mp4Writer(tmp_path / "v.mp4", 64, 48, 20, Fraction(1), 0, 0) as writer,
        pytest.raises(RenderError) as caught,
    ):
        for _ in range(60):
            writer.add(segment)
        writer.finish()
    assert caught.value.code == "BAD_VIDEO"


@pytest.mark.parametrize(
    "rubbish", [b"", b"\x00\x00\x00\x01\x09\xf0", b"\x00\x00\x00\x01\x09\xf0\x00\x00\x01\x65\x88"]
)
def test_what_cannot_be_decoded_is_refused(tmp_path, rubbish):
    with (
        Mp4Writer(tmp_path / "v.mp4", 64, 48, 20, Fraction(1), 1, 1) as writer,
        pytest.raises(RenderError) as caught,
    ):
        writer.add(rubbish)
    assert caught.value.code == "BAD_SEGMENT"

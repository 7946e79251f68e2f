"""Segments: what is in them, and what happens when ffmpeg misbehaves."""

import os
import select
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest

from mandel.errors import RenderError
from mandel.video import ffmpeg
from mandel.video.encode import Coding, SegmentEncoder, encode_segment
from mandel.video.h264 import count_frames
from tests.support.video import frame_digests

IDR, NON_IDR = 5, 1


def nal_types(segment: bytes) -> list[int]:
    parts = segment.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]
    return [part[0] & 31 for part in parts]


def gone(pid: int) -> bool:
    """No process of this id: not even a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts a shell script in ffmpeg's place."""

    def place(script: str):
        path = tmp_path / "ffmpeg"
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(ffmpeg, "executable", lambda: str(path))

    return place


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_segment_is_a_closed_run_that_starts_with_an_idr(frames, count):
    segment = encode_segment(frames(count), 64, 48, "20")
    assert count_frames(segment) == count
    pictures = [kind for kind in nal_types(segment) if kind in (IDR, NON_IDR)]
    assert pictures == [IDR] + [NON_IDR] * (count - 1)


def test_key_pictures_come_at_least_as_often_as_asked(frames):
    segment = encode_segment(frames(10), 64, 48, "20", Coding(key_interval=4))
    pictures = [kind for kind in nal_types(segment) if kind in (IDR, NON_IDR)]
    assert [k for k, kind in enumerate(pictures) if kind == IDR] == [0, 4, 8]


def test_the_same_frames_give_the_same_bytes(frames):
    assert encode_segment(frames(5), 64, 48, "20") == encode_segment(frames(5), 64, 48, "20")


def test_luma_survives(frames, tmp_path):
    given = frames(4)
    path = tmp_path / "s.h264"
    path.write_bytes(encode_segment(given, 64, 48, "20"))
    raw = ffmpeg.run(["-i", str(path), "-f", "rawvideo", "-pix_fmt", "yuv420p", "pipe:1"])
    luma = np.frombuffer(raw, np.uint8).reshape(4, 72, 64)[:, :48]
    error = np.mean((luma.astype(float) - np.stack(given)[:, :48]) ** 2)
    assert 10 * np.log10(255**2 / error) > 38


def test_no_conversion_takes_place(tmp_path):
    flat = np.repeat(np.array([63, 102, 240], np.uint8), [64 * 64, 32 * 32, 32 * 32])
    path = tmp_path / "s.h264"
    path.write_bytes(encode_segment([flat], 64, 64, "20", Coding(crf=1)))
    raw = np.frombuffer(ffmpeg.run(["-i", str(path), "-f", "rawvideo", "pipe:1"]), np.uint8)
    assert np.abs(raw.astype(int) - flat).max() <= 1


@pytest.mark.parametrize("size", [(63, 48), (64, 47), (0, 48)])
def test_odd_sizes_are_refused(size):
    with pytest.raises(RenderError) as caught:
        SegmentEncoder(*size, "20")
    assert caught.value.code == "ODD_SIZE"


def test_a_frame_of_wrong_size_is_refused_and_ffmpeg_ends(frames):
    with pytest.raises(RenderError) as caught, SegmentEncoder(64, 48, "20") as encoder:
        encoder.write(frames(1)[0][:-1])
    assert caught.value.code == "BAD_FRAME"
    assert gone(encoder.pid)


@pytest.mark.parametrize("when", [0, 1, 5, "end"])
def test_ffmpeg_killed_at_any_point_is_a_clean_error(frames, when):
    given = frames(6, 640, 480)  # more than the pipe holds
    with pytest.raises(RenderError) as caught, SegmentEncoder(640, 480, "20") as encoder:
        for k, frame in enumerate(given):
            if k == when:
                os.kill(encoder.pid, signal.SIGKILL)
            encoder.write(frame)
        if when == "end":
            os.kill(encoder.pid, signal.SIGKILL)
        encoder.finish()
    assert caught.value.code == "FFMPEG_FAILED"
    assert "SIGKILL" in caught.value.message
    assert gone(encoder.pid)


def test_a_stopped_ffmpeg_is_ended(frames):
    with pytest.raises(RenderError) as caught, SegmentEncoder(640, 480, "20", stall=0.3) as encoder:
        os.kill(encoder.pid, signal.SIGSTOP)
        for frame in frames(6, 640, 480):
            encoder.write(frame)
        encoder.finish()
    assert caught.value.code == "FFMPEG_STALLED"
    assert gone(encoder.pid)


def test_a_flood_on_stderr_neither_blocks_nor_fills_memory(frames, fake):
    fake("yes 'a lot of words' | head -c 30000000 >&2; echo 'the real reason' >&2; exit 3")
    with pytest.raises(RenderError) as caught:
        encode_segment(frames(8, 640, 480), 640, 480, "20")
    assert caught.value.code == "FFMPEG_FAILED"
    assert caught.value.message.endswith("the real reason")
    assert len(caught.value.message) < 5_000


def test_an_encoder_that_loses_frames_is_found_out(frames, fake):
    real = ffmpeg.executable()
    whole = encode_segment(frames(3), 64, 48, "20")
    fake(f'exec {real} "$@" | head -c {len(whole) // 2}')
    with pytest.raises(RenderError) as caught:
        encode_segment(frames(3), 64, 48, "20")
    assert caught.value.code in ("BAD_SEGMENT", "FFMPEG_FAILED")


def test_an_encoder_that_says_nothing_and_ends_well_is_found_out(frames, fake):
    fake("cat > /dev/null")
    with pytest.raises(RenderError) as caught:
        encode_segment(frames(1), 64, 48, "20")
    assert caught.value.code == "BAD_SEGMENT"


def test_a_missing_ffmpeg_is_said(frames, monkeypatch, tmp_path):
    monkeypatch.setattr(ffmpeg, "executable", lambda: str(tmp_path / "nothing"))
    with pytest.raises(RenderError) as caught:
        encode_segment(frames(1), 64, 48, "20")
    assert caught.value.code == "NO_FFMPEG"


def test_ffmpeg_dies_with_its_parent():
    """The parent is killed by SIGKILL while ffmpeg waits for its next frame."""
    script = (
        "import sys, time\n"
        "from mandel.video.encode import SegmentEncoder\n"
        "encoder = SegmentEncoder(64, 48, '20')\n"
        "print(encoder.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        child = int(parent.stdout.readline())
        watch = os.pidfd_open(child)
        parent.kill()
        parent.wait()
        assert select.select([watch], [], [], 30)[0], "ffmpeg outlived its parent"
        os.close(watch)


def test_frame_digests_tell_frames_apart(frames, tmp_path):
    path = tmp_path / "s.h264"
    path.write_bytes(encode_segment(frames(5), 64, 48, "20"))
    assert len(set(frame_digests(path))) == 5

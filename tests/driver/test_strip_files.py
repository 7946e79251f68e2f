"""A job's strips on disk: read only if proven, written if the disk lets us."""

import hashlib

import numpy as np

from mandel.driver.files.strip_files import StripFiles
from mandel.protocol import control

RAW = np.frombuffer(b"samples" * 100, np.uint8)


def stored(folder, number: int = 3) -> dict:
    path = folder / f"{number}.strip"
    path.write_bytes(RAW)
    return {number: [str(path), 1, len(RAW), hashlib.sha256(RAW).hexdigest()]}


def test_a_strip_that_is_there_is_read(tmp_path):
    files = StripFiles("job", tmp_path, stored(tmp_path))
    assert files.has(3) and not files.has(4) and files.base(3) == 1
    assert bytes(files.read(3)) == bytes(RAW)
    assert files.made(3, 1, None) == control.Strip(job="job", strip=3, found=True)


def test_a_damaged_or_missing_strip_is_forgotten(tmp_path):
    for spoil in (
        lambda p: p.write_bytes(b"x" + p.read_bytes()[1:]),
        lambda p: p.write_bytes(b""),
        lambda p: p.unlink(),
    ):
        files = StripFiles("job", tmp_path, stored(tmp_path))
        spoil(tmp_path / "3.strip")
        assert files.read(3) is None and not files.has(3)


def test_a_strip_that_was_made_is_written_and_told(tmp_path):
    event = StripFiles("job", tmp_path).made(-1, 2, RAW)
    assert (event.strip, event.base, event.bytes, event.found) == (-1, 2, len(RAW), False)
    assert event.sha256 == hashlib.sha256(RAW).hexdigest()
    with open(event.path, "rb") as file:
        assert file.read() == bytes(RAW)
    assert StripFiles("job", tmp_path).made(0, 0, None).file is None


def test_a_disk_that_refuses_is_told_once_and_ends_nothing(tmp_path):
    files = StripFiles("job", tmp_path / "nowhere")
    first, second = files.made(0, 0, RAW), files.made(1, 0, RAW)
    assert "not stored" in first.error and first.file is None
    assert second.error is None and second.file is None


def test_strips_go_once_no_frame_needs_them(tmp_path):
    last = {3: 10, 4: 20, 5: 30}.get
    files = StripFiles("job", tmp_path, stored(tmp_path))
    files.made(4, 0, RAW)
    files.made(5, 0, None)  # was not worth a file
    assert files.unneeded(10, last) == []
    assert files.unneeded(21, last) == [3, 4]
    assert files.unneeded(40, last) == []
    keeping = StripFiles("job", tmp_path, stored(tmp_path), keeps=True)
    assert keeping.unneeded(40, last) == []

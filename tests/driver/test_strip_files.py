"""A job's strips on disk: read only if proven, written if the disk lets us."""

import hashlib

import numpy as np

from mandel.driver.files.strip_files import StripFiles
from mandel.protocol import control
from mandel.tasks.units import RAW_SHADED

RAW = np.frombuffer(b"samples" * 100, np.uint8)


def stored(folder, number: int = 3) -> dict:
    path = folder / f"{number}.strip"
    path.write_bytes(RAW)
    return {number: [str(path), 1, len(RAW), hashlib.sha256(RAW).hexdigest()]}


def write(files: StripFiles, strip: int, base: int = 0) -> control.Strip:
    return files.written(files.write(files.made(strip), base, RAW))


def test_a_strip_that_is_there_is_read(tmp_path):
    files = StripFiles("job", tmp_path, stored(tmp_path))
    assert files.has(3) and not files.has(4) and files.base(3) == 1
    assert bytes(files.file(3).read()) == bytes(RAW)
    assert (made := files.made(3)) == control.Strip(job="job", strip=3, found=True)
    assert not files.is_wanted(made) and files.is_wanted(files.made(4))


def test_a_damaged_or_missing_strip_is_not_read(tmp_path):
    for spoil in (
        lambda p: p.write_bytes(b"x" + p.read_bytes()[1:]),
        lambda p: p.write_bytes(b""),
        lambda p: p.unlink(),
    ):
        files = StripFiles("job", tmp_path, stored(tmp_path))
        spoil(tmp_path / "3.strip")
        assert files.file(3).read() is None
        files.forget(3)
        assert not files.has(3) and not files.any_found


def test_which_strips_have_slopes_is_known_when_it_was_looked(tmp_path):
    found = stored(tmp_path, 3) | stored(tmp_path, 4) | stored(tmp_path, 5)
    (tmp_path / "4.strip").write_bytes(RAW_SHADED + b"samples")
    (tmp_path / "5.strip").unlink()
    files = StripFiles("job", tmp_path, found)
    assert files.has(4) and not files.has(4, shaded=True)
    files.seen(files.look())
    assert [strip for strip in (3, 4, 5) if files.has(strip, shaded=True)] == [4]


def test_a_strip_that_was_made_is_written_and_told(tmp_path):
    event = write(StripFiles("job", tmp_path), -1, 2)
    assert (event.strip, event.base, event.bytes, event.found) == (-1, 2, len(RAW), False)
    assert event.sha256 == hashlib.sha256(RAW).hexdigest()
    with open(event.path, "rb") as file:
        assert file.read() == bytes(RAW)


def test_a_disk_that_refuses_is_told_once_and_ends_nothing(tmp_path):
    files = StripFiles("job", tmp_path / "nowhere")
    first, second = write(files, 0), write(files, 1)
    assert "not stored" in first.error and first.file is None
    assert second.error is None and second.file is None
    assert not files.is_wanted(files.made(2))


def test_strips_go_once_no_frame_needs_them(tmp_path):
    last = {3: 10, 4: 20, 5: 30}.get
    files = StripFiles("job", tmp_path, stored(tmp_path))
    write(files, 4)
    files.made(5)  # was not worth a file
    assert files.unneeded(10, last) == []
    assert files.unneeded(21, last) == [3, 4]
    assert files.unneeded(40, last) == []
    keeping = StripFiles("job", tmp_path, stored(tmp_path), keeps=True)
    assert keeping.unneeded(40, last) == []

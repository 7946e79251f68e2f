"""What becomes of a file that a film is about to replace."""

import hashlib

from mandel.terminal.atomic_file import AtomicFile, put_aside


def test_another_file_keeps_its_bytes_under_another_name(tmp_path):
    path = tmp_path / "zoom.mp4"
    for number, text in enumerate([b"first", b"second", b"third"]):
        new = AtomicFile(path, len(text))
        new.write(text)
        kept = put_aside(path, hashlib.sha256(text).hexdigest())
        new.commit()
        assert (kept and kept.name) == (f"zoom.{number}.mp4" if number else None)
    assert put_aside(path, hashlib.sha256(b"third").hexdigest()) is None
    found = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert found == {"zoom.mp4": b"third", "zoom.1.mp4": b"first", "zoom.2.mp4": b"second"}

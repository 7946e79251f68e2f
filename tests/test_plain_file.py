"""Only regular files are opened, and nothing is waited for."""

import contextlib
import os
import socket

import pytest

from mandel import plain_file
from mandel.driver.files.disk_cache import Cache
from mandel.driver.files.strip_files import StripFile
from mandel.service.supervision.driver_output import DriverOutput


@pytest.fixture
def others(tmp_path, monkeypatch):
    """Paths of what is no regular file."""
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "open")
    writer = os.open(tmp_path / "open", os.O_RDWR)  # one that somebody is about to write to
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("socket")
    names = ("folder", "link", "dangling", "pipe", "open", "socket")
    yield [tmp_path / name for name in names] + [tmp_path.joinpath("/dev/zero")]
    listener.close()
    os.close(writer)


def test_a_regular_file_is_read(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert plain_file.content(tmp_path / "file") == plain_file.content(tmp_path / "file", 3) == b"abc"
    with pytest.raises(OSError, match="too large"):
        plain_file.content(tmp_path / "file", 2)


def held(paths) -> list[str]:
    """Which of these this process has open; other threads open and close others meanwhile."""
    links = []
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            links.append(os.readlink(f"/proc/self/fd/{fd}"))
    return sorted(link for link in links if link in set(map(str, paths)))


def test_nothing_else_is(others):
    before = held(others)
    for path in others:
        with pytest.raises(OSError):
            plain_file.content(path)
        with pytest.raises(OSError):
            plain_file.descriptor(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    assert held(others) == before  # and none stays open


def test_what_the_driver_finds_in_the_place_of_its_files_is_none(others):
    for path in others:
        assert Cache(path.parent).get(path.name) is None
        strip = StripFile(path, 0, 3, "")
        assert strip.read() is None and not strip.is_shaded()


def test_a_log_that_is_a_pipe_holds_up_nobody(tmp_path):
    os.mkfifo(tmp_path / "renderer.log")
    output = DriverOutput(tmp_path / "renderer.log")
    with os.fdopen(output.pipe(), "w") as said:
        said.write("much\n" * 100_000 + "the end\n")  # far more than a pipe takes
    assert output.last(60).startswith("the end")

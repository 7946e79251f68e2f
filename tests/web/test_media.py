"""Videos with ranges, as browsers ask for them to seek."""

import hashlib
import socket
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mandel.web.media import _PIECE, byte_range, due
from tests.service.heads import SMALL, expected_video
from tests.support.processes import wait_for


@pytest.fixture(scope="module")
def video(head_and_web):
    """Path and bytes of a video that is done."""
    _, web = head_and_web
    job = web.post("/api/jobs", {**SMALL, "maxiter": 40}).json["job"]
    wait_for(lambda: web.get(f"/api/jobs/{job}").json["state"] == "done", 60, "the job is done")
    return f"/media/{job}/video.mp4", expected_video(job)


def test_the_whole_video_says_that_it_has_ranges(web, video):
    path, whole = video
    told = web.get(path)
    assert (told.status, told.body) == (200, whole) and told.headers["Accept-Ranges"] == "bytes"
    assert told.headers["Content-Type"] == "video/mp4"
    assert told.headers["ETag"] == f'"{hashlib.sha256(whole).hexdigest()}"'
    assert "Content-Disposition" not in told.headers
    told = web.get(path + "?download")
    assert told.headers["Content-Disposition"] == f'attachment; filename="{path[7:23]}.mp4"'
    told = web.ask("HEAD", path)
    assert (told.status, told.body, told.headers["Content-Length"]) == (200, b"", str(len(whole)))


@pytest.mark.parametrize("first, last", [(0, 1), (0, None), (5_000, 5_999), (100, 10**9), (7, 7)])
def test_a_range_is_that_part(web, video, first, last):
    path, whole = video
    told = web.get(path, Range=f"bytes={first}-{'' if last is None else last}")
    end = len(whole) if last is None else min(len(whole), last + 1)
    assert (told.status, told.body) == (206, whole[first:end])
    assert told.headers["Content-Range"] == f"bytes {first}-{end - 1}/{len(whole)}"
    assert told.headers["Content-Length"] == str(end - first)


def test_the_last_bytes(web, video):
    path, whole = video
    assert web.get(path, Range="bytes=-1000").body == whole[-1000:]
    assert web.get(path, Range=f"bytes=-{10**9}").body == whole
    head = web.ask("HEAD", path, Range="bytes=0-9")
    assert (head.status, head.headers["Content-Length"], head.body) == (206, "10", b"")


def test_a_range_beyond_the_end_is_refused(web, video):
    path, whole = video
    for wanted in (f"bytes={len(whole)}-", f"bytes={10**17}-", "bytes=-0"):
        told = web.get(path, Range=wanted)
        assert told.status == 416 and told.headers["Content-Range"] == f"bytes */{len(whole)}", wanted


@pytest.mark.parametrize(
    "wanted", ["bytes=5-2", "bytes=-", "bytes=a-b", "lines=0-1", "bytes=0-1,5-6", "bytes=" + "9" * 40]
)
def test_what_is_no_range_brings_all(web, video, wanted):
    path, whole = video
    assert (told := web.get(path, Range=wanted)).status == 200 and told.body == whole


def test_a_range_of_another_version_brings_all(web, video):
    path, whole = video
    tag = web.ask("HEAD", path).headers["ETag"]
    assert web.get(path, Range="bytes=0-9", If_Range=tag).status == 206
    for other in ('"other"', f"W/{tag}", "Fri, 27 Nov 2026 00:00:00 GMT"):
        told = web.get(path, Range="bytes=0-9", If_Range=other)
        assert (told.status, told.body) == (200, whole)
    told = web.get(path, If_None_Match=tag)
    assert (told.status, told.body) == (304, b"")


@given(
    st.integers(1, 500), st.one_of(st.none(), st.integers(0, 600)), st.one_of(st.none(), st.integers(0, 600))
)
def test_ranges_are_slices(size, first, last):
    found = byte_range(f"bytes={'' if first is None else first}-{'' if last is None else last}", size)
    if first is None:
        wanted = None if last is None else list(range(size))[-last:] if last else []
    elif last is not None and last < first:
        wanted = None
    else:
        wanted = list(range(size))[first : None if last is None else last + 1]
    assert (None if found is None else list(found)) == wanted


def test_there_is_no_video_before_the_job_is_done(head, web):
    head.order("hold")
    job = web.post("/api/jobs", {**SMALL, "maxiter": 41}).json["job"]
    for path in (f"/media/{job}/video.mp4", f"/media/{job}/poster.png", f"/api/jobs/{job}/last.png"):
        assert (told := web.get(path)).status == 404 and told.code == "NO_PICTURE", path
    head.withdraw("hold")
    wait_for(lambda: web.get(f"/media/{job}/video.mp4").status == 200, 60, "the video is there")
    web.ask("DELETE", f"/api/jobs/{job}")
    assert web.get(f"/media/{job}/video.mp4").status == 404


def test_a_damaged_video_is_never_served(head, web):
    job = web.post("/api/jobs", {**SMALL, "maxiter": 42}).json["job"]
    wait_for(lambda: web.get(f"/media/{job}/video.mp4").status == 200, 60, "the video is there")
    path = next(path for path in head.db.rglob("*.mp4") if job in str(path))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    told = web.get(f"/media/{job}/video.mp4")
    assert told.status == 404 or told.body == expected_video(job)
    wait_for(lambda: web.get(f"/media/{job}/video.mp4").body == expected_video(job), 60, "it is made again")


def test_a_range_begins_small_and_grows_with_the_time_that_its_reader_stays(heads):
    head, web = heads()
    head.tell("large", str(64 << 20))
    job = web.post("/api/jobs", SMALL).json["job"]
    path = f"/media/{job}/video.mp4"
    wait_for(lambda: web.ask("HEAD", path).status == 200, 60, "the video is there")
    asked_for, read = 8 << 20, 0
    with socket.create_connection(("127.0.0.1", web.port), 30) as sock:
        begun = time.monotonic()
        sock.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-{asked_for - 1}\r\n\r\n".encode()
        )
        while read < asked_for:  # the headers besides
            piece = sock.recv(1 << 20)
            assert piece, read
            read += len(piece)
            assert due(read - 2 * _PIECE) <= time.monotonic() - begun, read
    assert due(read) > 0.9  # so that more than the first bytes was asked for


def is_connected(port: int, peer: int) -> bool:
    """Whether the side at ``port`` of a connection of this machine has not been closed yet."""
    ends, established = (f":{port:04X}", f":{peer:04X}"), "01"
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any((row[1][8:], row[2][8:], row[3]) == (*ends, established) for row in rows)


def test_who_reads_nothing_is_cut_off_and_others_are_served(heads):
    head, web = heads("--stall-timeout", "1")
    head.tell("large", str(64 << 20))
    job = web.post("/api/jobs", SMALL).json["job"]
    path = f"/media/{job}/video.mp4"
    wait_for(lambda: web.ask("HEAD", path).status == 200, 60, "the video is there")
    size = int(web.ask("HEAD", path).headers["Content-Length"])
    assert size > 64 << 20
    with socket.create_connection(("127.0.0.1", web.port), 30) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        own = sock.getsockname()[1]
        assert web.get(path, Range="bytes=0-99").status == 206
        wait_for(lambda: not is_connected(web.port, own), 120, "it is cut off")
        read = 0
        try:
            while piece := sock.recv(1 << 20):
                read += len(piece)
        except ConnectionResetError:
            pass
    assert read < size

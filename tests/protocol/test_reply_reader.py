"""The client's reader: whole conversations from lists of chunks, and hostile ones."""

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mandel.errors import MandelError, TransferError
from mandel.protocol.reply import ReplyWriter
from mandel.protocol.reply_reader import MAX_HEAD, JsonPart, ReplyEnd, ReplyReader, VideoData, VideoHead
from mandel.protocol.request import NEED_MORE

VIDEO = b"\r\n--b\r\n" + bytes(range(256)) * 9 + b"\r\n--b--\r\n"
SHA256 = hashlib.sha256(VIDEO).hexdigest()
HEAD = b"MIME-Version: 1.0\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
END = b"\r\n--b--\r\n"


def part(name="progress", body=b"{}", kind="application/json", length=None, sha256=None, extra=""):
    length = len(body) if length is None else length
    digest = f"Content-SHA256: {sha256}\r\n" if sha256 else ""
    return (
        f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="x"\r\nContent-Type: {kind}\r\n'
        f"Content-Length: {length}\r\n{digest}{extra}\r\n"
    ).encode() + body


def video(**change):
    return part(**({"name": "video", "body": VIDEO, "kind": "video/mp4", "sha256": SHA256} | change))


def good():
    writer = ReplyWriter(boundary="b")
    return (
        writer.progress({"done": 1, "rate": 0.5})
        + writer.progress({"done": 2})
        + writer.video_head(len(VIDEO), SHA256)
        + VIDEO
        + writer.end()
    )


def read(chunks, **options):
    """All events of a reply, then what ended it: ReplyEnd, or a TransferError's code."""
    reader, events = ReplyReader(**options), []
    try:
        for chunk in chunks:
            reader.feed(chunk)
            while (event := reader.next_event()) is not NEED_MORE:
                events.append(event)
                if isinstance(event, ReplyEnd):
                    return events
    except TransferError as error:
        events.append(error.code)
    return events


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1_000, 10**6])
def test_any_pieces(size):
    data = good()
    events = read([data[at : at + size] for at in range(0, len(data), size)])
    assert events[:3] == [
        JsonPart("progress", {"done": 1, "rate": 0.5}),
        JsonPart("progress", {"done": 2}),
        VideoHead(len(VIDEO), SHA256),
    ]
    assert b"".join(event.data for event in events[3:-1]) == VIDEO
    assert events[-1] == ReplyEnd()


def test_error_and_result():
    error = MandelError("BUSY", "too many connections; try again", limit=3)
    assert read([ReplyWriter().error(error)])[0] == JsonPart("error", error.as_dict())
    assert read([ReplyWriter().result({"jobs": [1]})]) == [JsonPart("result", {"jobs": [1]}), ReplyEnd()]


@pytest.mark.parametrize("cut", range(0, len(good()), 41))
def test_cut_short(cut):
    assert read([good()[:cut], b""])[-1] == "REPLY_TRUNCATED"


HOSTILE = [
    ("nothing", b"", "REPLY_TRUNCATED"),
    ("HTTP", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "BAD_REPLY"),
    ("no boundary", b"Content-Type: multipart/form-data\r\n\r\n", "BAD_REPLY"),
    ("two boundaries", b"Content-Type: multipart/form-data; boundary=b; boundary=c\r\n\r\n", "BAD_REPLY"),
    ("two types", HEAD[:-2] + b"Content-Type: multipart/form-data; boundary=c\r\n\r\n", "BAD_REPLY"),
    ("a long boundary", HEAD.replace(b"=b", b"=" + b"b" * 100), "BAD_REPLY"),
    ("another multipart", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n", "BAD_REPLY"),
    ("an endless head", b"X: " + b"x" * MAX_HEAD, "BAD_REPLY"),
    ("a preamble", HEAD + b"hello\r\n" + part(), "BAD_REPLY"),
    ("an endless preamble", HEAD + b"x" * 10**6, "BAD_REPLY"),
    ("an empty reply", HEAD + b"--b--\r\n", "BAD_REPLY"),
    ("an endless part head", HEAD + b"--b\r\nX: " + b"x" * MAX_HEAD, "BAD_REPLY"),
    ("a folded header", HEAD + part(extra="X: a\r\n b\r\n"), "BAD_REPLY"),
    ("a header twice", HEAD + part(extra="Content-Length: 3\r\n"), "BAD_REPLY"),
    ("a line without colon", HEAD + part(extra="hello\r\n"), "BAD_REPLY"),
    ("base64", HEAD + part(extra="Content-Transfer-Encoding: base64\r\n"), "BAD_REPLY"),
    ("no length", HEAD + part(length=""), "BAD_REPLY"),
    ("a negative length", HEAD + part(length=-1), "BAD_REPLY"),
    ("a length of other digits", HEAD + part(length="1_0"), "BAD_REPLY"),
    ("a length of 1e18", HEAD + video(length=10**18), "REPLY_TOO_LARGE"),
    ("a length of 40 digits", HEAD + video(length="9" * 40), "BAD_REPLY"),
    ("a JSON part of a gigabyte", HEAD + part(length=2**30), "REPLY_TOO_LARGE"),
    ("a length too short", HEAD + part(body=b"{}{}", length=2), "BAD_REPLY"),
    ("a length too long", HEAD + part(length=3) + END, "BAD_REPLY"),
    ("an unknown part", HEAD + part(name="script"), "BAD_REPLY"),
    ("a part of another type", HEAD + part(kind="text/html"), "BAD_REPLY"),
    ("a video that is JSON", HEAD + part(name="video"), "BAD_REPLY"),
    ("a video without digest", HEAD + video(sha256=None), "BAD_REPLY"),
    ("a malformed digest", HEAD + video(sha256="0x12"), "BAD_REPLY"),
    ("a wrong digest", HEAD + video(sha256="0" * 64) + END, "DIGEST_MISMATCH"),
    ("a damaged video", HEAD + video(body=VIDEO[:-1] + b"?") + END, "DIGEST_MISMATCH"),
    ("a short body", HEAD + video()[:-1], "REPLY_TRUNCATED"),
    ("two videos", HEAD + video() + b"\r\n" + video(), "BAD_REPLY"),
    ("progress after the video", HEAD + video() + b"\r\n" + part(), "BAD_REPLY"),
    ("a result after progress", HEAD + part() + b"\r\n" + part(name="result"), "BAD_REPLY"),
    ("another boundary", HEAD + part() + b"\r\n--c\r\n", "BAD_REPLY"),
    ("no last boundary", HEAD + part(name="result") + b"\r\n", "REPLY_TRUNCATED"),
    ("not JSON", HEAD + part(body=b"{"), "BAD_REPLY"),
    ("not an object", HEAD + part(body=b"[]"), "BAD_REPLY"),
    ("nested JSON", HEAD + part(body=b'{"a":' * 10_000), "BAD_REPLY"),
    ("NaN", HEAD + part(body=b'{"rate": NaN}'), "BAD_REPLY"),
    ("a number of 5,000 digits", HEAD + part(body=b'{"done": ' + b"9" * 5_000 + b"}"), "BAD_REPLY"),
]


@pytest.mark.parametrize("data, code", [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
@pytest.mark.parametrize("whole", [True, False])
def test_hostile(data, code, whole):
    size = len(data) if whole else 997
    chunks = [data[at : at + size] for at in range(0, len(data), size or 1)]
    assert read([*chunks, b""])[-1] == code


def test_a_million_parts():
    one = b"\r\n" + part()
    events = read([HEAD + part(), *(one * 100 for _ in range(50))], max_parts=1_000)
    assert len(events) == 1_001 and events[-1] == "REPLY_TOO_LARGE"


def test_a_filename_is_never_handed_out():
    data = good().replace(b"video.mp4", b"../../x.mp4")
    assert all("x.mp4" not in repr(event) for event in read([data]) if not isinstance(event, VideoData))


def test_a_video_is_not_kept():
    """Memory does not grow with the video."""
    reader = ReplyReader()
    reader.feed(HEAD + video(body=b"", length=10**9))
    assert isinstance(reader.next_event(), VideoHead)
    for _ in range(100):
        reader.feed(bytes(10_000))
        assert reader.next_event() == VideoData(bytes(10_000))
        assert reader.next_event() is NEED_MORE
        assert len(reader._data) == 0


def test_a_large_video_limit():
    assert read([HEAD + video()], max_video=100)[-1] == "REPLY_TOO_LARGE"


@given(st.data())
@settings(deadline=None)
def test_one_change_anywhere(data):
    """Whatever is changed: every event of before, an error, or a reply of the same video."""
    message = bytearray(good())
    at = data.draw(st.integers(0, len(message) - 1))
    message[at] = data.draw(st.integers(0, 255))
    events = read([bytes(message), b""])
    if events[-1] == ReplyEnd():
        assert b"".join(e.data for e in events if isinstance(e, VideoData)) == VIDEO
        json.dumps([e.fields for e in events if isinstance(e, JsonPart)])
    else:
        assert isinstance(events[-1], str)

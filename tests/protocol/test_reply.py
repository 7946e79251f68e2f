"""Replies, as they are written and as others read them."""

import base64
import email.parser
import email.policy
import hashlib
import io
import json
import shutil
import subprocess

import multipart
import pytest
from werkzeug.formparser import MultiPartParser

from mandel.errors import MandelError
from mandel.protocol.reply import ReplyWriter

PROGRESS = (
    {"job": "ab" * 32, "state": "queued"},
    {"job": "ab" * 32, "state": "running", "done": 1, "frames": 9},
)
# Looks like parts, ends like them, is cut in the middle.
VIDEO = bytes(range(256)) * 40 + b"\r\n--mandel-\r\nContent-Length: 3\r\n\r\n--\r\n" * 5 + b"\r\n\r\n--"
ERROR = MandelError("OUT_OF_RANGE", "maxiter: é is out of range", field="maxiter", limit={"min": 1})


def with_video(video=VIDEO):
    writer = ReplyWriter()
    told = b"".join(map(writer.progress, PROGRESS))
    head = writer.video_head(len(video), hashlib.sha256(video).hexdigest())
    return told + head + video + writer.end()


def with_error():
    writer = ReplyWriter()
    return writer.progress(PROGRESS[0]) + writer.error(ERROR)


def body_and_boundary(message):
    head, _, body = message.partition(b"\r\n\r\n")
    return body, head.rpartition(b"boundary=")[2].decode()


def by_email(message):
    parsed = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(message)
    assert not parsed.defects
    assert parsed.get_content_type() == "multipart/form-data"
    for part in parsed.iter_parts():
        assert not part.defects
        name = part.get_param("name", header="content-disposition")
        yield name, part.get_filename(), part.get_content_type(), part.get_payload(decode=True)


def by_multipart(message):
    body, boundary = body_and_boundary(message)
    for part in multipart.MultipartParser(io.BytesIO(body), boundary, strict=True):
        yield part.name, part.filename, part.content_type, part.raw


def by_werkzeug(message):
    body, boundary = body_and_boundary(message)
    form, files = MultiPartParser().parse(io.BytesIO(body), boundary.encode(), len(body))
    assert not form
    for name, file in files.items(multi=True):
        with file.stream as stream:
            yield name, file.filename, file.mimetype, stream.read()


def by_browser(message):
    """``Response.formData()``, by node's fetch."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed: a browser's formData() was not tried")
    body, boundary = body_and_boundary(message)
    program = """
        const chunks = []; for await (const chunk of process.stdin) chunks.push(chunk);
        const headers = {"content-type": "multipart/form-data; boundary=" + process.argv[1]};
        const form = await new Response(Buffer.concat(chunks), {headers}).formData();
        const rows = [];
        for (const [name, file] of form) rows.push([name, file.name, file.type,
            Buffer.from(await file.arrayBuffer()).toString("base64")]);
        console.log(JSON.stringify(rows));
    """
    done = subprocess.run(
        ["node", "--input-type=module", "-e", program, boundary],
        input=body,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    for name, filename, kind, data in json.loads(done.stdout):
        yield name, filename, kind, base64.b64decode(data)


@pytest.mark.parametrize("read", [by_email, by_multipart, by_werkzeug, by_browser])
def test_everybody_reads_it(read):
    *progress, video = read(with_video())
    assert [(row[:3], json.loads(row[3])) for row in progress] == [
        (("progress", "progress.json", "application/json"), fields) for fields in PROGRESS
    ]
    assert video == ("video", "video.mp4", "video/mp4", VIDEO)
    progress, error = read(with_error())
    assert error[:3] == ("error", "error.json", "application/json")
    assert json.loads(error[3]) == ERROR.as_dict()


def test_every_part_says_its_length_and_the_video_its_digest():
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(with_video())
    for part in message.iter_parts():
        assert int(part["Content-Length"]) == len(part.get_payload(decode=True))
        assert part["Content-Transfer-Encoding"] == "binary"
    assert part["Content-SHA256"] == hashlib.sha256(VIDEO).hexdigest()


def test_bytes():
    writer = ReplyWriter(boundary="b")
    assert writer.result({"jobs": []}) == (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
        b'--b\r\nContent-Disposition: form-data; name="result"; filename="result.json"\r\n'
        b"Content-Type: application/json\r\nContent-Length: 12\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        b'{"jobs": []}\r\n--b--\r\n'
    )


def test_boundaries_differ():
    assert len({ReplyWriter().boundary for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "calls",
    [
        ("end",),
        ("progress", "end"),
        ("progress", "result"),
        ("result", "result"),
        ("result", "end"),
        ("error", "progress"),
        ("video_head", "progress"),
        ("video_head", "video_head"),
        ("video_head", "error"),
        ("video_head", "end", "end"),
        ("error", "error"),
    ],
)
def test_parts_out_of_order_are_a_mistake(calls):
    arguments = {"progress": [{}], "result": [{}], "error": [ERROR], "video_head": [1, "0" * 64], "end": []}
    writer = ReplyWriter()
    for call in calls[:-1]:
        getattr(writer, call)(*arguments[call])
    with pytest.raises(ValueError):
        getattr(writer, calls[-1])(*arguments[calls[-1]])


@pytest.mark.parametrize("name", ['a"b', "a\r\nb", "../x", "é", ""])
def test_a_filename_that_does_not_fit_a_header(name):
    with pytest.raises(ValueError):
        ReplyWriter().video_head(1, "0" * 64, filename=name)

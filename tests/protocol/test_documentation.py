"""docs/protocol.md says what the code does, and its client works."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mandel.errors import MandelError
from mandel.payload import fields
from mandel.protocol import codes, operation, reply
from mandel.protocol.reply import ReplyWriter
from mandel.settings import PayloadLimits, Settings
from tests.support.answers import answering

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
VIDEO = bytes(range(256)) * 1_000 + b"\r\n--x\r\n"


def with_video(sha256=None):
    writer = ReplyWriter()
    data = writer.progress({"state": "queued"}) + writer.progress({"state": "running"})
    data += writer.video_head(len(VIDEO), sha256 or hashlib.sha256(VIDEO).hexdigest())
    return data + VIDEO + writer.end()


def run_example(folder, data):
    """Runs the page's client against a service that answers ``data``; gives the finished process."""
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(program.splitlines()) <= 31
    (folder / "payload.json").write_text('{"num_frames": 2}')
    with answering(data) as (port, _):
        program = program.replace(str(Settings.port), str(port))
        command = [sys.executable, "-c", program]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def test_the_client_of_the_page_gets_its_video(tmp_path):
    done = run_example(tmp_path, with_video())
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "zoom.mp4").read_bytes() == VIDEO
    assert "running" in done.stderr


@pytest.mark.parametrize(
    "data, words",
    [
        (with_video(sha256="0" * 64), "damaged"),
        (with_video()[:-1_000], "damaged"),
        (ReplyWriter().error(MandelError("OUT_OF_RANGE", "maxiter is too small")), "maxiter is too small"),
    ],
)
def test_the_client_of_the_page_notices(tmp_path, data, words):
    done = run_example(tmp_path, data)
    assert done.returncode == 1 and words in done.stderr
    assert not (tmp_path / "zoom.mp4").exists()


def test_every_code_operation_field_and_part_is_described():
    for name in (
        *codes.REFUSED,
        *codes.UNAVAILABLE,
        *operation.TABLE,
        *fields.BY_NAME,
        reply.PROGRESS,
        reply.RESULT,
        reply.VIDEO,
        reply.ERROR,
    ):
        assert f"`{name}`" in PAGE, name


def test_limits_and_addresses_are_those_of_the_code():
    limits = PayloadLimits()
    for limit in (
        limits.max_frames,
        limits.max_side,
        limits.max_maxiter,
        limits.max_pixels,
        limits.max_request_bytes,
    ):
        assert f"{limit:,}" in PAGE
    assert f"1e-{limits.max_depth}" in PAGE and f"to {limits.max_fps}" in PAGE
    assert f"{Settings.host}:{Settings.port}" in PAGE
    assert f"within {Settings.request_timeout:.0f} seconds" in " ".join(PAGE.split())

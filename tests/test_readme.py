"""What the README says is so: its client works, the pages it links are there."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

from mandel.protocol.reply import ReplyWriter
from tests.support.answers import answering

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
# Line ends of every kind, and what looks like a boundary: a client must change none of it.
VIDEO = bytes(range(256)) * 500 + b"\r\n\r\n--boundary\r\n\r\r\n"


def test_its_client_gets_the_video_as_it_is(tmp_path):
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(program.splitlines()) <= 30
    (tmp_path / "payload.json").write_text('{"num_frames": 2}')
    writer = ReplyWriter()
    reply = writer.progress({"state": "queued"})
    reply += writer.video_head(len(VIDEO), hashlib.sha256(VIDEO).hexdigest())
    with answering(reply + VIDEO + writer.end()) as (port, _):
        program = program.replace("65432", str(port))
        run = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "zoom.mp4").read_bytes() == VIDEO


def test_the_pages_it_links_are_there():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) > 6
    for link in links:
        assert link.startswith("http") or (ROOT / link).exists(), link

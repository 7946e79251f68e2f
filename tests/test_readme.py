"""What the README and the pages for users say is so: the client works, links lead somewhere, commands exist."""

import hashlib
import re
import shlex
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

from mandel.protocol.reply import ReplyWriter
from tests.support.answers import answering

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
PAGES = ("README.md", "docs/tutorial.md", "docs/makers.md", "docs/cluster.md")
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
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README)
    assert len(links) > 6
    for link in links:
        assert link.startswith("http") or (ROOT / link).exists(), link


def test_it_is_one_page_with_few_and_small_pictures():
    assert len(README.splitlines()) < 120
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert 1 <= len(pictures) <= 3
    assert all((ROOT / picture).stat().st_size < 250_000 for picture in pictures)


def test_its_payload_is_the_one_that_is_shipped():
    (payload,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    assert payload == (ROOT / "payload.json").read_text()


@lru_cache
def help_of(program: tuple[str, ...]) -> str:
    command = (
        [sys.executable, *program] if program[0] in ("-m", "client.py", "ray_head.py") else list(program)
    )
    done = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (program, done.stderr)
    return done.stdout


def commands(page: str) -> list[list[str]]:
    """The commands of this program in a page's blocks, split; the comment behind each is left out."""
    blocks = re.findall(r"```\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    split = [
        shlex.split(line, comments=True)
        for line in lines
        if line.startswith(("python ", "./spawn_ray", "make "))
    ]
    assert len(split) > 2 or page == "docs/makers.md", page
    return split


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_their_options_exist(page):
    for line in commands(page):
        words = line[1:] if line[0] == "python" else line
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), words
            continue
        program = tuple(words[:3]) if words[0] == "-m" else (words[0],)
        assert program[0] != "-m" or program[1] == "mandel", words
        # zoom takes what the client takes; its own help names its own options
        known = help_of(program) + (help_of(("client.py",)) if program[-1] == "zoom" else "")
        for option in (word.partition("=")[0] for word in words if word.startswith("--")):
            assert re.search(rf"{option}\b", known), (page, program, option)


def test_options_in_the_text_of_the_makers_page_exist():
    text = (ROOT / "docs" / "makers.md").read_text()
    known = help_of(("client.py",)) + help_of(("-m", "mandel", "still")) + help_of(("-m", "mandel", "locate"))
    named = {
        option for code in re.findall(r"`([^`\n]+)`", text) for option in re.findall(r"--[a-z][a-z-]+", code)
    }
    assert len(named) > 10
    assert [option for option in named if not re.search(rf"{option}\b", known)] == []

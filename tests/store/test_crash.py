"""A kill, or a full disk, at every step on disk: every name is absent or complete, no promise is broken."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mandel.store.states import CANCELLED, DONE, QUEUED
from mandel.store.store import Store
from tests.store import scenario

ROOT = Path(__file__).resolve().parents[2]
FILE_STEPS = ("fsync", "rename", "folder")
STEPS = [
    "job.write",
    *(
        f"{kind}.{step}"
        for kind in ("job", "segment", "strip", "poster", "proof", "video")
        for step in FILE_STEPS
    ),
    *(f"{label}.commit" for label in ("job", "segment", "strip", "video", "thin", "state", "discard")),
]


def run(db: Path, failpoint: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.scenario", str(db)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"MANDEL_FAILPOINT": failpoint},
        timeout=60,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout.split("\n")[:-1]


def check(db: Path, said: list[str]) -> None:
    """What was promised holds; the rest can be done; nothing is torn."""
    store = Store(db)
    try:
        record = store.get(scenario.JOB)
        assert record is not None or "accepted" not in said
        if "done" in said and "discarded" not in said:
            assert record.state in (DONE, QUEUED)  # queued: killed while discarding
        if "discarded" in said:
            assert record.state == QUEUED
        if record is not None and record.state != DONE and "done" not in said:
            assert {s.number for s in store.segments(scenario.JOB)} >= {
                int(line.split()[1]) for line in said if line.startswith("segment")
            }
        assert store.strips.of(scenario.JOB) or "strip" not in said
        if "cancelled" in said and "discarded" not in said:
            assert store.get(scenario.OTHER).state in (CANCELLED, QUEUED)
        scenario.complete(store)
        with store.open(scenario.JOB).file as file:
            assert file.read() == scenario.VIDEO
    finally:
        store.close()
    known = [scenario.VIDEO, scenario.POSTER, scenario.STRIP, *scenario.SEGMENTS, b'{"num_frames":10}']
    for path in (db / "jobs").rglob("*"):
        assert path.is_dir() or path.name == "video.json" or path.read_bytes() in known, path


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_killed(tmp_path, step, side):
    status, said = run(tmp_path / "DB", f"{step}.{side}:kill")
    assert status == -signal.SIGKILL, said
    check(tmp_path / "DB", said)


@pytest.mark.parametrize("step", STEPS)
def test_disk_full(tmp_path, step):
    status, said = run(tmp_path / "DB", f"{step}.before:enospc")
    # What was promised already, that a done job's segments go, costs room and nothing else.
    assert status == 0 and said[-1] == ("discarded" if step == "thin.commit" else "DISK_FULL")
    assert not list((tmp_path / "DB" / "tmp").glob("*.json"))
    check(tmp_path / "DB", said)


def test_killed_at_the_second_segment_keeps_the_first(tmp_path):
    status, said = run(tmp_path / "DB", "segment.rename.after:kill:2")
    assert status == -signal.SIGKILL and said == ["accepted", "segment 0"]
    check(tmp_path / "DB", said)


def test_calm(tmp_path):
    assert run(tmp_path / "DB", "") == (
        0,
        ["accepted", "segment 0", "segment 1", "strip", "done", "cancelled", "discarded"],
    )
    check(tmp_path / "DB", ["accepted", "discarded"])

"""Measuring kernel variants, as a user does."""

import os
import subprocess
import sys
from pathlib import Path

from mandel.device import tuning
from mandel.device.context import device_context
from mandel.render.direct import TUNING, VARIANTS, DirectIterator

ROOT = Path(__file__).resolve().parent.parent.parent


def tune(tmp_path, *options):
    return subprocess.run(
        [sys.executable, "-m", "mandel", "tune", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
    )


def test_what_is_fastest_is_used_from_then_on(tmp_path, monkeypatch):
    run = tune(tmp_path, "--device", "cpu")
    assert run.returncode == 0, run.stderr
    rows = [line.rpartition(" frames/s")[0].split() for line in run.stdout.splitlines()]
    names, speeds = [" ".join(row[:-1]) for row in rows], [float(row[-1]) for row in rows]
    assert set(names) <= set(VARIANTS) and len(names) > 1
    assert speeds == sorted(speeds, reverse=True) and run.stdout.count("(the default)") == 1
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert DirectIterator(device_context("cpu")).variant.name == names[0]
    assert tuning.table(device_context("cpu").device, TUNING, ("direct.cl", "direct_tiles.cl")).keys() == set(
        names
    )


def test_no_such_device_is_told_in_a_line(tmp_path):
    run = tune(tmp_path, "--device", "abacus")
    assert run.returncode == 1 and run.stderr.startswith("error: ") and "abacus" in run.stderr
    assert "Traceback" not in run.stderr

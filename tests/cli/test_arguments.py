"""Negative numbers as values of options."""

import subprocess
import sys

import pytest

from mandel.cli.arguments import joined


@pytest.mark.parametrize("argv, expected", [
    (["--point", "-1.25,0", "-o", "a"], ["--point=-1.25,0", "-o", "a"]),
    (["--point", "-.5,-1"], ["--point=-.5,-1"]),
    (["--point=-1,0", "-q", "--list"], ["--point=-1,0", "-q", "--list"]),
    (["x.json", "-1"], ["x.json", "-1"]),
    (["--delta", "1e-5", "-"], ["--delta", "1e-5", "-"]),
])
def test_joined(argv, expected):
    assert joined(argv) == expected


def test_every_command_takes_a_point_left_of_zero():
    """A bad depth is complained about, so the point was understood."""
    command = [sys.executable, "-m", "mandel", "still", "--point", "-1.25,0", "--delta", "-2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "delta" in done.stderr and "expected one argument" not in done.stderr

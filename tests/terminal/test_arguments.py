"""Negative numbers as values of options."""

import subprocess
import sys

import pytest

from mandel.terminal.arguments import Parser, joined


@pytest.mark.parametrize(
    "argv, expected",
    [
        (["--point", "-1.25,0", "-o", "a"], ["--point=-1.25,0", "-o", "a"]),
        (["--point", "-.5,-1"], ["--point=-.5,-1"]),
        (["--point=-1,0", "-q", "--list"], ["--point=-1,0", "-q", "--list"]),
        (["x.json", "-1"], ["x.json", "-1"]),
        (["--delta", "1e-5", "-"], ["--delta", "1e-5", "-"]),
    ],
)
def test_joined(argv, expected):
    assert joined(argv) == expected


def test_what_is_no_misspelt_option_is_left_alone():
    parser = Parser()
    parser.add_argument("--name")
    parser.add_argument("rest", nargs="*")
    assert vars(parser.parse_args(["--name", "-- a b", "--", "--none"])) == {
        "name": "-- a b",
        "rest": ["--none"],
    }
    assert parser.parse_args(["--na", "x"]).name == "x"  # argparse takes beginnings, unless it is told not to


@pytest.mark.parametrize("name, delta", [("still", "-2"), ("still", "0"), ("locate", "0")])
def test_every_command_takes_a_point_left_of_zero(name, delta):
    """A bad depth is complained about by its own name, so the point was understood."""
    command = [sys.executable, "-m", "mandel", name, "--point", "-1.25,0", "--delta", delta]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("OUT_OF_RANGE: delta: a delta must be greater than 0")

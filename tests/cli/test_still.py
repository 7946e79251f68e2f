"""python -m mandel still: files, settings, errors."""

from __future__ import annotations

import json

import imageio.v3 as imageio
import numpy as np
import pytest

from mandel.cli import still
from mandel.plan.view import View
from mandel.render import oracle

SMALL = ["--width", "33", "--height", "21", "--device", "cpu"]


def test_npz_holds_counts_smooth_counts_and_settings(tmp_path, capsys):
    out = tmp_path / "a.npz"
    argv = ["--point=-0.7,0.1", "--delta", "2.6", "--maxiter", "120", "--bailout", "2", *SMALL, "-o", str(out)]
    assert still.main(argv) == 0
    with np.load(out) as file:
        iterations, smooth, settings = file["iterations"], file["smooth"], json.loads(str(file["settings"]))
    expected, frac = oracle.iterate_grid(View("-0.7", "0.1", "2.6", 33, 21).grid(), 120, 2.0)
    assert iterations.dtype == np.int64 and smooth.dtype == np.float32
    assert (iterations == expected).all()
    assert np.abs(smooth - np.where(expected > 120, 0, expected + frac)).max() < 1e-4
    assert settings["point"] == "-0.7,0.1" and settings["maxiter"] == 120 and settings["bailout"] == 2
    assert capsys.readouterr().out == f"{out}\n"
    assert list(tmp_path.iterdir()) == [out]


def test_png_and_timing(tmp_path, capsys):
    out = tmp_path / "a.png"
    argv = ["--point", "-0.7,0.1", "--delta", "2.6", "--supersampling", "2", "--adaptive", "--timing", *SMALL, "-o", str(out)]
    assert still.main(argv) == 0
    picture = imageio.imread(out)
    assert picture.shape == (21, 33, 3) and picture.std() > 10
    said = capsys.readouterr().out
    assert said.endswith(f"\n{out}\n")
    assert all(word in said for word in ("double", "kernel", "colour", "refined"))


@pytest.mark.parametrize(
    "options, code",
    [
        (["--point", "x,0", "--delta", "1"], "BAD_NUMBER"),
        (["--point", "0,0", "--delta", "0"], "OUT_OF_RANGE"),
        (["--point", "0,0", "--delta", "1", "--width", "0"], "OUT_OF_RANGE"),
        (["--point", "0,0", "--delta", "1", "--maxiter", "0"], "OUT_OF_RANGE"),
        (["--point", "0,0", "--delta", "1", "--maxiter", "auto"], 'WRONG_TYPE: maxiter: "auto" is for zooms'),
        (["--point", "0,0", "--delta", "1", "--bailout", "1"], "OUT_OF_RANGE"),
        (["--point", "0,0", "--delta", "1", "-o", "a.gif"], "UNKNOWN_VALUE"),
        (["--point", "0,0", "--delta", "1", "--device", "no such"], "UNKNOWN_DEVICE"),
        (["--point", "0,0", "--delta", "1", "-o", "/no/such/folder/a.png"],
         "BAD_OUTPUT: there is no folder /no/such/folder; make it"),
    ],
)
def test_errors_are_one_line_with_a_code(options, code, capsys):
    assert still.main(options) != 0
    said = capsys.readouterr().err
    assert said.startswith(code) and said.count("\n") == 1

"""python -m mandel still: files, settings, errors."""

from __future__ import annotations

import json
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

from mandel.cli import still
from mandel.colour import looks
from mandel.payload import in_file
from mandel.plan.view import View
from tests.support import iteration_oracle

SMALL = ["--width", "33", "--height", "21", "--device", "cpu"]


def test_npz_holds_counts_smooth_counts_and_settings(tmp_path, capsys):
    out = tmp_path / "a.npz"
    argv = [
        "--point=-0.7,0.1",
        "--delta",
        "2.6",
        "--maxiter",
        "120",
        "--bailout",
        "2",
        *SMALL,
        "-o",
        str(out),
    ]
    assert still.main(argv) == 0
    with np.load(out) as file:
        iterations, smooth, settings = file["iterations"], file["smooth"], json.loads(str(file["settings"]))
    expected, frac = iteration_oracle.iterate_grid(View("-0.7", "0.1", "2.6", 33, 21).grid(), 120, 2.0)
    assert iterations.dtype == np.int64 and smooth.dtype == np.float32
    assert (iterations == expected).all()
    assert np.abs(smooth - np.where(expected > 120, 0, expected + frac)).max() < 1e-4
    assert settings["point"] == "-0.7,0.1" and settings["maxiter"] == 120 and settings["bailout"] == 2
    assert capsys.readouterr().out == f"{out}\n"
    assert list(tmp_path.iterdir()) == [out]


def test_png_and_timing(tmp_path, capsys):
    out = tmp_path / "a.png"
    argv = [
        "--point",
        "-0.7,0.1",
        "--delta",
        "2.6",
        "--supersampling",
        "2",
        "--adaptive",
        "--timing",
        *SMALL,
        "-o",
        str(out),
    ]
    assert still.main(argv) == 0
    picture = imageio.imread(out)
    assert picture.shape == (21, 33, 3) and picture.std() > 10
    said = capsys.readouterr().out
    assert said.endswith(f"\n{out}\n")
    assert all(word in said for word in ("double", "kernel", "colour", "refined"))


@pytest.mark.parametrize(
    "point, delta",
    [
        ("-0.743643887037158704752191506114774,0.131825904205311970493132056385139", "2e-8"),
        ("-1.7490812690053707442832620219208639942586460813548838,0", "5.414e-21"),
    ],
    ids=["a view of the double spiral", "a minibrot"],
)
def test_the_limit_is_found(point, delta, tmp_path, capsys):
    """With 1000, the default of once, both views are black."""
    found = []
    for limit in ([], ["--maxiter", "auto"], ["--maxiter", "20000"], ["--maxiter", "1000"]):
        out = tmp_path / "a.npz"
        assert (
            still.main(
                [f"--point={point}", "--delta", delta, *limit, "--bailout", "2", *SMALL, "-o", str(out)]
            )
            == 0
        )
        said = capsys.readouterr().err
        assert ("hint: maxiter" in said) == ("1000" in limit)
        with np.load(out) as file:
            found.append((file["iterations"], json.loads(str(file["settings"]))["maxiter"]))
    (default, limit), (auto, _), (right, _), (low, _) = found
    assert 2_000 < limit <= 64_000 and (default == auto).all()
    assert (default > limit).mean() <= (right > 20_000).mean() + 0.005
    assert (low > 1_000).mean() > (right > 20_000).mean() + 0.2


@pytest.mark.parametrize("look", sorted({*looks.NAMES} - {"engraving"}))  # that one is ink on paper
@pytest.mark.parametrize(
    "point, delta",
    [
        ("-0.743643887037158704752191506114774,0.131825904205311970493132056385139", "1e-9"),
        ("-1.7490812690237,0", "1e-8"),
        ("-1.338238635,-0.057237059", "2e-4"),  # lines everywhere
    ],
)
def test_no_look_is_nearly_black(look, point, delta, tmp_path):
    """The palettes of two began so dark that whole views were black, and an edge hid what lines there are."""
    out = tmp_path / "a.png"
    size = ["--width", "96", "--height", "54", "--device", "cpu"]
    assert still.main([f"--point={point}", "--delta", delta, "--look", look, *size, "-o", str(out)]) == 0
    dark = imageio.imread(out)[..., :3].max(axis=2) < 28
    assert dark.mean() < 0.1


def test_a_limit_that_was_given_up_is_told(tmp_path, capsys):
    out = tmp_path / "a.npz"
    assert still.main(["--point=-1.36,0.005", "--delta", "1e-5", *SMALL, "-o", str(out)]) == 0
    said = capsys.readouterr()
    assert (
        "the search for the iteration limit was given up: nothing escapes within 16,000,000 iterations"
        in said.err
    )
    assert (
        "the picture is black all over: the point lies inside of the set, as far as can be told" in said.err
    )
    with np.load(out) as file:
        assert (file["iterations"] == 1_001).all()


@pytest.mark.parametrize(
    "options, code",
    [
        (["--point", "x,0", "--delta", "1"], "BAD_NUMBER"),
        (["--point", "0,0", "--delta", "0"], "OUT_OF_RANGE"),
        (["--point", "0,0", "--delta", "1", "--width", "0"], "OUT_OF_RANGE"),
        (["--point", "0,0", "--delta", "1", "--maxiter", "0"], "OUT_OF_RANGE"),
        (["--point", "0,0", "--delta", "1", "--maxiter", "automatic"], "WRONG_TYPE"),
        (["--point", "0,0", "--delta", "1", "--bailout", "1"], "OUT_OF_RANGE"),
        (["--point", "0,0", "--delta", "1", "-o", "a.gif"], "UNKNOWN_VALUE"),
        (["--point", "0,0", "--delta", "1", "--device", "no such"], "UNKNOWN_DEVICE"),
        (
            ["--point", "0,0", "--delta", "1", "-o", "/no/such/folder/a.png"],
            "BAD_OUTPUT: there is no folder /no/such/folder; make it",
        ),
    ],
)
def test_errors_are_one_line_with_a_code(options, code, capsys):
    assert still.main(options) != 0
    said = capsys.readouterr().err
    assert said.startswith(code) and said.count("\n") == 1


def test_a_reference_orbit_that_outgrows_the_memory_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("mandel.device.machine.memory_bytes", lambda: 32 << 20)
    out = tmp_path / "still.png"
    options = [
        "--delta",
        "1e-12",
        "--width",
        "16",
        "--height",
        "8",
        "--maxiter",
        "2000000000",
        "-o",
        str(out),
    ]
    assert still.main(["--point=-0.75,0", *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("JOB_TOO_BIG: ") and "maxiter may be up to" in error and not out.exists()
    assert still.main(["--point=-1.9,0", *options]) == 0 and out.exists()  # ends with the view


def test_a_still_carries_its_payload(tmp_path):
    out = tmp_path / "still.png"
    argv = ["--point=-1.5,1e-3", "--delta", "0.25", "--width", "64", "--height", "48", "--palette", "ember"]
    assert still.main([*argv, "-o", str(out)]) == 0
    known = json.loads(in_file.read(out))
    shown = ("point", "start_delta", "end_delta", "frame_width", "frame_height", "palette", "num_frames")
    assert [known[name] for name in shown] == ["-1.5,0.001", "0.25", "0.25", 64, 48, "ember", 1]


def test_a_still_is_named_after_its_file_and_replaces_none(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("deep.json").write_text(json.dumps({"point": "-0.7,0.1", "end_delta": 0.1, "maxiter": 50}))
    assert still.main(["deep.json", *SMALL]) == 0
    assert capsys.readouterr().out == "deep.png\n"
    first = Path("deep.png").read_bytes()
    assert still.main(["deep.json", "--palette=ember", *SMALL]) == 0
    assert "note: another deep.png was there; it is deep.1.png now" in capsys.readouterr().err
    assert Path("deep.1.png").read_bytes() == first != Path("deep.png").read_bytes()
    assert still.main(["deep.1.png", *SMALL]) == 0
    assert capsys.readouterr().out == "deep.1-again.png\n" and Path("deep.1.png").read_bytes() == first
    assert still.main(["--point=-0.7,0.1", "--delta=0.1", "--maxiter=50", *SMALL]) == 0
    assert capsys.readouterr().out == "still.png\n"
    assert still.main(["deep.1.png", "--device", "cpu"]) == 0  # of its own size, whose sides are odd
    assert capsys.readouterr().out == "deep.1-again.png\n"
    assert imageio.imread("deep.1-again.png").shape == (21, 33, 3)

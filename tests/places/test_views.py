"""``still FILE`` shows what the file's program shows: the same points of the plane, counted apart from our program."""

import cmath
import json
import math

import imageio.v3 as imageio
import numpy as np
import pytest

from mandel.cli import still
from tests.places import samples
from tests.places.samples import IM, RE

WIDTH, HEIGHT, MAXITER = 48, 32, 500
CENTRE = complex(float(RE), float(IM))


def counts(c):
    """The number of the iteration at which |z| > 2, MAXITER + 1 where it never is."""
    z, found = np.zeros_like(c), np.full(c.shape, MAXITER + 1)
    for n in range(1, MAXITER + 1):
        z = np.where(found > MAXITER, z * z + c, z)
        found = np.where((found > MAXITER) & (np.abs(z) > 2), n, found)
    return found


def turned(degrees):
    return cmath.rect(1, math.radians(degrees))


# Columns to the right and rows downwards, in pixels, from the centre of the picture.
X, DOWN = np.meshgrid(np.arange(WIDTH) - (WIDTH - 1) / 2, np.arange(HEIGHT) - (HEIGHT - 1) / 2)
# The point of the plane in each pixel of the program's own picture, by its formula.
THEIRS = {
    "a.kfr": CENTRE + (X + 1j * DOWN) * (4 / 2000 / HEIGHT) * turned(30),
    "a.f3.toml": CENTRE + (X - 1j * DOWN) * (4 / 2000 / HEIGHT) * turned(30),
    "a.toml": CENTRE + (X + 1j * DOWN) * (4 / 2000 / (HEIGHT - 1)) * turned(30),
    "a.ini": CENTRE + (X + 1j * DOWN) * (4 / 2000 / HEIGHT),
    # XaoS: both 0.001 across and 0.002 upwards must fit; here the latter decides.
    "a.xpf": CENTRE + (X + 1j * DOWN) * (max(0.001, 0.002 * WIDTH / HEIGHT) / WIDTH) * turned(-30),
    "a.par": CENTRE + (X - 1j * DOWN) * (2 / 1000 / HEIGHT) * turned(-30),
    "a.upr": CENTRE + (X - 1j * DOWN) * (3 / 1500 / HEIGHT) * turned(-30),
}


@pytest.mark.parametrize("name", samples.PLACES)
def test_counts_and_extents_are_the_programs(name, tmp_path, capsys):
    path, out = tmp_path / name, tmp_path / "a.npz"
    path.write_text(samples.PLACES[name])
    size = ["--width", str(WIDTH), "--height", str(HEIGHT), "--device", "cpu"]
    assert still.main([str(path), *size, "--bailout", "2", "-o", str(out)]) == 0
    with np.load(out) as file:
        ours, settings = file["iterations"], json.loads(str(file["settings"]))
    assert settings["maxiter"] == MAXITER
    said = capsys.readouterr().err
    theirs, mirrored = counts(THEIRS[name]), "mirror image" in said
    assert len(np.unique(theirs)) > 50  # a view that shows a difference
    assert (ours == (theirs[::-1] if mirrored else theirs)).mean() > 0.99
    assert (ours == (theirs if mirrored else theirs[::-1])).mean() < 0.5
    if mirrored:  # what is told to do shows the same picture
        options = [f"--point={RE},-{IM}", f"--rotation={-float(settings['rotation'])}"]
        assert still.main([str(path), *options, *size, "--bailout", "2", "-o", str(out)]) == 0
        with np.load(out) as file:
            assert (file["iterations"] == theirs).mean() > 0.99


def test_the_last_frame_of_a_payload(tmp_path):
    path, out = tmp_path / "a.json", tmp_path / "a.npz"
    fields = {"point": f"{RE},{IM}", "end_delta": 0.002, "rotation": 30, "maxiter": MAXITER}
    path.write_bytes(json.dumps(fields | {"frame_width": WIDTH, "frame_height": HEIGHT}).encode("utf-16"))
    assert still.main([str(path), "--device", "cpu", "--bailout", "2", "-o", str(out)]) == 0
    with np.load(out) as file:
        assert (file["iterations"] == counts(THEIRS["a.f3.toml"])).mean() > 0.99
    path.write_text('{"maxitre": 5}')
    assert still.main([str(path), "-o", str(out)]) == 2


def test_errors_are_one_line_with_a_code(tmp_path, capsys):
    path = tmp_path / "a.kfr"
    path.write_text(samples.KFR.replace("FractalType: 0", "FractalType: 1"))
    assert still.main([str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("BAD_FILE") and "Burning Ship; only z^2 + c" in error and error.count("\n") == 1
    (tmp_path / "a.gpl").write_text(samples.GPL)
    assert still.main([str(tmp_path / "a.gpl")]) == 2
    assert "has no place: add --point=RE,IM --delta D" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        still.main([])
    assert "name a FILE, or a place" in capsys.readouterr().err


def test_options_win_over_the_file(tmp_path):
    path, out = tmp_path / "a.kfr", tmp_path / "a.npz"
    path.write_text(samples.KFR)
    argv = [
        str(path),
        "--maxiter",
        "77",
        "--delta",
        "1e\u22122",
        "--point",
        "-0.5 + 0.25i",
        "--rotation",
        "0",
    ]
    assert still.main([*argv, "--width", "9", "--height", "7", "--device", "cpu", "-o", str(out)]) == 0
    with np.load(out) as file:
        settings = json.loads(str(file["settings"]))
    assert settings["maxiter"] == 77 and settings["delta"] == "0.01" and settings["point"] == "-0.5,0.25"
    assert settings["rotation"] == "0"


def test_a_palette_of_a_file_colours_the_picture(tmp_path):
    """One colour but for a hair: every pixel outside the set has it."""
    (tmp_path / "a.gpl").write_text("GIMP Palette\n200 30 60\n200 30 60\n200 31 60\n")
    out = tmp_path / "a.png"
    place = [
        "--point=-3,0",
        "--delta",
        "1",
        "--width",
        "9",
        "--height",
        "7",
        "--device",
        "cpu",
        "-o",
        str(out),
    ]
    for words in ([str(tmp_path / "a.gpl")], ["--palette", str(tmp_path / "a.gpl")]):
        assert still.main([*words, *place, "--maxiter", "99"]) == 0
        assert (np.abs(imageio.imread(out).astype(int) - (200, 30, 60)) <= 1).all()

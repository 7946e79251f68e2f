"""Places that other renderers, or this one once, got wrong: counts by plain fixed-point iteration, and pictures.

Counts are the least n with |z_n| > bailout; maxiter + 1: never. Corners read TL TR BL BR.
"""

from __future__ import annotations

import cmath
import itertools
import json
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from mandel.colour.style import ColourStyle
from mandel.colour.transfer import decode_srgb, encode_srgb
from mandel.device.context import device_context
from mandel.payload.payload import parse
from mandel.plan.arithmetic import arithmetic
from mandel.plan.grid import Grid
from mandel.plan.view import View
from mandel.protocol.strict_json import loads
from mandel.render.frame import FrameRenderer
from mandel.render.perturbed import PerturbedIterator
from mandel.render.samples import Outputs
from tests.support.colour_oracle import average
from tests.support.zooms import Zoomed, psnr
from tests.sweep.truth import truth

ROOT = Path(__file__).parents[2]
NUCLEI = {n["name"]: n for n in json.loads((ROOT / "tests" / "reference" / "nuclei.json").read_text())}
ON_AXIS = "-1.7490812690053707442832620219208639942586460813548838"
SEAHORSE = "-0.743643887037158704752191506114774", "0.131825904205311970493132056385139"


def raw(re: str, im: str, delta: str, maxiter: int, bailout: float = 2.0, width: int = 16, height: int = 9):
    return FrameRenderer(device_context()).raw(View(re, im, delta, width, height), maxiter, bailout)[0]


def zoomed(**fields) -> Zoomed:
    return Zoomed(device_context(), parse(loads(json.dumps({"mapping": "root"} | fields).encode())))


def test_left_of_the_tip():
    count = raw("-2.0000000001", "0", "4e-10", 2_000)
    assert (count[:, :10] == 1).all()
    assert (count[4, 10:] == 2_001).all()
    assert (count == count[::-1]).all()


def test_the_tip_at_1e_275():
    """Left of -2 all leave at once; a double alone sees that only after 433 iterations."""
    grid = View("-2", "0", "1e-275", 16, 9).grid()
    count = raw("-2", "0", "1e-275", 2_000)
    assert (count[:, :8] == 1).all()
    assert (count[4, 8:] == 2_001).all() and np.count_nonzero(count > 2_000) == 8
    assert count[count <= 2_000].max() == 462
    for k in range(0, 144, 5):
        exact = truth(grid, k % 16, k // 16, 2_000, 2.0)
        assert count[k // 16, k % 16] == exact.count or exact.margin < 2.0**-30


@pytest.mark.parametrize(
    "name, re, im, delta, maxiter, corners",
    [
        (
            "glitch_test_1",
            "-1.7692026523595072889383857467776111524931174128810441858206091009582682358361714060565188845736378999999999999999999700",
            "-0.0569076698576771144575618191177937971946160499670677653396147999149822235591500415257488642677904400000000000000000000",
            "1.1951714e-46",
            275_250,
            (32_120, 32_139, 32_156, 32_200),
        ),
        (
            "nr_fail",
            "-0.74505665699232857364077251317671094",
            "-0.13521978823797060355111981379715792",
            "5.82076609e-11",
            20_000,
            (2_648, 2_193, 2_073, 2_643),
        ),
        (
            "mathr 2014",
            "-1.760732891182472726272",
            "0.01302137831089206469511",
            "8.0388733884609302e-14",
            5_000,
            (360, 348, 349, 357),
        ),
        (
            "fail2",
            "-1.36768994867991128",
            "0.00949048853859240532",
            "2.477633848347765e-8",
            5_000,
            (2_347, None, 2_265, 1_718),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value and len(value) < 15 else "",
)
def test_corners(name, re, im, delta, maxiter, corners):
    count = raw(re, im, delta, maxiter)
    found = count[0, 0], count[0, -1], count[-1, 0], count[-1, -1]
    assert all(want in (None, got) for got, want in zip(found, corners, strict=True)), found


def test_an_ordinary_zoom_does_not_kill_its_worker(tmp_path):
    """A tile's list of samples left for later held half of them; up to 11 of 16 lanes of a vector can be left."""
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "mandel",
            "still",
            f"--point={','.join(SEAHORSE)}",
            "--delta",
            "5e-6",
            "--device",
            "cpu",
            "--width",
            "1280",
            "--height",
            "720",
            "--maxiter",
            "3000",
            "-o",
            str(tmp_path / "x.png"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run


@pytest.mark.parametrize(
    "re, im, delta, maxiter",
    [
        ("-0.75", "0.1", "0.5", 500),
        (*SEAHORSE, "1e-6", 2_000),
        ("-1.768778833", "-0.001738996", "1e-7", 2_000),
        (*SEAHORSE, "1e-8", 20_000),
        (ON_AXIS, "3e-21", "1e-20", 6_000),
        ("0", "1", "1e-150", 3_000),
        ("-2.000000000000001", "1e-40", "1e-38", 3_000),
    ],
)
def test_mirror_images_but_for_the_dither(re, im, delta, maxiter):
    mirrored = im[1:] if im.startswith("-") else "-" + im
    renderer = FrameRenderer(device_context())
    one, other = (
        renderer.picture(View(re, y, delta, 96, 64), maxiter, 1000.0, ColourStyle()) for y in (im, mirrored)
    )
    assert one.std() > 1
    assert np.abs(one.astype(int) - other[::-1]).max() <= 1  # the dither's pattern is not mirrored


@pytest.mark.parametrize("height", [64, 63, 66])
def test_the_real_axis_is_a_mirror(height):
    renderer = FrameRenderer(device_context())
    picture = renderer.picture(View(ON_AXIS, "0", "5.414e-21", 96, height), 6_000, 1000.0, ColourStyle())
    assert picture.std() > 10
    assert np.abs(picture.astype(int) - picture[::-1]).max() <= 1  # the dither's pattern is not mirrored


WAYS = [
    {"point": ",".join(SEAHORSE), "start_delta": "1", "end_delta": "1e-3"},
    {"point": ",".join(SEAHORSE), "start_delta": "1e-6", "end_delta": "1e-12"},
    {"point": f"{ON_AXIS},0", "start_delta": "1e-3", "end_delta": "5.414e-21"},
    {"point": "0,1", "start_delta": "1e-100", "end_delta": "1e-130"},
]


@pytest.mark.parametrize("sampling", ["exact", "shared"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way["end_delta"])
def test_a_zoom_out_is_a_zoom_in_backwards(way, sampling):
    fields = {"num_frames": 4, "frame_width": 64, "frame_height": 48, "maxiter": 2_500, "sampling": sampling}
    there = zoomed(**fields, **way)
    back = zoomed(**fields, point=way["point"], start_delta=way["end_delta"], end_delta=way["start_delta"])
    for k in range(4):
        off = np.abs(there.frame(k) - back.frame(3 - k))
        # Deltas between the ends are rounded to 40 digits, this way and that; strips to 1/4096 of a count.
        assert off.max() == 0 if sampling == "exact" and k in (0, 3) else (off > 1).mean() < 1e-3


@pytest.mark.parametrize("sampling", ["exact", "shared"])
def test_a_turn_on_the_spot(sampling):
    shared = zoomed(
        point=",".join(SEAHORSE),
        num_frames=5,
        frame_width=80,
        frame_height=80,
        maxiter=1_000,
        start_delta="0.02",
        end_delta="0.02",
        rotation="360",
        sampling=sampling,
    )
    first, quarter, last = (shared.frame(k) for k in (0, 1, 4))
    assert first.std() > 10
    assert psnr(first, last) > 40
    # A quarter of a turn maps pixels onto pixels; the view turns counter-clockwise, the picture clockwise.
    assert psnr(np.rot90(first, -1), quarter) > 30


@pytest.mark.parametrize("re, im, octave, maxiter", [(*SEAHORSE, -30, 4_000), ("0", "1", -380, 3_000)])
def test_no_step_where_the_arithmetic_changes(re, im, octave, maxiter):
    """Frames an octave apart: the inner half of each, against the next one averaged 2 x 2."""
    renderer, size = FrameRenderer(device_context()), 64
    frames, names = [], []
    for k in range(4, -5, -1):
        view = View(re, im, f"{Decimal(size) * Decimal(2) ** (octave + k) * Decimal('0.7'):.20e}", size, size)
        frames.append(renderer.picture(view, maxiter, 1000.0, ColourStyle(), 4) / 255)
        names.append(arithmetic(view.grid(4)).name)
    inner = slice(size // 4, size * 3 // 4)
    step = [
        psnr(a[inner, inner] * 255, encode_srgb(average(decode_srgb(b), 2)) * 255)
        for a, b in itertools.pairwise(frames)
    ]
    switch = next(k for k in range(len(step)) if names[k] != names[k + 1])
    others = [value for k, value in enumerate(step) if k != switch]
    assert step[switch] > min(others) - 1.5, (step, names)


def test_a_deeper_end_leaves_the_first_frame_alone_at_a_minibrot():
    point = (
        "-1.749081269005370744283262021920863994258646081354883888847004228976288652139069344556446553648192922468"
        "842905930494648549495662466658999338,0"
    )
    fields = {
        "point": point,
        "num_frames": 3,
        "frame_width": 320,
        "frame_height": 180,
        "maxiter": 6_000,
        "start_delta": "5.414e-21",
    }
    deep, shallow = (zoomed(**fields, end_delta=end) for end in ("1e-145", "1e-22"))
    assert shallow.frame(0).std() > 20
    assert psnr(deep.frame(0), shallow.frame(0)) > 50
    # At these offsets, times delta.
    bits = deep.recipe.unit(deep.recipe.needs(_item(0))[0]).bits
    iterator, re = PerturbedIterator(device_context()), point.split(",")[0]
    from mandel.plan.reference import reference_orbit

    reference = reference_orbit(re, "0", bits, 6_000)
    for x, y, count in ((0.1, 0.1, 2_047), (0, 0.3, 1_159), (0.45, 0.3, 859), (0.02, 0, 6_001)):
        grid = Grid(re, "0", Decimal("5.414e-21"), 1, 1, x, y)
        samples = iterator.iterate(grid, 6_000, 1000.0, reference=reference)
        assert iterator.ctx.download(samples.count, np.empty(1, np.int32))[0] == count


def _item(frame: int):
    from mandel.driver.recipes.recipe import FRAME, WorkItem

    return WorkItem(FRAME, frame)


def test_a_deeper_end_leaves_frames_alone_beside_a_nucleus():
    deep = zoomed(
        point="-1,1e-130",
        num_frames=4,
        frame_width=160,
        frame_height=90,
        maxiter=2_000,
        start_delta="1e-6",
        end_delta="1e-140",
    )
    for k in range(4):
        assert psnr(deep.frame(k), deep.alone(k)) > 50, k


def test_the_minibrot_at_2e_667():
    nucleus = NUCLEI["minibrot 0.6"]
    assert nucleus["size"].startswith("1.9466862") and nucleus["period"] == 614
    count = raw(nucleus["re"], nucleus["im"], "7.7867450767e-667", 61_400, 1000.0, 192, 128)
    assert [count[row, col] for col, row in ((116, 43), (59, 67), (79, 89))] == [7_982, 7_980, 9_408]


@pytest.mark.parametrize(
    "name", ["walk a 260", "tip 165", "minibrot 0.3", "minibrot 0.45", "i 300", "tip 400"]
)
def test_minibrots_below_1e_308(name):
    """Work items of many samples and of one give the same counts: 24 x 16 samples, four times the size."""
    nucleus = NUCLEI[name]
    view = View(nucleus["re"], nucleus["im"], f"{4 * Decimal(nucleus['size']):e}", 24, 16)
    maxiter = 12 * nucleus["period"]
    iterator = PerturbedIterator(device_context())
    many = everything(iterator, view, maxiter, 1000.0)
    alone = [everything(iterator, one, maxiter, 1000.0) for one in singles(view.grid())]
    count, distance = (np.concatenate([one[k] for one in alone]) for k in (0, 1))
    sure = (distance > 2.0**-12) | (count > maxiter)
    assert (many[0][sure] == count[sure]).all()


def singles(grid: Grid):
    return [
        replace(grid, cols=1, rows=1, x0=grid.x0 + k % grid.cols, y0=grid.y0 - k // grid.cols)
        for k in range(grid.cols * grid.rows)
    ]


def everything(iterator, view, maxiter, bailout):
    grid = view.grid() if isinstance(view, View) else view
    samples, n = (
        iterator.iterate(grid, maxiter, bailout, Outputs(distance=True, slope=True)),
        grid.rows * grid.cols,
    )
    get = iterator.ctx.download
    return (
        get(samples.count, np.empty(n, np.int32)),
        get(samples.distance, np.empty(n, np.float32)),
        get(samples.slope, np.empty((n, 2), np.float32)),
    )


@pytest.mark.parametrize("degrees", [0, 33, 90, 211])
@pytest.mark.parametrize("delta", ["1e-171", "1e-250", "1e-310", "1e-380", "1e-449"])
def test_turned_views_at_the_tip(delta, degrees):
    """Distances were NaN here, and counts wrong, with bailout 2."""
    turn = cmath.rect(1, np.radians(degrees)) if degrees else 1 + 0j
    grid = View("-1.999999999999999999999999999", "-2e-989", delta, 12, 8, turn).grid()
    count, distance, slope = everything(PerturbedIterator(device_context()), grid, 3_000, 2.0)
    for k in range(0, 96, 7):
        exact = truth(grid, k % 12, k // 12, 3_000, 2.0)
        if exact.distance > 2.0**-12 and exact.margin > 2.0**-30:
            assert count[k] == exact.count
            assert exact.distance > 2.0**120 or abs(distance[k] / exact.distance - 1) < 1e-4
            assert abs(complex(*slope[k]) - exact.slope) < 1e-3
    assert not np.isnan(distance).any()

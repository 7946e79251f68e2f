"""Perturbed counts against the exact ones of tests/reference/."""

import json
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from mandel.colour.style import ColourStyle
from mandel.device.context import device_context
from mandel.errors import RenderError
from mandel.plan.arithmetic import DIRECT, PERTURBED, arithmetic
from mandel.plan.grid import POLAR, Grid
from mandel.plan.precision import precision
from mandel.plan.reference import reference_orbit
from mandel.plan.view import View
from mandel.render import perturbed
from mandel.render.frame import FrameRenderer
from mandel.render.perturbed import PerturbedIterator
from mandel.render.samples import Outputs
from tests.sweep import views
from tests.sweep.runs import fetched

FOLDER = Path(__file__).parent.parent / "reference"
ANSWERS = json.loads((FOLDER / "known_answers.json").read_text())


def plane(re, im, spacing, cols, rows, x0=None, y0=None):
    x0 = -(cols - 1) / 2 if x0 is None else x0
    y0 = (rows - 1) / 2 if y0 is None else y0
    return Grid(re, im, Decimal(spacing), cols, rows, x0, y0)


def counts(iterator, grid, maxiter, bailout=2.0, outputs=Outputs(), reference=None):
    samples = iterator.iterate(grid, maxiter, bailout, outputs, reference=reference)
    return iterator.ctx.download(samples.count, np.empty((grid.rows, grid.cols), np.int32))


@pytest.fixture(scope="module")
def iterator():
    return PerturbedIterator(device_context())


@pytest.mark.parametrize("case", ANSWERS["grids"], ids=lambda case: case["name"])
@pytest.mark.parametrize(
    "outputs", [Outputs(), Outputs(distance=True, slope=True)], ids=["plain", "derivative"]
)
def test_known_grids_are_exact(iterator, case, outputs):
    grid = plane(case["re"], case["im"], case["s"], case["W"], case["H"])
    want = np.load(FOLDER / Path(case["file"]).name)
    assert np.array_equal(counts(iterator, grid, case["maxiter"], outputs=outputs), want)


@pytest.mark.parametrize("k", [1, 5, 20, 75, 250])
def test_self_similarity_at_i(iterator, k):
    """(4+4i)**8 = 2**20, so counts near i grow by 16 with every 20 octaves."""
    cols, rows = 16, 9
    spacing = Decimal(2) ** -22
    with_digits = spacing / Decimal(2) ** (20 * k)
    near = counts(iterator, plane("0", "1", f"{spacing:.60e}", cols, rows), 4_000)
    far = counts(iterator, plane("0", "1", f"{with_digits:.40e}", cols, rows), 16 * k + 4_000)
    assert near.max() <= 4_000
    assert np.array_equal(far, near + 16 * k)


def test_a_reference_that_does_not_serve_is_refused(iterator):
    grid = plane("0", "1", "1e-100", 4, 4)
    with pytest.raises(RenderError) as error:
        iterator.iterate(grid, 100, 2.0, reference=reference_orbit("0", "1", 64, 100))
    assert error.value.code == "BAD_REFERENCE"


def everything(renderer, grid, maxiter):
    """count, frac, distance and slope as arrays, by the arithmetic that the grid needs."""
    samples = renderer.samples(grid, maxiter, 1000.0, Outputs(distance=True, slope=True))
    shape, fetch = (grid.rows, grid.cols), renderer.context.download
    return (
        fetch(samples.count, np.empty(shape, np.int32)),
        fetch(samples.frac, np.empty(shape, np.float32)),
        fetch(samples.distance, np.empty(shape, np.float32)),
        fetch(samples.slope, np.empty((*shape, 2), np.float32)),
    )


def test_no_seam_where_a_zoom_passes_from_direct_to_perturbed():
    """Every second sample of the deeper frame is a sample of the one before."""
    renderer = FrameRenderer(device_context())
    re, im = "-1.338238635", "-0.057237059"
    direct, perturbed = plane(re, im, "1.4e-9", 65, 65), plane(re, im, "0.7e-9", 65, 65)
    assert (arithmetic(direct).engine, arithmetic(perturbed).engine) == (DIRECT, PERTURBED)
    before, after = everything(renderer, direct, 5_000), everything(renderer, perturbed, 5_000)
    inner, even = (slice(16, 49),) * 2, (slice(0, 65, 2),) * 2
    same = before[0][inner] == after[0][even]
    assert same.mean() > 0.97  # the rest is direct iteration's own error
    close = same & (after[2][even] > 2.0**-6)
    assert close.mean() > 0.5
    np.testing.assert_allclose(before[1][inner][close], after[1][even][close], atol=2e-2)
    np.testing.assert_allclose(2 * before[2][inner][close], after[2][even][close], rtol=5e-2)
    np.testing.assert_allclose(before[3][inner][close], after[3][even][close], atol=5e-2)


@pytest.mark.parametrize("spacing", ["1e-20", "1e-130", "1e-400"])
def test_bands_turns_and_strips_see_the_same_samples(iterator, spacing):
    """i lies in a spiral of its own, so that any factor of the offsets shows."""
    whole = plane("0", "1", spacing, 24, 18)
    want = counts(iterator, whole, 9_000)
    assert np.array_equal(np.vstack([counts(iterator, whole.band(j, 6), 9_000) for j in (0, 6, 12)]), want)
    turned = Grid("0", "1", Decimal(spacing), 18, 24, -8.5, 11.5, turn=1j)
    assert np.array_equal(np.rot90(want), counts(iterator, turned, 9_000)) or np.array_equal(
        np.rot90(want, -1), counts(iterator, turned, 9_000)
    )
    around = 96
    strip = Grid("0", "1", Decimal(spacing), around, 32, 0.0, 0.0, kind=POLAR, around=around)
    got = counts(iterator, strip, 9_000)
    for i, j in ((0, 0), (24, 0), (48, 31), (7, 13)):
        r, angle = math.exp(-2 * math.pi * j / around), 2 * math.pi * i / around
        one = Grid("0", "1", Decimal(spacing), 1, 1, r * math.cos(angle), r * math.sin(angle))
        assert counts(iterator, one, 9_000)[0, 0] == got[j, i]


def test_orbits_of_any_precision_give_the_same_picture():
    """One of more bits is a deeper frame's: with 64 guard bits last bits differed."""
    re, im = "-1.999999999999999999999999999999999999", "-2e-989"
    view, style, maxiter = View(re, im, "3e-41", 64, 48), ColourStyle(), 2_000
    want = FrameRenderer(device_context()).picture(view, maxiter, 1000.0, style)
    for more in (0, 1, 64, 700):
        renderer = FrameRenderer(device_context())
        bits = precision(view.grid()).bits + more
        renderer.keep_reference(re, im, reference_orbit(re, im, bits, maxiter))
        assert (renderer.picture(view, maxiter, 1000.0, style) == want).all(), more


def test_pictures_do_not_depend_on_what_was_rendered_before():
    """An orbit with more bits repeats later, and gives samples near the set other last bits."""
    re = "-0.702774470674683447992653153836494075405252182637866827209"
    im = "0.293423055261040764424793502871432007963553679195245572252"
    view, style, maxiter = View(re, im, "1.18e-24", 64, 48), ColourStyle(), 11_900
    bits = precision(view.grid()).bits
    own, longer = (reference_orbit(re, im, n, maxiter) for n in (bits, bits + 700))
    pictures = []
    for before in (own, longer):
        renderer = FrameRenderer(device_context())
        for reference in (before, own):
            renderer.keep_reference(re, im, reference)
            pictures.append(renderer.picture(view, maxiter, 1000.0, style))
    assert (pictures[0] != pictures[2]).any(), "the other orbit's picture is the same: this tests nothing"
    assert (pictures[1] == pictures[0]).all() and (pictures[3] == pictures[0]).all()
    renderer, fresh = FrameRenderer(device_context()), FrameRenderer(device_context())
    for before in (
        View(re, im, "1e-200", 8, 8),
        View(re, im, "5.9e-24", 320, 240),
    ):  # the latter of the same bits
        renderer.picture(before, maxiter, 1000.0, style)
        assert (
            renderer.picture(view, maxiter, 1000.0, style) == fresh.picture(view, maxiter, 1000.0, style)
        ).all()


def test_an_orbit_from_a_machine_with_more_memory_is_refused_before_its_table_is_made(monkeypatch):
    grid = View("-0.75", "0", "1e-12", 16, 9).grid()
    reference = reference_orbit("-0.75", "0", precision(grid).bits, 20_000)
    iterator = PerturbedIterator(device_context(), workers=4)
    monkeypatch.setattr("mandel.device.machine.memory_bytes", lambda: 1 << 20)
    with pytest.raises(RenderError) as caught:
        iterator.iterate(grid, 20_000, 2.0, reference=reference)
    assert caught.value.code == "JOB_TOO_BIG" and "4 workers" in caught.value.message


@pytest.mark.parametrize("tile", [(1, 1), perturbed._CPU_TILE])
def test_the_centre_has_its_derivative_about_a_long_orbit(monkeypatch, tile):
    """Its z stays 0; an entry of 2^-1331 in the orbit made its derivative 0, and its slope and distance with it."""
    monkeypatch.setattr(perturbed, "_CPU_TILE", tile)
    case = views.case("minibrot", 486343554)
    grid, outputs = case.grid, Outputs(distance=True, slope=True)
    context = device_context()
    long = reference_orbit(grid.re, grid.im, precision(grid).bits, case.maxiter)
    assert long.exponent.min() < -1_100 and long.last > 7_000
    about_long, about_own = (
        fetched(
            context,
            PerturbedIterator(context).iterate(grid, case.maxiter, case.bailout, outputs, reference=orbit),
        )
        for orbit in (long, None)
    )
    assert about_long.distance[2] == pytest.approx(0.0006946216, rel=1e-5)  # by exact iteration
    assert np.allclose(about_long.distance, about_own.distance, rtol=1e-5)
    assert np.allclose(about_long.slope, about_own.slope, atol=1e-5)


@pytest.mark.parametrize(
    "point, delta",
    [
        # Where plain double takes over from perturbation, counts of thousands, a quarter interior; and deeper.
        (("-0.743643887035181186508583617", "0.131825904206262315911524294"), "1e-7"),
        (("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139"), "1e-12"),
    ],
)
def test_lanes_that_take_steps_in_one_go_do_the_same_as_single_samples(monkeypatch, point, delta):
    context, found = device_context(), []
    if context.device.is_gpu:
        pytest.skip("a GPU has no lanes")
    for tile in (perturbed._CPU_TILE, (1, 1)):
        monkeypatch.setattr(perturbed, "_CPU_TILE", tile)
        grid = View(*point, delta, 96, 96).grid()
        samples = PerturbedIterator(context).iterate(grid, 3000, 1000.0, Outputs(distance=True, slope=True))
        found.append(fetched(context, samples))
    lanes, single = found
    assert np.unique(lanes.count).size > 300
    assert np.array_equal(lanes.count, single.count) and np.array_equal(lanes.frac, single.frac)
    assert np.array_equal(lanes.distance, single.distance) and np.array_equal(lanes.slope, single.slope)

"""Perturbed counts against the exact ones of tests/reference/."""

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from mandel.device.context import device_context
from mandel.errors import RenderError
from mandel.plan.grid import Grid
from mandel.plan.reference import reference_orbit
from mandel.render.perturbed import PerturbedIterator
from mandel.render.samples import Outputs

FOLDER = Path(__file__).parent.parent / "reference"
ANSWERS = json.loads((FOLDER / "known_answers.json").read_text())


def plane(re, im, spacing, cols, rows, x0=None, y0=None):
    x0 = -(cols - 1) / 2 if x0 is None else x0
    y0 = (rows - 1) / 2 if y0 is None else y0
    return Grid(re, im, Decimal(spacing), cols, rows, x0, y0)


def counts(iterator, grid, maxiter, bailout=2.0, outputs=Outputs(), reference=None):
    samples = iterator.iterate(grid, maxiter, bailout, outputs, reference)
    return iterator.ctx.download(samples.count, np.empty((grid.rows, grid.cols), np.int32))


@pytest.fixture(scope="module")
def iterator():
    return PerturbedIterator(device_context())


@pytest.mark.parametrize("case", ANSWERS["grids"], ids=lambda case: case["name"])
@pytest.mark.parametrize("outputs", [Outputs(), Outputs(distance=True, slope=True)], ids=["plain", "derivative"])
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

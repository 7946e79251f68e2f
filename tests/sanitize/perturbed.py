"""Scenarios of perturb.cl: shallow and deep, all geometries and outputs, on any context."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path

import numpy as np

from mandel.plan.grid import POLAR, Grid
from mandel.plan.precision import precision
from mandel.plan.reference import Reference, reference_orbit
from mandel.plan.view import View
from mandel.render.coordinates import ListedCoordinates
from mandel.render.painter import Pixels
from mandel.render.perturbed import PerturbedIterator
from mandel.render.samples import Outputs
from tests.sanitize.direct import SEED, TURN, Budgets, Case, raw

REFERENCE = Path(__file__).parent.parent / "reference"
OUTPUTS = {
    "counts": Outputs(),
    "distance": Outputs(distance=True),
    "slope": Outputs(slope=True),
    "distance and slope": Outputs(distance=True, slope=True),
}
SEAHORSE = ("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139")
NUCLEUS = ("-1.7490812690053707442832620219208639942586460813548838", "0")  # period 145, size 1.35e-21


def _case(
    point: tuple[str, str], delta: str, cols: int, rows: int, maxiter: int, bailout: float = 1000.0
) -> Case:
    name = f"{point[0][:9]} {point[1][:9]} {delta} {cols}x{rows} R={bailout:g}"
    return Case(name, View(*point, delta, cols, rows).grid(), maxiter, bailout)


def cases() -> list[Case]:
    """Views from 1e-7 to 1e-1500; odd sizes whose centre escapes; minibrots; the tip, where |Z| is nearly 2."""
    made = [
        _case(SEED, "1e-9", 33, 17, 2000),
        _case(SEAHORSE, "1e-7", 16, 9, 3000),  # by the return map
        _case(NUCLEUS, "5.414e-21", 48, 27, 3000),
        _case(NUCLEUS, "1e-18", 21, 13, 3000, 2.0),
        _case(("-0.5", "0.1"), "1e-12", 9, 9, 500),
        _case(("-2.0000000001", "0"), "4e-10", 16, 9, 2000, 2.0),
        _case(("-2", "0"), "1e-40", 16, 9, 2000, 2.0),
        _case(("-2", "0"), "1e-275", 16, 9, 2000, 2.0),
        _case(("-2", "9e-215"), "1e-214", 15, 9, 2000, 2.0),
    ]
    made += [
        _case(("0", "1"), delta, 18, 9, 5000, 1e9)
        for delta in ("1e-20", "1e-113", "1e-130", "1e-400", "1e-1500")
    ]
    made += [
        _case(SEED, delta, cols, rows, 3000)
        for delta in ("1e-20", "1e-130", "1e-400")
        for cols, rows in ((1, 1), (3, 3), (5, 1), (1, 7), (4, 4), (7, 5))
    ]
    made += [_case(SEED, "1e-150", 5, 3, n) for n in (1, 2, 3, 10, 100)]
    for name, maxiter in (("5e113", 35_494), ("Flake", 40_000)):
        answer = next(
            a
            for a in json.loads((REFERENCE / "known_answers.json").read_text())["grids"]
            if a["name"] == name
        )
        made.append(_case((answer["re"], answer["im"]), str(9 * Decimal(answer["s"])), 16, 9, maxiter, 2.0))
    minibrot = next(n for n in json.loads((REFERENCE / "nuclei.json").read_text()) if n["period"] == 614)
    made += [
        _case((minibrot["re"], minibrot["im"]), delta, 24, 16, 61_400)
        for delta in ("1.9467e-667", "7.7867e-667")
    ]
    return made


def in_geometry(grid: Grid, geometry: str) -> Grid:
    """A grid of the same size and place in another geometry."""
    if geometry == "turned":
        return View(
            grid.re, grid.im, str(grid.scale * min(grid.cols, grid.rows)), grid.cols, grid.rows, TURN
        ).grid()
    if geometry == "polar":
        around = max(grid.cols, 8)
        return replace(grid, scale=grid.scale * around, x0=0.5, y0=0.5, kind=POLAR, around=around)
    return grid


@cache
def _orbit(re: str, im: str, bits: int, limit: int) -> Reference:
    return reference_orbit(re, im, bits, limit)


def iterate(ctx, outputs: Outputs, geometry: str, rounds: bool = False) -> dict[str, np.ndarray]:
    """Raw samples of all cases; in many rounds, if wanted."""
    iterator, made = PerturbedIterator(ctx, pace=Budgets() if rounds else None), {}
    for case in cases():
        grid, place = in_geometry(case.grid, geometry), None
        if geometry == "listed":  # of 2 x 2 samples a pixel every other pixel
            n = 2
            grid = replace(grid, cols=n * grid.cols, rows=n * grid.rows)
            pixels = np.arange(0, case.grid.cols * case.grid.rows, 2, dtype=np.int32)
            places = ListedCoordinates(ctx, grid, n, Pixels(pixels.size, ctx.upload(pixels)), relative=True)
            place = places.place(0, pixels.size, iterator.list_width)
        samples = iterator.iterate(grid, case.maxiter, case.bailout, outputs, place=place)
        made |= {f"{case.name}, {geometry}: {key}": array for key, array in raw(ctx, samples).items()}
    return made


def deeper_reference(ctx, outputs: Outputs) -> dict[str, np.ndarray]:
    """All frames of a zoom with the one reference of its end, as the service makes them."""
    iterator, made = PerturbedIterator(ctx), {}
    for point, deltas, maxiter in (
        (("-1", "1e-130"), ("1e-6", "1e-40", "1e-100", "1e-140"), 2000),
        (NUCLEUS, ("1e-9", "5.414e-21", "1e-120"), 3000),
    ):
        deepest = _case(point, deltas[-1], 15, 9, maxiter).grid
        reference = _orbit(*point, precision(deepest).bits, maxiter)
        for delta in deltas:
            case = _case(point, delta, 15, 9, maxiter)
            samples = iterator.iterate(case.grid, case.maxiter, case.bailout, outputs, reference=reference)
            made |= {
                f"{case.name}, deeper reference: {key}": array for key, array in raw(ctx, samples).items()
            }
    return made

"""Perturbed views: the same samples every other way, and exact iteration where it can be afforded."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal, localcontext

import numpy as np

from mandel.plan.grid import PLANE, Grid
from mandel.plan.precision import precision
from mandel.plan.reference import Reference, reference_orbit
from mandel.render.perturbed import PerturbedIterator
from mandel.render.samples import Outputs
from tests.support import exact
from tests.sweep.judge import MOVED, WELL_CONDITIONED, Judge, chosen, ranges
from tests.sweep.runs import ALL, Bench, Raw, mirrored, piece
from tests.sweep.tally import Report
from tests.sweep.views import Case

ALONE, BESIDE = (1, 1), ((2, 8), (16, 1), (8, 1))
# Views of more samples are not cut, nor rendered about other references.
LARGE = 100_000


def orbit(grid: Grid, maxiter: int, more: int = 0) -> Reference:
    """The reference that the grid needs, with ``more`` bits."""
    return reference_orbit(grid.re, grid.im, precision(grid).bits + more, maxiter)


def recentred(grid: Grid, col: int, row: int) -> Grid:
    """The same samples of a PLANE grid, about one of them."""
    with localcontext(prec=300, Emax=10**9, Emin=-(10**9)):
        x, y, cos, sin = map(Decimal, (grid.x0 + col, grid.y0 - row, grid.turn.real, grid.turn.imag))
        by = grid.scale * (x * cos - y * sin), grid.scale * (x * sin + y * cos)
    re, im = map(exact.shifted, (grid.re, grid.im), by)
    return replace(grid, re=re, im=im, x0=float(-col), y0=float(row))


def check(bench: Bench, case: Case, rng: random.Random, report: Report) -> None:
    """All checks of a view that is perturbed."""
    grid, limits = case.grid, (case.maxiter, case.bailout)
    engine, own = PerturbedIterator(bench.ctx), orbit(case.grid, case.maxiter)
    everything = np.arange(grid.rows * grid.cols)
    judge = Judge(case)

    def run(grid=grid, reference=own, outputs=Outputs(), tile=None, pixels=None, engine=engine) -> Raw:
        return bench.perturbed(engine, grid, *limits, reference, outputs, tile, pixels)

    base = run(tile=ALONE)
    full = run(outputs=ALL, tile=ALONE)
    near = ~(full.distance > WELL_CONDITIONED) & ~np.isnan(full.distance) & (full.count <= case.maxiter)
    runs = {"one sample a work item": base, "the same with derivative": full}

    def compare(check: str, other: Raw, index: np.ndarray = everything) -> None:
        judge.compare(report, check, other, base.at(index), near[index], index)
        _values(report, check, judge, other, full.at(index), index)

    compare("with derivative", full)
    if bench.is_cpu:
        runs["lanes"] = run()
        runs["lanes with derivative"] = run(outputs=ALL)
        compare("lanes", runs["lanes"])
        compare("lanes with derivative", runs["lanes with derivative"])
        compare("neighbours", run(tile=rng.choice(BESIDE), outputs=rng.choice([ALL, Outputs()])))
    for name, one in runs.items():
        ranges(report, case, name, one)
    if len(everything) > LARGE:
        return
    if bench.one_core is not None:
        compare("cores", run(engine=PerturbedIterator(bench.one_core)))
    if bench.other is not None:
        compare("devices", run(engine=PerturbedIterator(bench.other)))
    outputs = rng.choice([Outputs(), Outputs(), Outputs(distance=True), Outputs(slope=True)])
    _pieces(case, rng, compare, lambda grid, **more: run(grid, outputs=outputs, **more))
    _references(case, rng, report, compare, run, own)
    flipped, order = mirrored(grid)
    compare("mirror image", run(flipped, orbit(flipped, case.maxiter)).at(order))
    judge.exact(report, runs, chosen(rng, full, 4))


def _pieces(case: Case, rng: random.Random, compare, run) -> None:
    grid = case.grid
    index = np.arange(grid.rows * grid.cols).reshape(grid.rows, grid.cols)
    cut = rng.randint(0, grid.rows)
    bands = [grid.band(first, size) for first, size in ((0, cut), (cut, grid.rows - cut)) if size]
    compare("bands", Raw.joined([run(band) for band in bands]))
    col, row = rng.randrange(grid.cols), rng.randrange(grid.rows)
    size = rng.randint(1, grid.cols - col), rng.randint(1, grid.rows - row)
    compare(
        "cut otherwise",
        run(piece(grid, col, row, *size)),
        index[row : row + size[1], col : col + size[0]].ravel(),
    )
    single = [(rng.randrange(grid.cols), rng.randrange(grid.rows)) for _ in range(2)]
    compare(
        "single samples",
        Raw.joined([run(piece(grid, *at, 1, 1)) for at in single]),
        np.array([index[row, col] for col, row in single]),
    )
    if grid.kind == PLANE:  # no strip lists places
        listed = np.sort(np.array(rng.sample(range(index.size), min(index.size, rng.randint(1, 500)))))
        compare("listed places", run(grid, pixels=listed), listed)


def _references(case: Case, rng: random.Random, report: Report, compare, run, own: Reference) -> None:
    grid = case.grid
    deeper = orbit(grid, case.maxiter, rng.choice([1, 64, 200, 450, 1_400]))
    before = run()
    compare("deeper reference", run(reference=deeper, outputs=rng.choice([ALL, Outputs()])))
    after = run(reference=own)
    same = np.array_equal(before.count, after.count) and before.frac.tobytes() == after.frac.tobytes()
    report.count("rendered before", len(before.count), int(not same))
    if not same:
        report.fail("rendered before", "another reference left a trace")
    if grid.kind == PLANE:
        other = recentred(grid, rng.randrange(grid.cols), rng.randrange(grid.rows))
        compare("another centre", run(other, orbit(other, case.maxiter)))


def _values(report: Report, check: str, judge: Judge, run: Raw, base: Raw, index: np.ndarray) -> None:
    """Fractions, distances and slopes of samples whose counts agree; what differs is put to exact iteration."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        same = (run.count == base.count) & (run.count <= judge.case.maxiter)
        same &= (base.distance > WELL_CONDITIONED) | ~np.isfinite(base.distance)
        eta = np.where(same & np.isfinite(base.distance) & (base.distance > 0), MOVED / base.distance, 1e-4)
        off = np.abs(run.frac.astype(float) - base.frac) > 4e-6 + 6 * eta
        if run.distance is not None:
            middle = base.distance < 2.0**10
            off |= middle & ~(np.abs(run.distance / base.distance - 1) < 2e-5 + 64 * eta)
        if run.slope is not None:
            off |= ~(np.abs(run.slope - base.slope) < 2e-3 + 64 * eta)
    differ = np.flatnonzero(same & off)
    # They are iterated exactly here; whichever is wrong, ``Judge.exact`` says so of the runs it is given.
    wrong, words = 0, ""
    for at in differ[:: max(len(differ) // 2, 1)][:3]:
        k = int(index[at])
        exact_one = judge.truth(k, int(run.count[at]))
        if exact_one is None or exact_one.margin < MOVED or exact_one.distance <= WELL_CONDITIONED:
            continue
        scratch = Report()
        spread = Raw(
            *(None if a is None else {k: a[at]} for a in (run.count, run.frac, run.distance, run.slope))
        )
        judge.values(scratch, check, spread, k, exact_one)
        if scratch.failures:
            wrong, words = wrong + 1, words or scratch.failures[0][1]
    if wrong:
        report.fail(f"{check}, values", f"{len(differ)} of {len(index)} samples; {words}")
    report.count(f"{check}, values", int(same.sum()), len(differ) if wrong else 0)

"""Direct views: every variant bit for bit, and long double with a bound on what double may lose."""

from __future__ import annotations

import random

import numpy as np

from mandel.plan.grid import PLANE
from mandel.render.direct import VARIANTS
from mandel.render.samples import Outputs
from tests.sweep.judge import Judge, ranges
from tests.sweep.runs import ALL, Bench, Raw, mirrored, piece
from tests.sweep.tally import Report
from tests.sweep.truth import bounded
from tests.sweep.views import Case

# Samples times iterations of a view in long double.
STEPS = 200_000


def _same(report: Report, check: str, run: Raw, base: Raw, grid, index=slice(None)) -> None:
    """Bit for bit."""
    wanted = base.at(index)
    differ = np.flatnonzero(
        (run.count != wanted.count) | (run.frac.view(np.int32) != wanted.frac.view(np.int32))
    )
    report.count(check, len(run.count), len(differ))
    if len(differ):
        k = differ[0]
        row, col = divmod(int(np.arange(len(base.count))[index][k]), grid.cols)
        report.fail(
            check,
            f"{len(differ)} of {len(run.count)} samples differ; sample ({col}, {row}): "
            f"{run.count[k]} + {run.frac[k]!r}, plain {wanted.count[k]} + {wanted.frac[k]!r}",
        )


def check(bench: Bench, case: Case, rng: random.Random, report: Report) -> None:
    """All checks of a view that is iterated directly."""
    grid, limits, large = case.grid, (case.maxiter, case.bailout), case.kind == "large"
    n = grid.rows * grid.cols
    base = bench.direct(grid, *limits, "scalar", proof=n * case.maxiter > 3e8)
    ranges(report, case, "scalar", base)
    names = (
        [name for name in VARIANTS if name != "scalar"]
        if bench.is_cpu
        else [name for name in VARIANTS if VARIANTS[name].width == 1]
    )
    for name in names if rng.random() < 0.15 and not large else rng.sample(names, 2 if large else 4):
        _same(report, "variants", bench.direct(grid, *limits, name), base, grid)
    if bench.one_core is not None:
        _same(report, "cores", bench.direct(grid, *limits, rng.choice(names), ctx=bench.one_core), base, grid)
    if bench.other is not None:
        _same(report, "devices", bench.direct(grid, *limits, ctx=bench.other), base, grid)
    _pieces(bench, case, rng, report, base, names)
    flipped, order = mirrored(grid)
    _same(report, "mirror image", bench.direct(flipped, *limits).at(order), base, grid)
    outputs = rng.choice([ALL, Outputs(distance=True), Outputs(slope=True)])
    full = bench.direct(grid, *limits, outputs=outputs)
    ranges(report, case, "with derivative", full)
    _same(report, "with derivative", full, base, grid)
    if not large:
        _against_long_double(case, rng, report, base, full)


def _pieces(
    bench: Bench, case: Case, rng: random.Random, report: Report, base: Raw, names: list[str]
) -> None:
    grid, limits = case.grid, (case.maxiter, case.bailout)
    index = np.arange(len(base.count)).reshape(grid.rows, grid.cols)
    cut = rng.randint(0, grid.rows)
    bands = [grid.band(first, size) for first, size in ((0, cut), (cut, grid.rows - cut)) if size]
    name = rng.choice(names)
    _same(report, "bands", Raw.joined([bench.direct(band, *limits, name) for band in bands]), base, grid)
    col, row = rng.randrange(grid.cols), rng.randrange(grid.rows)
    size = rng.randint(1, grid.cols - col), rng.randint(1, grid.rows - row)
    part = index[row : row + size[1], col : col + size[0]].ravel()
    _same(
        report, "cut otherwise", bench.direct(piece(grid, col, row, *size), *limits, name), base, grid, part
    )
    if grid.kind != PLANE:  # no strip lists places
        return
    listed = np.sort(np.array(rng.sample(range(index.size), min(index.size, rng.randint(1, 4_000)))))
    _same(
        report,
        "listed places",
        bench.direct(grid, *limits, rng.choice(names), pixels=listed),
        base,
        grid,
        listed,
    )


def _against_long_double(case: Case, rng: random.Random, report: Report, base: Raw, full: Raw) -> None:
    n = len(base.count)
    cost = np.minimum(base.count, case.maxiter)
    if cost.min() > 20_000:
        return
    number = max(min(n, 2_000, int(STEPS / max(cost.mean(), 1))), 1)
    at = np.sort(np.array(rng.sample(range(n), number)))
    at = at[cost[at] <= 20_000]
    if not len(at):
        return
    limit = min(case.maxiter, 20_000)
    want = bounded(case.grid, at, limit, case.bailout)
    got = base.at(at)
    sure = want.certain & ((want.count <= limit) | (limit == case.maxiter))
    wrong = sure & (got.count != want.count)
    report.count("double count", int(sure.sum()), int(wrong.sum()))
    report.count("long double, share", len(at), 0, int(np.count_nonzero(got.count != want.count)))
    same = (got.count == want.count) & (want.count <= case.maxiter) & sure
    off = np.abs(got.frac.astype(float) - want.frac)
    loose = same & (off > want.frac_error)
    report.count("double fraction", int(same.sum()), int(loose.sum()))
    for what, which in (("double count", wrong), ("double fraction", loose)):
        if which.any():
            k = int(np.flatnonzero(which)[0])
            row, col = divmod(int(at[k]), case.grid.cols)
            report.fail(
                what,
                f"{which.sum()} of {len(at)} samples; sample ({col}, {row}): {got.count[k]} + "
                f"{got.frac[k]!r}, long double {want.count[k]} + {want.frac[k]!r} +- "
                f"{want.frac_error[k]:.2g}",
            )
    _derivatives(case, rng, report, full, at, want, same)


def _derivatives(case: Case, rng: random.Random, report: Report, full: Raw, at, want, same) -> None:
    """Distance and slope where rounding moves a sample by next to nothing of its distance from the set."""
    judge = Judge(case)
    good = np.flatnonzero(same & (want.moved < 1e-4))
    for k in rng.sample(list(good), min(len(good), 3)):
        exact = judge.truth(int(at[k]), int(want.count[k]))
        if exact is None or exact.count != want.count[k] or not 2.0**-12 < exact.distance < 2.0**10:
            continue
        slack, row_col = 32 * want.moved[k], divmod(int(at[k]), case.grid.cols)
        if full.distance is not None:
            got = float(full.distance[at[k]])
            right = abs(got / exact.distance - 1) < 1e-5 + slack
            report.count("double distance", 1, int(not right))
            if not right:
                report.fail("double distance", f"sample {row_col[::-1]}: {got!r}, exact {exact.distance:.7g}")
        if full.slope is not None:
            got = full.slope[at[k]]
            right = abs(got - exact.slope) < 1e-3 + slack
            report.count("double slope", 1, int(not right))
            if not right:
                report.fail("double slope", f"sample {row_col[::-1]}: {got:.5f}, exact {exact.slope:.5f}")

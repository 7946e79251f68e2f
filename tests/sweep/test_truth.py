"""The sweep's own measure: exact iteration, its bound on double, and that a wrong sample does not pass."""

from __future__ import annotations

import random
from decimal import Decimal

import numpy as np
import pytest
from gmpy2 import mpfr

from mandel.plan.grid import POLAR, Grid
from mandel.plan.view import View
from tests.support import exact, iteration_oracle
from tests.sweep.judge import Judge, ranges
from tests.sweep.perturbed_checks import recentred
from tests.sweep.runs import Raw, mirrored, piece
from tests.sweep.sweep import Worker
from tests.sweep.tally import BEGIN, END, Report, Tally, replaced
from tests.sweep.truth import bits_of, bounded, position, truth
from tests.sweep.views import KINDS, MISIUREWICZ, Case, case, misiurewicz

SEED = "-1.338238635", "-0.057237059"


def test_counts_are_those_of_plain_iteration():
    grid = View(*SEED, "1e-4", 7, 5).grid()
    assert [[truth(grid, i, j, 1_000, 2.0).count for i in range(7)] for j in range(5)] == exact.counts(
        grid, 1_000
    ).tolist()


@pytest.mark.parametrize(
    "re, im, delta", [("0", "1", "1e-3"), ("-0.75", "0.1", "1e-2"), ("0", "1", "1e-330")]
)
def test_distance_and_slope_are_those_of_differences(re, im, delta):
    """2 |z| ln|z| / |dz/dc| with the derivative as a difference quotient over 2**-40 px."""
    grid, step, bailout = View(re, im, delta, 4, 3).grid(), 2.0**-40, 1000.0
    for i, j in ((0, 0), (3, 1), (2, 2)):
        want = truth(grid, i, j, 3_000, bailout)
        bits = bits_of(grid, j) + 100
        ends = []
        for at in (
            grid,
            piece(grid, 0, 0, 4, 3),
            Grid(grid.re, grid.im, grid.scale, 4, 3, grid.x0 + step, grid.y0),
        ):
            cx, cy = position(at, i, j, bits)
            x = y = 0
            for _ in range(want.count):
                x, y = (x * x - y * y >> bits) + cx, (2 * x * y >> bits) + cy
            ends.append((x, y))
        assert ends[0] == ends[1]
        d = complex(*(float(mpfr(b - a) / 2**bits) for a, b in zip(ends[0], ends[2]))) / step
        z = complex(*(float(mpfr(part) / 2**bits) for part in ends[0]))
        assert want.distance == pytest.approx(2 * abs(z) * np.log(abs(z)) / abs(d), rel=1e-5)
        assert want.slope == pytest.approx(z / d / abs(z / d), abs=1e-5)
        assert want.frac == pytest.approx(1 - np.log2(np.log(abs(z))), abs=1e-9)


def test_positions_of_turned_and_polar_samples():
    turned = View("0.3", "-0.4", "0.01", 5, 4, complex(0.6, 0.8)).grid()
    polar = Grid("0.3", "-0.4", Decimal("0.01"), 12, 3, 2.0, 5.0, POLAR, 1j, 12)
    for grid in (turned, polar):
        want = iteration_oracle.coordinates(iteration_oracle.axes(grid), grid.cols, grid.rows)
        for i, j in ((0, 0), (4, 2), (3, 1)):
            x, y = position(grid, i, j, 100)
            assert complex(float(x), float(y)) * 2.0**-100 == pytest.approx(complex(want[j, i]), rel=1e-14)


def test_the_bound_holds_where_it_says_so_and_says_so_often():
    """Double in numpy, which rounds a little more than the kernels, against long double."""
    rng = random.Random(1)
    sure = all_samples = 0
    for _ in range(12):
        one = case("boundary", rng.randrange(10**6))
        at = np.arange(min(one.grid.cols * one.grid.rows, 400))
        limit = min(one.maxiter, 800)
        want = bounded(one.grid, at, limit, one.bailout)
        exact_counts = [
            truth(one.grid, int(k) % one.grid.cols, int(k) // one.grid.cols, limit, one.bailout).count
            for k in at[:20]
        ]
        assert (want.count[:20] == exact_counts)[want.certain[:20]].all()
        sure += np.count_nonzero(want.certain)
        all_samples += len(at)
    assert sure > 0.3 * all_samples


@pytest.mark.parametrize("point", MISIUREWICZ, ids=lambda point: f"{point[0]}-{point[1]}")
def test_misiurewicz_points(point):
    preperiod, period, near = point
    re, im = misiurewicz(*point, 50)
    assert abs(complex(float(re), float(im)) - near) < 1e-6
    x = y = Decimal(0)
    orbit = [(x, y)]
    for _ in range(preperiod + period):
        x, y = x * x - y * y + Decimal(re), 2 * x * y + Decimal(im)
        orbit.append((x, y))
    (a, b), (c, d) = orbit[preperiod], orbit[preperiod + period]
    assert abs(a - c) + abs(b - d) < Decimal("1e-18")
    before, after = orbit[preperiod - 1], orbit[preperiod + period - 1]
    assert max(abs(p - q) for p, q in zip(before, after, strict=True)) > Decimal("1e-6")


@pytest.mark.parametrize("kind", KINDS)
def test_a_view_follows_from_its_kind_and_seed(kind):
    assert case(kind, 17) == case(kind, 17)
    assert case(kind, 17) != case(kind, 18)


def test_the_same_samples_about_another_centre_and_mirrored():
    grid = View("-0.5", "1e-30", "1e-25", 5, 4, complex(0.6, 0.8)).grid()
    for i, j in ((0, 0), (4, 3), (2, 1)):
        a, b = position(grid, i, j, 300), position(recentred(grid, 3, 1), i, j, 300)
        assert max(abs(p - q) for p, q in zip(a, b)) < 2**90
    other, order = mirrored(grid)
    assert position(other, 1, 3, 300)[1] + position(grid, 1, 0, 300)[1] in (0, -1, 1)
    assert order.tolist()[:5] == [15, 16, 17, 18, 19]


def _case() -> tuple[Case, Raw]:
    view = View("0", "1", "1e-30", 4, 3)
    one = Case("misiurewicz", 0, view.grid(), view, 500, 2.0)
    all_true = [truth(one.grid, k % 4, k // 4, 500, 2.0) for k in range(12)]
    return one, Raw(
        np.array([t.count for t in all_true], np.int32),
        np.array([t.frac for t in all_true], np.float32),
        np.array([t.distance for t in all_true], np.float32),
        np.array([t.slope for t in all_true]),
    )


@pytest.mark.parametrize(
    "check, field, value",
    [
        ("exact count", "count", lambda v: v + 1),
        ("exact fraction", "frac", lambda v: v + 1e-3),
        ("exact distance", "distance", lambda v: v * 1.01),
        ("exact slope", "slope", lambda v: v * 1.01j),
        ("finite distance", "distance", lambda v: v * np.inf),
        ("ranges", "distance", lambda v: v * np.nan),
        ("ranges", "count", lambda v: v * 0),
        ("ranges", "frac", lambda v: v - 9),
        ("ranges", "slope", lambda v: v * 2),
    ],
)
def test_a_wrong_sample_is_found(check, field, value):
    one, right = _case()
    arrays = {name: getattr(right, name).copy() for name in ("count", "frac", "distance", "slope")}
    for wrong in (False, True):
        if wrong:
            arrays[field][5] = value(arrays[field][5])
        report, judge = Report(), Judge(one)
        judge.exact(report, {"run": Raw(**arrays)}, [5])
        ranges(report, one, "run", Raw(**arrays))
        assert (check in dict(report.failures)) == wrong, report.failures
        if not wrong:
            assert not report.failures and report.rows["exact count"].samples == 1
    if check == "exact count":
        report = Report()
        judge.compare(report, "lanes", Raw(**arrays), right, np.zeros(12, bool), np.arange(12))
        assert dict(report.failures)["lanes"].startswith("1 of 12 samples differ; sample (1, 1): count")
        assert report.rows["lanes"].wrong == 1


def test_a_sample_that_stays_along_the_axes_only_is_too_near_to_tell():
    """About a point of the real line whose orbit returns to 0, the way out is between axes and diagonals."""
    judge = Judge(case("julia", 707791967))
    grid = judge.case.grid
    centre = grid.rows // 2 * grid.cols + grid.cols // 2
    assert judge.truth(centre, 511).count == 600
    assert judge.leeway(centre) is not None and judge.sure(centre, 511) is False


def test_a_crash_is_a_failure_and_the_next_view_goes_on():
    worker = Worker("cpu")
    try:
        assert worker.check("home", 1)["failures"] == []
        worker._process.kill()
        found = worker.check("home", 2)
        assert found["failures"][0][0] == "crash" and found["command"].endswith("home:2")
        assert worker.check("home", 3)["rows"]
    finally:
        worker.close()


def test_the_table_goes_between_its_markers():
    report, tally = Report(), Tally()
    report.count("lanes", 10, 0, 2, 3e-5)
    tally.take("tip", "x", report.as_json(41.6))
    page = replaced(f"before\n{BEGIN}\nold\n{END}\nafter\n", tally.table())
    assert (
        page.startswith(f"before\n{BEGIN}\n| check")
        and page.endswith(f"{END}\nafter\n")
        and "old" not in page
    )
    assert "| lanes | 1 | 10 | 1e-42 | 0 | 2 | 3.0e-05 |" in page

"""Which of several runs is right about a sample: exact iteration decides, at a bounded cost."""

from __future__ import annotations

import cmath
import math
import random

import numpy as np

from mandel.plan.grid import POLAR
from tests.sweep.runs import Raw
from tests.sweep.tally import Report
from tests.sweep.truth import Truth, bits_of, truth
from tests.sweep.views import Case

# Nearer to the set than this part of a pixel a count is beyond any double renderer.
WELL_CONDITIONED = 2.0**-12
# What perturbation may move a sample by, px; what differed in docs/depth.md lay nearer than 1e-11 px.
MOVED = 2.0**-30
# Iterations at 64 bits that exact iteration of a view may take; one sample is always taken up to MOST.
STEPS, MOST = 60_000, 1_000_000

# Where samples near one that never leaves are looked for. On the axes and the diagonals about a point of the real line
# all samples may stay, where any other direction leads out: hence the last three.
WAYS = (1j, 1, 0.7 + 0.7j, -1, -1j, -0.7 - 0.7j, cmath.rect(1, 0.3), cmath.rect(1, 2.2), cmath.rect(1, 3.9))


class Judge:
    """Exact values of a case's samples, each computed once, while there are steps left."""

    def __init__(self, case: Case, steps: int = STEPS):
        self.case, self._left, self._known, self._leeways = case, float(steps), {}, {}

    def _cost(self, k: int, count: int) -> float:
        return count * (1 + bits_of(self.case.grid, k // self.case.grid.cols) / 1_500)

    def truth(self, k: int, expected: int) -> Truth | None:
        """Sample ``k``, or None where it would take too long.

        Args:
            expected: its count as somebody has it: a guess of the cost.
        """
        limit = self.case.maxiter
        if (k, limit) not in self._known:
            cost = self._cost(k, min(expected, limit))
            if cost > self._left and (self._known or cost > MOST):
                return None
            self._left -= cost
            row, col = divmod(k, self.case.grid.cols)
            self._known[k, limit] = truth(self.case.grid, col, row, limit, self.case.bailout)
        return self._known[k, limit]

    def sure(self, k: int, count: int) -> bool | None:
        """Whether ``count`` for sample ``k`` would be wrong beyond doubt; None: it is not known."""
        exact = self.truth(k, count)
        if exact is None:
            return None
        return exact.count != count and self.leeway(k) is None

    def leeway(self, k: int) -> float | None:
        """How near, px, an exactly known sample lies to another count, if too near to tell; else None.

        That is near the set, or near |z_n| = bailout, or, for one that never leaves, near one that does.
        """
        exact = self._known[k, self.case.maxiter]
        if exact.margin < MOVED:
            return exact.margin
        if exact.count <= self.case.maxiter:
            return exact.distance if exact.distance <= WELL_CONDITIONED else None
        if k not in self._leeways:
            row, col = divmod(k, self.case.grid.cols)
            self._leeways[k] = None
            for way in WAYS:
                limits = self.case.maxiter, self.case.bailout
                if (
                    truth(self.case.grid, col, row, *limits, way * WELL_CONDITIONED).count
                    <= self.case.maxiter
                ):
                    self._leeways[k] = WELL_CONDITIONED
                    break
        return self._leeways[k]

    def compare(
        self, report: Report, check: str, run: Raw, base: Raw, near: np.ndarray, index: np.ndarray
    ) -> None:
        """Counts of ``run`` against those of ``base``; what differs is put to exact iteration.

        Args:
            near: bool; samples of ``base`` that seem too near to the set to tell.
            index: which samples of the case these are.
        """
        differ = np.flatnonzero(run.count != base.count)
        wrong, close, farthest, words = 0, 0, 0.0, ""
        for at in differ[:: max(len(differ) // 4, 1)][:6]:
            k, got = int(index[at]), int(run.count[at])
            sure = self.sure(k, got)
            exact = self.truth(k, got)
            if exact is not None and exact.count == got:
                continue  # it is the other that is wrong, which "exact count" says
            if sure is None:  # which of a sample that leaves and one that does not is right cannot be told
                sure = not near[at] and max(got, base.count[at]) <= self.case.maxiter
            if not sure:
                close += 1
                if exact is not None:
                    farthest = max(farthest, self.leeway(k))
                continue
            wrong += 1
            words = words or self._words(k, f"count {got}, base {base.count[at]}", exact)
        if wrong:
            report.fail(check, f"{len(differ)} of {len(index)} samples differ; {words}")
            wrong = max(wrong, int(np.count_nonzero(~near[differ])))
        report.count(
            check, len(index), wrong, max(len(differ) - wrong, 0) if close or not wrong else close, farthest
        )

    def _words(self, k: int, what: str, exact: Truth | None) -> str:
        row, col = divmod(k, self.case.grid.cols)
        if exact is None:
            return f"sample ({col}, {row}): {what}"
        return (
            f"sample ({col}, {row}): {what}; exact {exact.count}, distance {exact.distance:.3g} px,"
            f" margin {exact.margin:.2g} px"
        )

    def exact(self, report: Report, runs: dict[str, Raw], chosen: list[int]) -> None:
        """Everything of every run against exact iteration, at the samples ``chosen`` and those known by now."""
        guess = next(iter(runs.values())).count
        for k in chosen:
            self.truth(k, int(guess[k]))
        for k in sorted({k for k, limit in self._known if limit == self.case.maxiter}):
            exact = self._known[k, self.case.maxiter]
            for name, run in runs.items():
                self.values(report, name, run, k, exact)

    def values(self, report: Report, name: str, run: Raw, k: int, exact: Truth) -> None:
        """All that a run has of sample ``k`` against its exact values."""
        got = int(run.count[k])
        if got != exact.count:
            sure = self.sure(k, got)
            if sure:
                report.fail("exact count", f"{name}: " + self._words(k, f"count {got}", exact))
            report.count("exact count", 1, int(bool(sure)), int(not sure), 0.0 if sure else self.leeway(k))
            return
        report.count("exact count", 1)
        if exact.count > self.case.maxiter or exact.distance <= WELL_CONDITIONED or exact.margin < MOVED:
            return
        # A sample moved by eta has another ln|z| by 2 eta ln|z| / distance; by Koebe's distortion theorem
        # its derivative differs by 16 eta / distance at most, and the estimate and the slope by twice that.
        eta = MOVED / exact.distance
        off = abs(float(run.frac[k]) - exact.frac)
        self._value(
            report,
            "exact fraction",
            off < 2e-6 + 3 * eta,
            f"{name}: fraction {run.frac[k]!r} not {exact.frac!r}",
            k,
            exact,
        )
        if run.distance is not None and exact.distance < 2.0**126:  # beyond, inf is what a float has
            self._value(
                report,
                "finite distance",
                math.isfinite(run.distance[k]),
                f"{name}: distance {run.distance[k]!r}",
                k,
                exact,
            )
        if exact.distance > 2.0**10:
            return
        if run.distance is not None:
            off = abs(float(run.distance[k]) / exact.distance - 1)
            self._value(
                report,
                "exact distance",
                off < 1e-5 + 32 * eta,
                f"{name}: distance {run.distance[k]!r} not {exact.distance:.7g}",
                k,
                exact,
            )
        if run.slope is not None:
            off = abs(run.slope[k] - exact.slope)
            self._value(
                report,
                "exact slope",
                off < 1e-3 + 32 * eta,
                f"{name}: slope {run.slope[k]:.5f} not {exact.slope:.5f}",
                k,
                exact,
            )

    def _value(self, report: Report, check: str, right: bool, words: str, k: int, exact: Truth) -> None:
        report.count(check, 1, int(not right))
        if not right:
            report.fail(check, self._words(k, words, exact))


def chosen(rng: random.Random, raw: Raw, number: int) -> list[int]:
    """Samples worth iterating exactly: the extremes of the distance that mean something, and some at random."""
    n = len(raw.count)
    picked = [rng.randrange(n) for _ in range(number)]
    if raw.distance is not None:
        odd = np.flatnonzero(~np.isfinite(raw.distance))
        sure = np.flatnonzero(raw.distance > WELL_CONDITIONED)
        if len(sure):
            picked = [int(sure[np.argmin(raw.distance[sure])]), int(rng.choice(sure)), *picked]
        picked = [int(k) for k in odd[:2]] + picked
    return picked


def ranges(report: Report, case: Case, name: str, run: Raw) -> None:
    """Every value is a number in its range."""
    out = run.count <= case.maxiter
    bad = []
    if not ((run.count >= 1) & (run.count <= case.maxiter + 1)).all():
        bad.append(f"counts from {run.count.min()} to {run.count.max()}")
    # R < |z_n| <= R^2 + |c|, or z_1 = c.
    reach = case.grid.scale * int(abs(case.grid.x0) + abs(case.grid.y0) + case.grid.cols + case.grid.rows)
    reach *= 10 if case.grid.kind == POLAR else 1
    c = abs(float(case.grid.re)) + abs(float(case.grid.im)) + float(reach)
    low, high = (1 - math.log2(math.log(r)) for r in (case.bailout**2 + c * 1.01, case.bailout))
    frac = run.frac[out]
    if not ((frac >= low - 3e-6) & (frac <= high + 3e-6)).all():
        bad.append(f"fractions from {frac.min()} to {frac.max()}, not {low:.6f} to {high:.6f}")
    if not (run.frac[~out] == 0).all():
        bad.append("fractions of interior")
    if run.distance is not None and not ((run.distance >= 0).all() and (run.distance[~out] == 0).all()):
        bad.append(f"{np.count_nonzero(~(run.distance >= 0))} distances below 0 or NaN")
    if run.slope is not None:
        length = np.abs(run.slope)
        if not ((np.abs(length - 1) < 1e-5) | (length == 0)).all() or not (length[~out] == 0).all():
            bad.append("slopes of another length")
    report.count("ranges", len(run.count), int(bool(bad)))
    if bad:
        report.fail("ranges", f"{name}: " + "; ".join(bad))

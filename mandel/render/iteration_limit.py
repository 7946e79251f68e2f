"""Finds the iteration limit of one key view, for maxiter "auto": renders it small, with growing limits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import numpy as np

from mandel.plan.arithmetic import PERTURBED, arithmetic, log2_of
from mandel.plan.grid import Grid
from mandel.plan.growth import first_return
from mandel.plan.iteration_limit import (
    CEILING,
    FIRST_LIMIT,
    REFERENCE_STEPS,
    IterationLimit,
    Scale,
    judge_counts,
    judge_limit,
    small,
)
from mandel.plan.precision import precision
from mandel.plan.reference import Reference, reference_orbit
from mandel.plan.view import View
from mandel.render.frame import FrameRenderer
from mandel.render.perturbed import orbit_room

# Smooth counts are looked at anew where 97 of 100 are at most so many, in so many samples, to a limit so much higher.
_LOW, _FEWER, _LATER = 1_000, 2_500, 10


def view_limit(
    renderer: FrameRenderer,
    view: View,
    reference: Reference | None = None,
    first: int = FIRST_LIMIT,
    ceiling: int = CEILING,
    given: int | None = None,
) -> IterationLimit:
    """The iteration limit that ``view`` needs (see mandel/plan/iteration_limit.py).

    Args:
        reference: an orbit of the view's centre that serves a deep view (``view_reference``). The renderer keeps it
            for later views of this centre.
        first: the least limit worth giving.
        ceiling: the largest limit tried where no period asks for more.
        given: the limit, if it is not to be found; only the counts are told then.
    """
    grid = small(view).grid()

    def counts(limit: int, chosen: np.ndarray) -> np.ndarray:
        order = np.argsort(chosen)  # neighbours take the same steps
        found = np.empty(len(chosen), np.int32)
        found[order] = renderer.counts(grid, limit, 2.0, chosen[order])
        return found

    if given is not None:
        if reference is not None:
            renderer.keep_reference(view.re, view.im, reference)
        return _told_finely(renderer, view, judge_counts(counts, grid.rows * grid.cols, given))
    # The limit's cost is paid in the view itself, which may need perturbation where the small one does not yet.
    scale = Scale.of(0, 0.0, None) if arithmetic(view.grid()).engine == PERTURBED else Scale()
    if arithmetic(grid).engine == PERTURBED:
        reference = reference or view_reference(view)
        renderer.keep_reference(view.re, view.im, reference)
        radius = log2_of(Decimal(view.delta))
        period = first_return(reference.re, reference.im, reference.exponent, radius)
        scale = Scale.of(period, -radius, None if reference.complete else reference.limit)

    found = judge_limit(counts, grid.rows * grid.cols, scale, first, ceiling, _middle(grid))
    return _told_finely(renderer, view, found)


def _told_finely(renderer: FrameRenderer, view: View, limit: IterationLimit) -> IterationLimit:
    """The limit with quantiles of true smooth counts, where counts are low.

    Elsewhere those of the counts at bailout 2 are as good. Around the tip at -2 half of all samples pass that bailout
    at once, and a frame's bailout as late as their neighbours.
    """
    if not limit.counts or limit.counts[-2] > _LOW:
        return limit
    most = min(math.ceil(2 * limit.counts[-2]) + _LATER, limit.maxiter or _LOW)
    count, smooth = renderer.raw(small(view, _FEWER), most)
    if not len(escaped := smooth[count <= most]):
        return limit
    told = np.quantile(escaped, np.linspace(0, 1, len(limit.counts)))
    return replace(limit, counts=tuple(round(float(value), 3) for value in told))


def _middle(grid: Grid) -> np.ndarray:
    """Row-major indices of the 4 x 4 samples around the centre."""
    rows, cols = (np.arange(max(n // 2 - 2, 0), min(n // 2 + 2, n)) for n in (grid.rows, grid.cols))
    return (rows[:, None] * grid.cols + cols).ravel()


def view_reference(
    view: View, supersampling: int = 1, progress: Callable[[int, int], object] | None = None, workers: int = 1
) -> Reference:
    """A reference orbit for both ``view_limit`` and the view itself, whatever limit is found.

    Args:
        supersampling: of the view.
        progress: as ``reference_orbit`` takes it.
        workers: processes of this machine that will use it.
    """
    bits = max(precision(grid).bits for grid in (view.grid(supersampling), small(view).grid()))
    return reference_orbit(
        view.re, view.im, bits, REFERENCE_STEPS, progress, view.delta, True, orbit_room(workers)
    )

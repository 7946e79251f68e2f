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
    NO_INDEX,
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

# Smooth counts are looked at anew where 97 of 100 are at most so many, to a limit so much higher.
_LOW, _LATER = 1_000, 10
_PLAIN = Scale()


def view_limit(
    renderer: FrameRenderer,
    view: View,
    reference: Reference | None = None,
    first: int = FIRST_LIMIT,
    ceiling: int = CEILING,
) -> IterationLimit:
    """The iteration limit that ``view`` needs (see mandel/plan/iteration_limit.py).

    Args:
        reference: an orbit of the view's centre that serves a deep view (``view_reference``). The renderer keeps it
            for later views of this centre.
        first: the least limit worth giving.
        ceiling: the largest limit tried where no period asks for more.
    """
    grid = small(view).grid()
    # The limit's cost is paid in the view itself, which may need perturbation where the small one does not yet.
    scale = Scale.of(0, 0.0, None) if arithmetic(view.grid()).engine == PERTURBED else Scale()
    if arithmetic(grid).engine == PERTURBED:
        reference = reference or view_reference(view)
    return grid_limit(renderer, grid, _middle(grid), reference, first, ceiling, scale)


def grid_limit(
    renderer: FrameRenderer,
    grid: Grid,
    middle: np.ndarray = NO_INDEX,
    reference: Reference | None = None,
    first: int = FIRST_LIMIT,
    ceiling: int = CEILING,
    scale: Scale = _PLAIN,
) -> IterationLimit:
    """The same of a view that ``grid`` shows small.

    Args:
        middle: row-major indices of the samples in its middle (``judge_limit``).
        reference: an orbit of the grid's centre; a deep grid needs one.
        scale: of the view, if the grid needs no orbit.
    """
    if reference is not None and arithmetic(grid).engine == PERTURBED:
        renderer.keep_reference(grid.re, grid.im, reference)
        radius = log2_of(grid.scale * Decimal(min(grid.cols, grid.rows)))
        period = first_return(reference.re, reference.im, reference.exponent, radius)
        scale = Scale.of(period, -radius, None if reference.complete else reference.limit)
    return judge_limit(_counter(renderer, grid), grid.rows * grid.cols, scale, first, ceiling, middle)


def counts_of(
    renderer: FrameRenderer, grid: Grid, given: int | None = None, reference: Reference | None = None
) -> IterationLimit:
    """How the smooth counts of a small grid are distributed, told with the limit up to which they were found.

    Where counts are low, they are those of a frame's bailout; elsewhere those of the counts at bailout 2 are as good.
    Around the tip at -2 half of all samples pass that bailout at once, and a frame's as late as their neighbours.

    Args:
        given: the limit, if it is not to be found.
        reference: an orbit of the grid's centre; a deep grid needs one.
    """
    if given is None:
        limit = grid_limit(renderer, grid, reference=reference)
    else:
        if reference is not None and arithmetic(grid).engine == PERTURBED:
            renderer.keep_reference(grid.re, grid.im, reference)
        limit = judge_counts(_counter(renderer, grid), grid.rows * grid.cols, given)
    if not limit.counts or limit.counts[-2] > _LOW:
        return limit
    most = min(math.ceil(2 * limit.counts[-2]) + _LATER, limit.maxiter or _LOW)
    count, smooth = renderer.raw_of(grid, most)
    if not len(escaped := smooth[count <= most]):
        return limit
    told = np.quantile(escaped, np.linspace(0, 1, len(limit.counts)))
    return replace(limit, counts=tuple(round(float(value), 3) for value in told))


def _counter(renderer: FrameRenderer, grid: Grid) -> Callable[[int, np.ndarray], np.ndarray]:
    """Counts of chosen samples of a grid up to a limit."""

    def counts(limit: int, chosen: np.ndarray) -> np.ndarray:
        order = np.argsort(chosen)  # neighbours take the same steps
        found = np.empty(len(chosen), np.int32)
        found[order] = renderer.counts(grid, limit, 2.0, chosen[order])
        return found

    return counts


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

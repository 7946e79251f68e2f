"""maxiter "auto" of one key view: the view rendered small, at growing limits."""

from __future__ import annotations

import numpy as np

from mandel.plan.autoiter import CEILING, FIRST_LIMIT, Limit, settle, small
from mandel.plan.view import View
from mandel.render.frame import FrameRenderer


def view_limit(
    renderer: FrameRenderer, view: View, first: int = FIRST_LIMIT, ceiling: int = CEILING
) -> Limit:
    """The iteration limit that ``view`` needs (see mandel/plan/autoiter.py).

    Args:
        first: the least limit worth giving.
        ceiling: the largest limit tried.
    """
    grid = small(view).grid()

    def counts(limit: int) -> np.ndarray:
        samples = renderer.samples(grid, limit, bailout=2.0)
        return renderer.context.download(samples.count, np.empty((grid.rows, grid.cols), np.int32))

    return settle(counts, first, ceiling)

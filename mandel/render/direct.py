"""Direct iteration in double precision, for views whose spacing doubles resolve."""

from __future__ import annotations

import numpy as np

from mandel.device.context import DeviceContext
from mandel.errors import RenderError
from mandel.plan.axes import axes
from mandel.plan.grid import Grid
from mandel.render.samples import Outputs, Samples

MIN_BAILOUT, MAX_BAILOUT = 2.0, 1e9


def check_limits(maxiter: int, bailout: float) -> None:
    """Refuses what the kernels cannot count.

    Raises:
        RenderError: OUT_OF_RANGE.
    """
    if not MIN_BAILOUT <= bailout <= MAX_BAILOUT:
        raise RenderError(
            "OUT_OF_RANGE", f"bailout is {bailout}; it must be from {MIN_BAILOUT:g} to {MAX_BAILOUT:g}.",
            field="bailout", limit=[MIN_BAILOUT, MAX_BAILOUT],
        )
    if not 1 <= maxiter < 2**31 - 1:
        raise RenderError(
            "OUT_OF_RANGE", f"maxiter is {maxiter}; it must be from 1 to {2**31 - 2}.",
            field="maxiter", limit=[1, 2**31 - 2],
        )


class DirectIterator:
    """Iterates grids on one device."""

    def __init__(self, ctx: DeviceContext):
        self.ctx = ctx

    def iterate(self, grid: Grid, maxiter: int, bailout: float, outputs: Outputs = Outputs()) -> Samples:
        """Raw samples of ``grid``, enqueued on the context's queue.

        Args:
            maxiter: 1 to 2**31 - 2.
            bailout: escape radius, 2 to 1e9.

        Raises:
            RenderError: OUT_OF_RANGE for another maxiter or bailout.
        """
        check_limits(maxiter, bailout)
        ctx, n = self.ctx, grid.rows * grid.cols
        table = axes(grid)
        samples = Samples(
            grid.rows, grid.cols, maxiter, ctx.empty(4 * n), ctx.empty(4 * n),
            ctx.empty(4 * n) if outputs.distance else None,
            ctx.empty(8 * n) if outputs.slope else None,
        )
        kernel = ctx.kernel("direct.cl", "direct", (
            ("GEOMETRY", table.geometry), ("DERIVATIVE", int(outputs.derivative)),
            ("DISTANCE", int(outputs.distance)), ("SLOPE", int(outputs.slope)),
        ))
        wanted = [b for b in (samples.distance, samples.slope) if b is not None]
        kernel(
            ctx.queue, (grid.cols, grid.rows), None,
            ctx.upload(table.across), ctx.upload(table.down), ctx.upload(table.spacing),
            np.int32(grid.cols), np.int32(grid.rows), np.int32(maxiter), np.float64(bailout),
            samples.count, samples.frac, *wanted,
        )
        return samples

"""Tables on the device with the coordinates of a launch's samples: of a grid, or of listed pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mandel.device.context import Buffer, DeviceContext
from mandel.kernels.contract import AXIS_ALIGNED, INDEXED
from mandel.plan.axes import axes
from mandel.plan.grid import Grid
from mandel.render.painter import Pixels


@dataclass(frozen=True)
class SampleCoordinates:
    """The coordinates of ``cols`` x ``rows`` samples, as ``geometry.h`` reads them.

    Attributes:
        geometry: the header's GEOMETRY.
        across, down: float64 device buffers.
        spacing: as in ``plan.axes.Axes``.
    """

    cols: int
    rows: int
    geometry: int
    across: Buffer
    down: Buffer
    spacing: float | np.ndarray

    def spacings(self, ctx: DeviceContext) -> Buffer:
        """The distance between neighbouring samples of each row, for kernels: a float64 device buffer (rows,)."""
        return ctx.upload(np.broadcast_to(np.float64(self.spacing), self.rows))


def coordinates_of(
    ctx: DeviceContext, grid: Grid, relative: bool = False, width: int = 1
) -> SampleCoordinates:
    """The coordinates of all samples of a grid.

    Args:
        relative: as ``plan.axes.axes`` takes it.
        width: as ``plan.axes.axes`` takes it.
    """
    table = axes(grid, relative, width)
    across, down = ctx.upload(table.across), ctx.upload(table.down)
    return SampleCoordinates(grid.cols, grid.rows, table.geometry, across, down, table.spacing)


def listed_coordinates(
    ctx: DeviceContext, grid: Grid, chosen: np.ndarray, relative: bool, width: int
) -> SampleCoordinates:
    """The coordinates of chosen samples of an axis-aligned grid, in rows of ``width``.

    The last sample is repeated to fill the last row.

    Args:
        chosen: row-major indices.
        relative: as ``plan.axes.axes`` takes it.
    """
    table = axes(grid, relative)
    if table.geometry != AXIS_ALIGNED:
        raise ValueError("only samples of an axis-aligned grid can be chosen")
    rows = -(-len(chosen) // width)
    row, col = np.divmod(
        np.append(chosen, np.full(rows * width - len(chosen), chosen[-1])).astype(int), grid.cols
    )
    across, down = ctx.upload(table.across[col]), ctx.upload(table.down[row])
    return SampleCoordinates(width, rows, INDEXED, across, down, table.spacing)


class ListedCoordinates:
    """The coordinates of listed pixels' samples, n x n each.

    Args:
        grid: the samples of the whole canvas, n x n a pixel; in the plane.
        relative: as ``plan.axes.axes`` takes it.
    """

    def __init__(self, ctx: DeviceContext, grid: Grid, n: int, pixels: Pixels, relative: bool = False):
        self._ctx, self._grid, self._n, self._pixels = ctx, grid, n, pixels
        table = axes(grid, relative)
        self._tables = ctx.upload(table.across), ctx.upload(table.down)
        self._spacing = table.spacing
        self._kernel = ctx.kernel("points.cl", "locate", (("GEOMETRY", table.geometry), ("N", n)))

    def place(self, first: int, length: int, width: int) -> SampleCoordinates:
        """The samples of pixels ``first`` to ``first + length``, in rows of ``width``.

        The last sample is repeated to fill the last row. Enqueued, not waited for.
        """
        ctx, i = self._ctx, np.int32
        samples = length * self._n**2
        rows = -(-samples // width)
        re, im = ctx.empty(8 * rows * width), ctx.empty(8 * rows * width)
        self._kernel(
            ctx.queue,
            (rows * width,),
            None,
            *self._tables,
            i(self._grid.cols),
            i(self._grid.rows),
            i(self._grid.cols // self._n),
            self._pixels.buffer,
            i(first),
            i(samples),
            re,
            im,
        )
        return SampleCoordinates(width, rows, INDEXED, re, im, self._spacing)

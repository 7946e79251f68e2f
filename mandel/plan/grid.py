"""A grid: the block of samples that one kernel launch computes.

A frame, a band of its rows, a supersampled frame and a strip of the
exponential map are all grids; kernels know nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

PLANE = "plane"
POLAR = "polar"

# Columns and rows of samples that perturbation may iterate together, as one group. Parts of a grid that are cut between
# groups have the very samples of the whole.
LOCKSTEP_COLS, LOCKSTEP_ROWS = 4, 4


@dataclass(frozen=True)
class Grid:
    """``rows`` x ``cols`` samples of the plane around a centre.

    Attributes:
        re, im: the centre, decimal strings of any length.
        scale: length of one unit of the offsets below, in the plane.
        cols, rows: samples along each axis.
        x0, y0: coordinates of sample (column 0, row 0).
        kind: PLANE or POLAR. PLANE: sample (i, j) lies at
            ``centre + scale * ((x0 + i) + 1j*(y0 - j)) * turn``;
            POLAR (exponential map): at
            ``centre + scale * exp(2*pi*(-(y0 + j) + 1j*(x0 + i)) / around) * turn``.
        turn: unit complex number, rotates the grid about the centre.
        around: POLAR only: samples along a full circle.
    """

    re: str
    im: str
    scale: Decimal
    cols: int
    rows: int
    x0: float
    y0: float
    kind: str = PLANE
    turn: complex = 1 + 0j
    around: int = 0

    def band(self, first: int, rows: int) -> Grid:
        """Rows ``first`` to ``first + rows`` of this grid, as a grid."""
        if (first, rows) == (0, self.rows):
            return self
        y0 = self.y0 - first if self.kind == PLANE else self.y0 + first
        return replace(self, rows=rows, y0=y0)

"""A view: the rectangle of the complex plane that one picture shows."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal

from mandel.plan.grid import Grid

# For the spacing, which is only a scale: 40 digits are far more precise than any sample needs.
# The centre keeps all of its digits.
SCALE = Context(prec=40, Emax=10**9, Emin=-(10**9))


@dataclass(frozen=True)
class View:
    """A rectangle of the plane, sampled at pixel centres.

    Attributes:
        re, im: the centre, decimal strings of any length; or a point near it, see ``shift``.
        delta: extent along the shorter side, decimal string > 0.
        width, height: samples along each side.
        turn: unit complex number, turns the rectangle about its centre.
        shift: where the centre lies from re + i*im, in units of delta. Views of different centres are made about
            one point, so that one reference orbit serves them.

    Sample (column i, row j from the top) lies at
    ``c = (re + i*im) + shift*delta + spacing * ((i - (width-1)/2) + 1j*((height-1)/2 - j)) * turn``.
    """

    re: str
    im: str
    delta: str
    width: int
    height: int
    turn: complex = 1 + 0j
    shift: complex = 0j

    @property
    def spacing(self) -> Decimal:
        """Distance between neighbouring samples, in units of the plane."""
        return SCALE.divide(Decimal(self.delta), Decimal(min(self.width, self.height)))

    def grid(self, n: int = 1) -> Grid:
        """The view's samples, n x n for each pixel, evenly spaced."""
        cols, rows, scale = self.width * n, self.height * n, self.spacing
        shift = self.shift * min(cols, rows) / self.turn
        return Grid(
            self.re,
            self.im,
            scale if n == 1 else SCALE.divide(scale, Decimal(n)),
            cols,
            rows,
            x0=-(cols - 1) / 2 + shift.real,
            y0=(rows - 1) / 2 + shift.imag,
            turn=self.turn,
        )

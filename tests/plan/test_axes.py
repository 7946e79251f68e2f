"""Coordinates of samples are the nearest doubles of the exact ones."""

from __future__ import annotations

from decimal import Decimal, getcontext

import numpy as np
import pytest

from mandel.plan.axes import axes, coordinates, split
from mandel.plan.grid import POLAR, Grid
from mandel.plan.view import View


@pytest.mark.parametrize("delta", ["2.5", "1e-4", "3.3333e-9", "1e-14"])
def test_plane_is_rounded_once(delta):
    getcontext().prec = 60
    view = View("-1.33823863512345678901234567", "0.05723705912345678901234567", delta, 37, 21)
    grid = view.grid(3)
    table = axes(grid)
    re = [float(Decimal(view.re) + grid.scale * (Decimal(grid.x0) + i)) for i in range(grid.cols)]
    im = [float(Decimal(view.im) + grid.scale * (Decimal(grid.y0) - j)) for j in range(grid.rows)]
    assert table.across.tolist() == re
    assert table.down.tolist() == im


def test_turned_about_the_centre():
    grid = Grid("-1.25", "0.125", Decimal("0.001"), 9, 7, -4.0, 3.0)
    turned = Grid("-1.25", "0.125", Decimal("0.001"), 9, 7, -4.0, 3.0, turn=0.6 + 0.8j)
    centre = -1.25 + 0.125j
    straight = coordinates(axes(grid), 9, 7) - centre
    assert np.allclose(coordinates(axes(turned), 9, 7) - centre, (0.6 + 0.8j) * straight, rtol=0, atol=4e-16)


def test_polar():
    grid = Grid("0.3", "-0.2", Decimal("0.5"), 16, 40, 3.0, 2.0, kind=POLAR, turn=1j, around=64)
    u, v = 3 + np.arange(16), 2 + np.arange(40)[:, None]
    expected = (0.3 - 0.2j) + 0.5 * np.exp(2 * np.pi * (-v + 1j * u) / 64) * 1j
    table = axes(grid)
    assert np.allclose(coordinates(table, 16, 40), expected, rtol=0, atol=2e-16)
    assert np.allclose(table.spacing, 0.5 * np.exp(-2 * np.pi * v[:, 0] / 64) * 2 * np.pi / 64)


def test_relative_axes_leave_centre_and_scale_out():
    grid = Grid("-1.7", "0.1", Decimal("1e-400"), 4, 3, -1.5, 1.0)
    table = axes(grid, relative=True)
    assert table.across.tolist() == [-1.5, -0.5, 0.5, 1.5]
    assert table.down.tolist() == [1.0, 0.0, -1.0]


def test_bands_are_pieces_of_the_whole():
    grid = View("-0.7436438870371587", "0.13182590420531197", "1e-7", 20, 30).grid()
    whole = coordinates(axes(grid), 20, 30)
    assert (coordinates(axes(grid.band(7, 11)), 20, 11) == whole[7:18]).all()


def test_split_keeps_twice_the_digits():
    text = "-1.7548776662466927600495088963585286918946066177727931439892839706"
    high, low = split(text)
    getcontext().prec = 60
    assert high == float(text)
    assert abs(Decimal(high) + Decimal(low) - Decimal(text)) < Decimal("1e-31")

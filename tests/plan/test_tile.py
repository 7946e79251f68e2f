"""Tiles: where their samples lie, by exact fractions."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mandel.errors import RequestError
from mandel.plan.tile import MAX_DLEVEL, SIZE, STEPS, Anchor, dyadic, spacing

LEVELS = st.integers(-8, 400)
OFFSETS = st.integers(-(2**20), 2**20)


def place(grid, col, row) -> tuple[Fraction, Fraction]:
    """A sample of a grid in the plane."""
    scale = Fraction(grid.scale)
    return (
        Fraction(Decimal(grid.re)) + scale * (Fraction(grid.x0) + col),
        Fraction(Decimal(grid.im)) + scale * (Fraction(grid.y0) - row),
    )


@given(st.integers(-(2**600), 2**600), st.integers(-20, 600))
def test_a_dyadic_number_in_decimals(numerator, bits):
    assert Fraction(Decimal(dyadic(numerator, bits))) == Fraction(numerator) / Fraction(2) ** bits


def test_numbers_longer_than_str_allows():
    assert len(dyadic(3 << 20_000 | 1, 20_001)) > 20_000


@given(
    LEVELS, st.integers(-(2**15), 2**15), st.integers(), st.integers(-MAX_DLEVEL, MAX_DLEVEL), OFFSETS, OFFSETS,
    st.sampled_from(STEPS), st.data(),
)  # fmt: skip
def test_samples_lie_where_the_page_puts_them(level, x, y, dlevel, dx, dy, step, data):
    x, y = x << max(level, 0), y % (2 ** max(level, 1))
    anchor = Anchor(level, x, y)
    there = [(at << dlevel if dlevel >= 0 else at >> -dlevel) + d for at, d in ((x, dx), (y, dy))]
    grid = anchor.grid(dlevel, dx, dy, step)
    col, row = (data.draw(st.integers(0, SIZE // step - 1)) for _ in range(2))
    found = place(grid, col, row)
    side = Fraction(2) ** -(level + dlevel)
    wanted = (
        (SIZE * there[0] + (col + Fraction(1, 2)) * step) * side,
        (SIZE * (there[1] + 1) - (row + Fraction(1, 2)) * step) * side,
    )
    for got, right in zip(found, wanted, strict=True):
        assert abs(got - right) <= side * step / 10**6


@given(st.integers(-8, 20_000))
def test_the_spacing_of_a_level(level):
    assert abs(Fraction(spacing(level)) * Fraction(2) ** level - 1) < Fraction(1, 10**38)


@pytest.mark.parametrize("level, x", [(-9, 0), (10**6, 0), (8, 1 << 40), (8, -(1 << 40))])
def test_what_lies_beyond_all_that_can_be_seen_is_refused(level, x):
    with pytest.raises(RequestError, match="level" if x == 0 else "x lies"):
        Anchor(level, x, 0)

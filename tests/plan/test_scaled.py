"""Mantissa-and-exponent arrays against Python's exact fractions."""

from fractions import Fraction

import numpy as np
import pytest

from mandel.plan.scaled import Scaled, least


def exact(number: Scaled, k: int = 0) -> Fraction:
    return Fraction(float(number.mantissa[k])) * Fraction(2) ** int(number.exponent[k])


def real(mantissa: float, exponent: int) -> Scaled:
    return Scaled.of(np.array([mantissa]), np.array([exponent]))


CASES = [((0.75, 5_000), (0.9, -20_000)), ((3.0, 0), (1e-300, 0)), ((1.0, -70_000), (1.0, -70_001))]


@pytest.mark.parametrize("a, b", CASES)
def test_arithmetic(a, b):
    x, y = real(*a), real(*b)
    assert exact(x) == Fraction(a[0]) * Fraction(2) ** a[1]
    assert 0.5 <= x.mantissa[0] < 1
    for got, want in (
        (x.times(y), exact(x) * exact(y)),
        (x.over(y), exact(x) / exact(y)),
        (x.plus(y), exact(x) + exact(y)),
        (x.shifted(7), exact(x) * 128),
    ):
        assert abs(exact(got) / want - 1) < Fraction(2) ** -52
    root = real(*a).root()
    assert abs(exact(root) ** 2 / exact(x) - 1) < Fraction(2) ** -51
    assert x.below(y)[0] == (exact(x) < exact(y)) and y.below(x)[0] == (exact(y) < exact(x))
    assert exact(least(x, y)) == min(exact(x), exact(y))


def test_zero():
    zero, one = real(0.0, 0), real(1.0, -5_000)
    assert exact(zero.plus(one)) == exact(one)
    assert exact(one.plus(one.negated())) == 0
    assert zero.times(one).exponent[0] == 0
    assert zero.below(one)[0] and not zero.below(zero)[0]


def test_complex_keeps_the_small_part():
    z = Scaled.of(np.array([3 + 4e-9j]), np.array([-9_000]))
    assert z.at(-9_000)[0] == 3 + 4e-9j
    assert float(z.magnitude().at(-9_000)[0]) == pytest.approx(3.0)


def test_out_of_range_of_double():
    assert real(1.0, -3_000).at(0)[0] == 0 and real(1.0, 3_000).at(0)[0] == np.inf

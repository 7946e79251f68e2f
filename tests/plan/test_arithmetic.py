"""Which arithmetic a view gets."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mandel.plan.arithmetic import DIRECT, PERTURBED, arithmetic, log2_of
from mandel.plan.grid import POLAR, Grid
from mandel.plan.view import View


@pytest.mark.parametrize(
    "re, delta, engine",
    [
        ("-1.5", "2.5", DIRECT),
        ("-1.5", "1e-5", DIRECT),  # spacing 1e-8
        ("-1.5", "2e-6", DIRECT),  # 2e-9, above 2**-30 * 1.5 = 1.4e-9
        ("-1.5", "1e-6", PERTURBED),
        ("0.25", "1e-6", DIRECT),  # 1e-9, above 2**-30 / 4
        ("-1.5", "1e-1000", PERTURBED),
        ("0", "1e-20000", PERTURBED),
    ],
)
def test_engine_by_spacing(re, delta, engine):
    assert arithmetic(View(re, "0", delta, 1000, 1000).grid()).engine == engine


def test_a_strip_counts_by_its_finest_row():
    strip = Grid("-1.5", "0", Decimal(2), 1000, 1000, 0.0, 0.0, kind=POLAR, around=1000)
    assert arithmetic(strip).engine == DIRECT  # down to 2 exp(-2 pi) 2 pi / 1000
    assert arithmetic(strip.band(3000, 1000)).engine == PERTURBED


@pytest.mark.parametrize(
    "text, expected", [("1", 0), ("0.125", -3), ("1e-1000", -3321.928), ("3e20000", 66440.146)]
)
def test_log2_of_any_exponent(text, expected):
    assert log2_of(Decimal(text)) == pytest.approx(expected, abs=1e-3)

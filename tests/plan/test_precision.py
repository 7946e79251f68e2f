import math
from dataclasses import replace
from decimal import Decimal

import pytest

from mandel.errors import RenderError
from mandel.plan.grid import POLAR, Grid
from mandel.plan.precision import GUARD_BITS, precision, split_scale


def plane(scale: str) -> Grid:
    return Grid("0", "1", Decimal(scale), 100, 80, -49.5, 39.5)


@pytest.mark.parametrize("scale", ["1", "3e-5", "1e-300", "7.7e-1500", "1e-20000", "0.9999999999999999"])
def test_scale_is_split_exactly_to_double(scale):
    mantissa, exponent = split_scale(Decimal(scale))
    assert 1 - 1e-9 <= mantissa <= 2
    assert abs(Decimal(mantissa) * Decimal(2) ** exponent / Decimal(scale) - 1) < Decimal(2) ** -52


def test_plane():
    need = precision(plane("1e-30"))
    assert need.bits == math.ceil(30 * math.log2(10)) + GUARD_BITS
    assert need.c_max == pytest.approx(math.log2(math.hypot(49.5, 39.5)) - 30 * math.log2(10))
    assert need.c_max < need.table_exponent < need.c_max + 65
    assert not need.deep and need.scale == 1e-30 and need.scale_exponent == 0


def test_deep_views_get_exponents():
    need = precision(plane("1e-400"))
    assert need.deep and need.scale_exponent == math.floor(-400 * math.log2(10))


def test_a_strip_needs_what_its_ends_need():
    strip = Grid("0", "1", Decimal("1e-20"), 64, 200, 0.0, 0.0, kind=POLAR, around=64)
    need, whole = precision(strip), 2 * math.pi / 64 / math.log(2) * 199
    assert need.c_max == pytest.approx(-20 * math.log2(10))
    assert need.bits == math.ceil(20 * math.log2(10) + whole - math.log2(2 * math.pi / 64)) + GUARD_BITS
    inner = precision(replace(strip, y0=100.0))
    assert inner.c_max < need.c_max


def test_stated_depth():
    assert precision(plane("1e-20000")).bits > 66_000
    with pytest.raises(RenderError) as error:
        precision(plane("1e-60000"))
    assert error.value.code == "TOO_DEEP_ZOOM"

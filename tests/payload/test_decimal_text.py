"""Numbers by their text, against decimal.Decimal."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mandel.payload.decimal_text import exact

CANONICAL = [
    ("0", "0"),
    ("-0", "0"),
    ("-0.000e77", "0"),
    ("0e999999999999999999", "0"),
    ("100", "100"),
    ("100.0", "100"),
    ("1E2", "100"),
    ("1e+2", "100"),
    ("1000e-1", "100"),
    (".5", "0.5"),
    ("5.", "5"),
    ("-1.338238635000", "-1.338238635"),
    ("0.0000001", "0.0000001"),
    ("0.00000001", "1E-8"),
    ("1e-1000", "1E-1000"),
    ("12.5e-1001", "1.25E-1000"),
    ("1e20", "100000000000000000000"),
    ("1e21", "1E+21"),
    ("-120e20", "-1.2E+22"),
]
NONE = [
    "",
    ".",
    "-",
    "-.",
    "+1",
    "1_000",
    "١٢",
    "１",
    " 1",
    "1 ",
    "1\n",
    "0x10",
    "1/3",
    "1e",
    "e1",
    "1e+",
    "nan",
    "inf",
    "Infinity",
    "--1",
    "1.2.3",
    "1e1.5",
    "½",
]


@pytest.mark.parametrize("text, canonical", CANONICAL)
def test_one_text_for_each_value(text, canonical):
    assert exact(text).text() == canonical


@pytest.mark.parametrize("text", NONE)
def test_no_number(text):
    assert exact(text) is None


@given(st.decimals(allow_nan=False, allow_infinity=False), st.integers(0, 5))
@settings(deadline=None)
def test_same_value_same_text(value, zeros):
    sign, digits, exponent = value.as_tuple()
    longer = Decimal((sign, digits + (0,) * zeros, exponent - zeros))
    text = exact(f"{value:E}").text()
    assert text == exact(f"{longer:f}" if abs(value.adjusted()) < 100 else str(longer)).text()
    assert Decimal(text) == value
    assert exact(text).text() == text
    if value:
        assert exact(text).magnitude == value.adjusted()


def test_digits_are_kept():
    digits = "1234567890" * 2_000
    with localcontext() as context:
        context.prec = 5
        assert exact("-1." + digits).text() == "-1." + digits.rstrip("0")


@pytest.mark.parametrize("text", ["1e1000000", "1e999999999999999999", "1e-" + "9" * 60_000])
def test_a_huge_exponent_is_only_noted(text):
    assert abs(exact(text).exponent) in (10**6, 10**9)
    assert len(exact(text).text()) < 20

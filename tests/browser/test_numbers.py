"""The page's arithmetic against Python's integers and fractions."""

import itertools
import random
import sys
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest

from tests.browser.pages import MODULE, Visitor

BITS = 4096


@pytest.fixture(scope="module", autouse=True)
def long_integers():
    """Python reads and writes whole numbers of any length."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    yield
    sys.set_int_max_str_digits(before)


@pytest.fixture(scope="module")
def modules(browser, service):
    visitor = Visitor(browser, service.page)
    visitor.go()
    yield visitor.module("numbers/decimal.js"), visitor.module("numbers/view.js"), visitor.page
    visitor.close()


def _numbers(count: int, most: int) -> list[str]:
    """Decimal texts of up to ``most`` digits, the same in every run."""
    draw = random.Random(20261127)
    found = ["0", "-0", "1", "-2", ".5", "-3.", "1e-300", "-1.5E+3", "0.000"]
    for _ in range(count):
        digits = "".join(draw.choice("0123456789") for _ in range(draw.randint(1, most)))
        point = draw.randint(0, len(digits))
        found.append(f"{draw.choice(['', '-'])}{digits[:point]}.{digits[point:]}")
    return found


def test_fixed_point_is_the_nearest(modules):
    decimal, _, page = modules
    texts = _numbers(60, 900)
    made = page.evaluate(
        "([d, texts]) => texts.map(t => d.toFixed(d.parseDecimal(t), 4096).toString())", [decimal, texts]
    )
    for text, found in zip(texts, made, strict=True):
        with localcontext(prec=2000):
            exact = Fraction(Decimal(text)) * 2**BITS
        assert abs(Fraction(int(found)) - exact) <= Fraction(1, 2), text


@pytest.mark.parametrize("places", [1, 30, 300, 5000])
def test_digits_survive_fixed_point(modules, places):
    decimal, _, page = modules
    draw = random.Random(places)
    texts = [
        f"-{draw.randint(0, 2)}.{draw.randint(1, 10**places - 1):0{places}d}".rstrip("0") for _ in range(8)
    ]
    made = page.evaluate(
        "([d, texts, places]) => texts.map(t => d.fromFixed(d.toFixed(d.parseDecimal(t), d.bitsFor(places)),"
        " d.bitsFor(places), places))",
        [decimal, texts, places],
    )
    assert made == texts


@pytest.mark.parametrize(
    "text", ["", "-", ".", "e5", "1e", "0x10", "1,5", "NaN", "Infinity", "1e999999", "1 2", "--1"]
)
def test_no_number(modules, text):
    decimal, _, page = modules
    assert page.evaluate("([d, t]) => d.parseDecimal(t)", [decimal, text]) is None


@pytest.mark.parametrize("extent", ["2.5", "1e-12", "1e-300", "3.25e-5000"])
def test_a_view_survives_its_text(modules, extent):
    _, view, page = modules
    draw = random.Random(extent)
    places = 5010
    point = [f"-0.{draw.randint(0, 10**places - 1):0{places}d}" for _ in range(2)]
    once, twice = page.evaluate(
        """([v, re, im, extent]) => {
          const one = v.View.of(re, im, extent).moved(0.25, -1.5, 700).zoomed(0.7, 700, 100, -50).text();
          return [one, v.View.of(one.re, one.im, one.extent).text()];
        }""",
        [view, *point, extent],
    )
    assert once == twice
    # Moved by less than the extent, and no more digits than its pixels need.
    with localcontext(prec=6000):
        assert abs(Decimal(once["re"]) - Decimal(point[0])) < Decimal(extent)
    assert len(once["re"]) < 16 - Decimal(extent).adjusted() + 6


@pytest.mark.parametrize("extent", ["1e-3", "1e-300", "1e-5000"])
def test_zooming_about_a_point_keeps_it_there(modules, extent):
    """By Python's fractions, to a thousandth of a pixel."""
    _, view, page = modules
    steps = page.evaluate(
        """([v, extent]) => {
          let view = v.View.of('-1.25', '0.0625', extent);
          const found = [];
          for (const octaves of [0.5, 3, -2.25, 17.125, -9]) {
            const { exponent, mantissa } = view.spacing(700);
            found.push([view.re.toString(), view.im.toString(), view.bits, exponent, mantissa]);
            view = view.zoomed(octaves, 700, 123.5, -77);
          }
          const { exponent, mantissa } = view.spacing(700);
          found.push([view.re.toString(), view.im.toString(), view.bits, exponent, mantissa]);
          return found;
        }""",
        [view, extent],
    )
    under = []
    for re, im, bits, exponent, mantissa in steps:
        spacing = Fraction(mantissa) * Fraction(2) ** exponent
        here = (
            Fraction(int(re), 2**bits) + spacing * Fraction("123.5"),
            Fraction(int(im), 2**bits) + spacing * 77,
        )
        under.append((here, spacing))
    for (before, wide), (after, narrow) in itertools.pairwise(under):
        for one, other in zip(before, after, strict=True):
            assert abs(one - other) < min(wide, narrow) / 1000


def test_tiles_of_a_point(modules):
    """Tile indices at level 17,000 are the integers that Python finds."""
    _, view, page = modules
    grid = page.evaluate_handle(MODULE, "explore/grid.js")
    digits = f"0.{random.Random(7).randint(0, 10**5200):05200d}"
    level = 17_000
    found = page.evaluate(
        """([v, g, re, level]) => {
          const view = v.View.of('-' + re, re, '1e-5100');
          const anchor = g.Anchor.at(view, level - 12);
          const { x, y } = anchor.offset(view, level), origin = anchor.origin(level);
          return [(origin.x + BigInt(x)).toString(), (origin.y + BigInt(y)).toString()];
        }""",
        [view, grid, digits, level],
    )
    with localcontext(prec=6000):
        exact = Fraction(Decimal(digits)) * 2 ** (level - 8)
    assert [int(one) for one in found] == [(-exact).__floor__(), exact.__floor__()]


@pytest.mark.parametrize(
    "text, place",
    [
        ("-0.5, 0.25, 1e-30", ("-0.5", "0.25", "1e-30")),
        ("-0.5,\n0.25,\n1e-30", ("-0.5", "0.25", "1e-30")),
        ("http://127.0.0.1:65433/#at=-0.5,0.25,1e-30&palette=ember", ("-0.5", "0.25", "1e-30")),
        ("no place at all", None),
        ("-0.5, 0.25", None),  # and what else people paste: the service reads it (tests/web/test_places.py)
        ("0.5, 0.5, -1", None),
    ],
)
def test_pasted_places(modules, text, place):
    _, _, page = modules
    found = page.evaluate(
        """([m, text]) => {
          const fragment = m.fragmentIn(text), place = fragment && m.fromFragment(fragment);
          return place && Object.values(place.view.text());
        }""",
        [page.evaluate_handle(MODULE, "numbers/place_text.js"), text],
    )
    assert (found and tuple(found)) == place

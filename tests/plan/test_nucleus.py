import json
import math
from decimal import Decimal
from pathlib import Path

import gmpy2
import pytest

from mandel.errors import RenderError
from mandel.plan.nucleus import locate, nucleus, periods_in_disc

ANSWERS = json.loads((Path(__file__).parent.parent / "reference" / "known_answers.json").read_text())
GRIDS = {grid["name"]: grid for grid in ANSWERS["grids"]}


def last_z(found, bits=2_000):
    with gmpy2.context(precision=bits):
        c, z = gmpy2.mpc(f"({found.re} {found.im})"), gmpy2.mpc(0)
        for _ in range(found.period):
            z = z * z + c
        return abs(z)


@pytest.mark.parametrize("case", ANSWERS["periods"], ids=lambda case: case["at"])
def test_known_periods(case):
    grid = GRIDS[case["at"]]
    assert next(periods_in_disc(grid["re"], grid["im"], str(case["r"]), 20_000)) == case["period"]


@pytest.mark.parametrize(
    "re, im, delta, period, size",
    [
        ("0.1", "0.1", "1", 1, 1.0),
        ("-1", "0", "0.1", 2, 0.5),
        ("-1.75", "0", "0.05", 3, 0.0190355159),
        ("-1.9408", "0", "0.001", 4, 0.00099163),
        ("-0.12", "0.75", "0.1", 3, 0.18891383703),
    ],
)
def test_known_sizes(re, im, delta, period, size):
    found = locate(re, im, delta, 100)
    assert found.period == period
    assert float(found.size) == pytest.approx(size, rel=1e-4)


def test_all_digits_of_a_deep_nucleus():
    grid = GRIDS["1e14"]
    found = nucleus(grid["re"], grid["im"], "1e-14", 252)
    assert found.size.adjusted() == -20
    # z_p vanishes beside a sample's spacing in a view of the minibrot.
    assert last_z(found) < gmpy2.mpfr(str(found.size)) / 2**32
    assert Decimal(found.minibrot_delta) == pytest.approx(4 * found.size, rel=Decimal("1e-3"))
    assert Decimal(found.julia_delta) == pytest.approx(4 * found.size ** Decimal("0.75"), rel=Decimal("1e-3"))


@pytest.mark.parametrize("k", [40, 400])
def test_nuclei_near_the_tip_are_found_at_any_depth(k):
    """Nuclei near -2 of period p lie about 4**-p away and have size about 16**-p."""
    found = locate(f"-1.{'9' * k}", "0", f"1e-{k}", 10_000)
    assert found.im == "0"
    assert found.period == pytest.approx(k / math.log10(4), rel=0.1)
    assert found.size.adjusted() == pytest.approx(-2 * k, rel=0.05)
    assert last_z(found, 8_000) < gmpy2.mpfr(f"1e-{2 * k}")


def test_reached_when_the_first_candidate_fails():
    """In this disc the first-order test also fires for a period whose nucleus lies outside."""
    found = locate("-1.7615", "-0.0126", "1e-3", 1_000)
    assert found.period == 32 and last_z(found) < 1e-20


@pytest.mark.parametrize("re, im", [("3", "3"), ("0.3", "0.6")])
def test_none_outside_the_set(re, im):
    with pytest.raises(RenderError) as error:
        locate(re, im, "1e-6", 1_000)
    assert error.value.code == "NO_NUCLEUS"

"""Numbers that the page's modules have of their own are the service's."""

import re

import pytest

from mandel.colour import looks, palettes
from mandel.errors import PayloadError
from mandel.payload.decimal_text import Number
from mandel.payload.fields import BY_NAME
from mandel.plan import tile
from mandel.settings import PayloadLimits
from tests.support.service import ROOT

LOOK = (ROOT / "mandel/web/page/explore/look.js").read_text()


def test_a_look_has_the_fields_and_ranges_of_the_payload():
    (rows,) = re.findall(r"const RANGES = \{(.*?)\};", LOOK, re.DOTALL)
    ranges = {
        name: (float(low), float(high)) for name, low, high in re.findall(r"(\w+): \[(.+), (.+)\]", rows)
    }
    assert {"palette", "mapping", *ranges, "interior"} == set(looks.FIELDS)
    for name, (low, high) in ranges.items():
        with pytest.raises(PayloadError) as refused:
            BY_NAME[name].check(Number("1e9"), PayloadLimits())
        assert refused.value.limit == {"min": low, "max": high}, name


def test_own_palettes_have_the_limits_of_the_payload():
    assert f"const MOST = {palettes.MOST};" in LOOK
    assert f"const LEAST_STEP = {palettes.LEAST_STEP};" in LOOK


def test_anchors_serve_as_many_levels_as_the_service_names():
    grid = (ROOT / "mandel/web/page/explore/grid.js").read_text()
    assert f"const HIGHEST = {tile.MAX_DLEVEL};" in grid

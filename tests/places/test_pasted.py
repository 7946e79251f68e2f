"""Coordinates as people paste them."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mandel.client.place_file import tidied
from mandel.errors import PayloadError
from mandel.payload.decimal_text import Number
from mandel.places import pasted
from mandel.places.text import joined


@pytest.mark.parametrize(
    "text, meant",
    [
        ("-0.75,0.1", "-0.75,0.1"),
        (" -0.75 , 0.1 \n", "-0.75,0.1"),
        ("\u22120.75, 0.1", "-0.75,0.1"),
        ("\u20130.75, \u22121e\u22125", "-0.75,-1e-5"),
        ("-0.75, 0.1i", "-0.75,0.1"),
        ("-0.75, +0.1 i", "-0.75,0.1"),
        ("+0.75, i*0.1", "0.75,0.1"),
        ("-0.75 + 0.1i", "-0.75,0.1"),
        ("-0.75 + 0.1 i", "-0.75,0.1"),
        ("-0.75+i0.1", "-0.75,0.1"),
        ("-0.75 \u2212 0.1\u2009j", "-0.75,-0.1"),
        ("1e-5-2e-3i", "1e-5,-2e-3"),
        ("(-0.75 + 0.1*i)", "-0.75,0.1"),
        ("c = -0.75 + 0.1i", "-0.75,0.1"),
        ("0.1i", "0,0.1"),
        ("-.75, .1", "-.75,.1"),
        ("[-0.75; 0.1]", "-0.75,0.1"),
        ("-0.75 0.1", "-0.75,0.1"),
        ("-0.75\n0.1\n", "-0.75,0.1"),
        ("Re: -0.75\r\nIm: 0.1\r\n", "-0.75,0.1"),
        ("Re(c) = -0.75\nIm(c) = 0.1", "-0.75,0.1"),
        ("real = -0.75 imag = -0.1", "-0.75,-0.1"),
        ("x: -0.75, y: 0.1", "-0.75,0.1"),
        (
            "-0.743643887037\n158704752191,\n0.13182590\n4205311",
            "-0.743643887037158704752191,0.131825904205311",
        ),
        (
            "-0.743643887037\n158704752191\n0.13182590\n4205311",
            "-0.743643887037158704752191,0.131825904205311",
        ),
        ("-0.743 643 887, 0.131 825", "-0.743643887,0.131825"),
        ("-7.5\u00d710^-1, 1\u00b710\u207b\u00b2", "-7.5e-1,1e-2"),
        ("\uff0d\uff10.\uff17\uff15\uff0c\uff10.\uff11", "-0.75,0.1"),
        ("\ufeff-0.75,\u200b0.1", "-0.75,0.1"),
    ],
)
def test_pasted_points_are_understood(text, meant):
    assert pasted.point(text) == meant
    assert re.sub(r"\s", "", tidied({"point": text})["point"]) == meant  # blanks the service takes as well


@pytest.mark.parametrize(
    "text, says",
    [
        ("-0,75,0,1", "has decimal commas; write them as points: -0.75,0.1"),
        ("0,75; 0,1", "has decimal commas; write them as points: 0.75,0.1"),
        ("-0.75", "is one number; a point has two: -0.75,0"),
        ("1,2,3", "has 3 parts between commas, not two"),
        ("-0.75,x", "the imaginary part of '-0.75,x' is 'x'"),
        ("x,0", "the real part of 'x,0' is 'x'"),
        ("0.1i,-0.75", "the real part of"),
        ("hello", "'hello' is no point; write RE,IM, such as -0.75,0.1"),
        ("", "'' is no point"),
        ("1 2 3", "is one number"),
        ("0.1 0.2 0.3", "is no point"),
        ("nan,0", "the real part"),
        ("1_0,0", "the real part"),
        ("0x1,0", "the real part"),
        ("1e5e5,0", "the real part"),
    ],
)
def test_others_are_told_what_to_change(text, says):
    with pytest.raises(PayloadError) as raised:
        pasted.point(text)
    assert raised.value.code == "BAD_NUMBER" and says in raised.value.message


DIGITS = st.text("0123456789", min_size=1, max_size=60)
NUMBERS = st.builds(
    lambda sign, whole, fraction, exponent: f"{sign}{whole}.{fraction}{exponent}",
    st.sampled_from(["", "-"]),
    DIGITS,
    DIGITS,
    st.one_of(st.just(""), st.integers(-5000, 5000).map(lambda e: f"e{e}")),
)
MANGLED = st.sampled_from(
    [
        "{re},{im}",
        "({re}, {im})",
        "{re}; {im}i",
        "{re} {plus}{im}i",
        "{re}\n{im}",
        "Re: {re}\nIm: {im}",
        "{re} , {im} * i",
        "{re}{plus}{im}j",
    ]
)


@given(NUMBERS, NUMBERS, MANGLED, st.booleans())
def test_no_digit_is_lost(re_, im, shape, typographic):
    text = shape.format(re=re_, im=im, plus="" if im.startswith("-") else "+")
    if typographic:
        text = text.replace("-", "\u2212")
    assert pasted.point(text) == f"{re_},{im}"


@given(DIGITS.map(lambda d: "-1." + d * 60), st.lists(st.integers(3, 3000), min_size=1, max_size=9))
def test_a_wrapped_number_is_put_together(number, cuts):
    pieces = [number[a:b] for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), None])]
    assert pasted.point("\n".join(filter(None, pieces)) + ",0.5") == f"{number},0.5"


@given(st.text(max_size=40))
def test_whatever_is_pasted_gives_a_point_or_a_sentence(text):
    try:
        re_, im = pasted.point(text).split(",")
        assert float(re_) is not None and float(im) is not None
    except PayloadError as error:
        assert error.code == "BAD_NUMBER" and error.message


def test_numbers_of_fields():
    asked = tidied({"end_delta": "1e\u221230", "start_delta": "+2.5", "rotation": " 7 ", "point": "0,0"})
    assert asked == {"end_delta": "1e-30", "start_delta": "2.5", "rotation": "7", "point": "0,0"}
    assert tidied({"end_delta": "deep", "fps": Number("25"), "point": 5}) == {
        "end_delta": "deep",
        "fps": Number("25"),
        "point": 5,
    }


def test_strings_of_json_may_be_wrapped():
    text = '{"point": "-0.7\n   5,0.\\\n1", "palette": "a \\" b"}'
    assert json.loads(joined(text)) == {"point": "-0.75,0.1", "palette": 'a " b'}
    assert joined('{\n"a": 1\n}') == '{\n"a": 1\n}'
    assert joined('{"a": "not closed\n') == '{"a": "not closed\n'

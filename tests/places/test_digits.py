"""Every digit of a point arrives, to the deepest places; scales keep 40."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mandel.places.numbers import middle
from mandel.places.read import found_in

DIGITS = st.builds(
    lambda digits, n: digits * n, st.text("0123456789", min_size=1, max_size=50), st.integers(1, 120)
)
COORDINATES = st.builds(lambda sign, digits: f"{sign}1.{digits}", st.sampled_from(["", "-"]), DIGITS)
# A zoom: digits and an exponent.
ZOOMS = st.tuples(st.integers(1, 10**12), st.integers(-3, 5000))

TEMPLATES = {
    "a.kfr": "Re: {re}\r\nIm: {im}\r\nZoom: {zoom}\r\n",
    "a.f3.toml": 'program = "fraktaler-3"\nlocation.real = "{re}"\nlocation.imag = "{im}"\nlocation.zoom = "{zoom}"\n',
    "wrapped.f3.toml": 'program = "fraktaler-3"\nlocation.real = """\n{re_wrapped}"""\nlocation.imag = "{im}"\n'
    'location.zoom = "{zoom}"\n',
    "a.toml": 'real = "{re}"\nimag = "{im}"\nzoom = "{zoom}"\n',
    "numbers.toml": "real = {re}\nimag = {im}\nzoom = {zoom}\n",
    "a.ini": "[location]\nreal = {re}\nimag = {im}\nzoom = {zoom}\n",
    "a.par": "A {{ center-mag={re_wrapped_par}/{im}/{zoom} }}",
    "a.upr": "A {{\nfractal:\nmapping:\n  center={re_wrapped_par}/{im} magn={zoom}\nformula:\n  "
    'filename="Standard.ufm" entry="Mandelbrot"\n}}',
    "a.xpf": "(initstate)\n(view {re} {im} {width} {width})",
}
# Height of a picture at zoom 1.
HEIGHTS = {"a.par": 2, "a.upr": 3, "a.xpf": 1}


@pytest.mark.parametrize("name", TEMPLATES)
@settings(max_examples=25, deadline=None)
@given(re_=COORDINATES, im=COORDINATES, zoom=ZOOMS)
def test_points_and_zooms_round_trip(name, re_, im, zoom):
    lines = [re_[i : i + 68] for i in range(0, len(re_), 68)]
    text = TEMPLATES[name].format(
        re=re_,
        im=im,
        zoom=f"{zoom[0]}e{zoom[1]}",
        width=f"{zoom[0]}e-{zoom[1]}" if zoom[1] >= 0 else f"{zoom[0]}e{-zoom[1]}",
        re_wrapped="\\\n".join(lines) + "\\\n",
        re_wrapped_par="\\\n     ".join(lines),
    )
    place = found_in(text, name.removeprefix("wrapped").removeprefix("numbers")).place
    assert (place.re, place.im) == (re_, im)
    scale = Fraction(zoom[0]) * Fraction(10) ** zoom[1]
    height = Fraction(zoom[0]) / Fraction(10) ** zoom[1] if name == "a.xpf" else HEIGHTS.get(name, 4) / scale
    if place.between_centres:
        height *= Fraction(720, 719)
    mantissa, _, exponent = place.delta(1280, 720).partition("E")
    delta = Fraction(mantissa) * Fraction(10) ** int(exponent or 0)
    assert abs(delta / height - 1) < Fraction(1, 10**38)


@settings(max_examples=50, deadline=None)
@given(COORDINATES, COORDINATES)
def test_the_middle_is_exact(a, b):
    a, b = a[:4000], b[:4000]  # Python's int takes no more digits
    half = middle(a, b)
    mantissa, _, exponent = half.partition("E")
    value = Fraction(mantissa) * Fraction(10) ** int(exponent or 0)
    assert 2 * value == Fraction(a) + Fraction(b)


def test_a_box_at_1e_5000():
    digits = "0." + "123456789" * 555 + "0" * 5
    text = f"A {{ type=mandel corners=-{digits}1/-{digits}0/{digits}2/{digits}275 }}"
    place = found_in(text, "a.par").place
    assert place.re == f"-{digits}05" and place.im == f"{digits}2375"
    assert place.delta(640, 480) == "7.5E-5002"

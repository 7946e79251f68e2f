"""The squares from which colours are learned: the same for all who come to a place, and nearly so for neighbours."""

from decimal import Decimal
from fractions import Fraction

import pytest

from mandel.plan import colour_views as colour_views_module
from mandel.plan.arithmetic import DIRECT, PERTURBED, arithmetic
from mandel.plan.colour_views import STEP, WHOLE_SET, Square, colour_views, squares
from mandel.plan.view import View

RE, IM = "-0.74364388703715870475219150611477", "0.13182590420531197049313205638514"
POINT = Fraction(Decimal(RE)), Fraction(Decimal(IM))


def about(depth, re=POINT[0], im=POINT[1]):
    return [square for square, _ in squares([(re, im, depth)])]


def test_deeper_squares_come_at_the_end():
    shallow, deep = about(20.7), about(41)
    assert [square.octave for square in shallow] == [*range(0, 20, STEP), 20]
    assert deep[: len(shallow)] == shallow and deep[-1].octave == 41
    assert about(-1.3) == [] and [square.octave for square in about(0)] == [0]
    assert len(about(3322)) < 370 and about(3322)[-1].octave == 3322


def test_each_square_holds_the_point_in_its_middle_part():
    for square in about(90):
        off = square.offset(*POINT)
        assert abs(off.real) <= 1 / 8 and abs(off.imag) <= 1 / 8


def test_neighbours_share_all_squares_but_the_smallest():
    """A step of half a view, at a depth of 40 octaves, in any direction."""
    for dx, dy in ((1, 0), (0, -1), (-1, 1)):
        moved = about(40, POINT[0] + Fraction(dx, 2**41), POINT[1] + Fraction(dy, 2**41))
        assert moved[:-3] == about(40)[:-3]


@pytest.mark.parametrize("octave", [4, 70])
def test_a_square_is_the_same_view_about_any_point(octave):
    """A shallow one about its own centre, so its samples are the same to the last bit; a deep one about the point."""
    square, near = Square.about(octave, *POINT), (RE[:-1], IM[:-1])
    views = [square.view(RE, IM), square.view(*near)]
    centres = []
    for view in views:
        side = Fraction(Decimal(view.delta))
        assert abs(side * 2**octave - 1) < Fraction(1, 10**38)
        centres.append([
            Fraction(Decimal(view.re)) + Fraction(view.shift.real) * side,
            Fraction(Decimal(view.im)) + Fraction(view.shift.imag) * side,
        ])  # fmt: skip
        for at, whole in zip(centres[-1], (square.x, square.y), strict=True):
            assert abs(at - Fraction(whole, 4) * side) <= side * Fraction(1, 2**50)
    assert (views[0] == views[1]) == (octave == 4)


def test_squares_of_great_depths_are_told_without_their_own_digits(monkeypatch):
    """At 1e-4800 their centres alone took 7 s, each time that a view moved, and all tiles waited."""
    shallow = [
        square.octave for square in about(90) if arithmetic(square.view("0", "0").grid()).engine == DIRECT
    ]
    assert max(shallow) < colour_views_module._DIRECT
    monkeypatch.setattr(colour_views_module, "dyadic", lambda *_: pytest.fail("it takes long"))
    for at in ("0", "2"):
        view = Square.about(colour_views_module._DIRECT + 1, Fraction(at), Fraction(at)).view(at, at)
        assert (view.re, view.shift) == (at, 0) and arithmetic(view.grid()).engine == PERTURBED


def test_squares_of_great_depths_take_few_divisions():
    """One for each square took seconds of the driver's loop, and all jobs waited."""
    digits = Fraction(7 * (10**9_000 - 1), 9 * 10**9_000)
    colour_views_module._whole.cache_clear()
    found = squares([(-digits, digits / 3, 30_000.0)])
    assert len(found) > 500
    for square, _ in found[::50]:
        square.offset(-digits, digits / 3)
    assert colour_views_module._whole.cache_info().misses < 100


def test_places_share_squares():
    other = (RE[:12], IM[:12], "1e-6")
    both = colour_views([(RE, IM, "1e-9"), other])
    assert both[0] == (WHOLE_SET, 0) and all(isinstance(view, View) for view, _ in both)
    assert [pair for pair in both if pair[1] == 0] == colour_views([(RE, IM, "1e-9")])
    assert len(both) < len(colour_views([(RE, IM, "1e-9")])) + 3  # the second has its last one to itself

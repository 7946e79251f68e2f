"""Blocks and their radii against iterating step by step."""

import itertools

import numpy as np
import pytest

from mandel.plan import bla
from mandel.plan.bla import levels
from mandel.plan.bla_table import NEVER, _reach, bla_table, first_block, first_blocks
from mandel.plan.reference import reference_orbit
from mandel.plan.scaled import Scaled

RE, IM = "-1.7687788000474986", "0.0017388996616"


@pytest.fixture(scope="module")
def reference():
    return reference_orbit(RE, IM, 128, 400)


def stepped(reference, m, length, z, c):
    big = np.clongdouble
    orbit = reference.re.astype(big) + 1j * reference.im.astype(big)
    z, c = big(z), big(c)
    for k in range(length):
        z = (2 * orbit[m + k] + z) * z + c
    return z


def test_blocks_are_right_up_to_their_radius(reference):
    last = reference.end(2.0)
    c = 2.0**-60 * (0.6 - 0.7j)
    checked = 0
    for k, level in enumerate(levels(reference, last, -59)):
        radius = level.radius.at(0)
        for j in np.flatnonzero(radius > 2.0**-50):
            for direction in (1, 1j, -0.8 + 0.6j):
                z = 0.99 * radius[j] * direction / abs(direction)
                a, b, d = (part.at(0)[j] for part in (level.a, level.b, level.d))
                got, want = (a + d * z) * z + b * c, stepped(reference, 1 + (int(j) << k), 1 << k, z, c)
                assert abs(got - want) <= 2.0**-39 * (1 << k) * abs(a * z)
                checked += 1
    assert checked > 1_000


def test_radius_falls_with_the_level(reference):
    table = list(levels(reference, reference.last, -60))
    for lower, upper in itertools.pairwise(table):
        assert np.all(upper.radius.at(0) <= lower.radius.at(0)[: 2 * len(upper.a) : 2])


def test_the_layout_is_the_kernels_closed_form():
    for starts, tops in ((1, 1), (2, 2), (7, 3), (64, 7), (1_000, 10)):
        rows = first_blocks(starts, tops)
        assert rows.tolist() == [first_block(s, tops) for s in range(starts)]
        lengths = [tops] + [(s & -s).bit_length() for s in range(1, starts)]
        assert rows.tolist() == np.concatenate(([0], np.cumsum(lengths)[:-1])).tolist()


@pytest.mark.parametrize("deep", [False, True])
def test_table_rows(reference, deep):
    table, found = bla_table(reference, 400, -60, deep), list(levels(reference, 400, -60))
    for k, level in enumerate(found[table.low :]):
        for j in range(len(level.a)):
            row = first_block(j << k, table.tops) + k
            assert complex(*table.blocks[row, :2]) == level.a.at(0)[j]
            mantissa, exponent = np.frexp(level.radius.at(0)[j] ** 2)
            if mantissa == 0:
                assert table.reach[row] == NEVER
            else:
                assert abs(table.reach[row] / 4096 - (exponent - 1 + (2 * mantissa - 1))) < 1e-3
            if deep:
                exponents = table.deep_blocks[row, 6:].view(np.int32)
                assert complex(*table.deep_blocks[row, :2]) * 2.0 ** int(exponents[0]) == level.a.at(0)[j]


@pytest.mark.parametrize("steps", [1, 2, 3, 9])
def test_short_orbits_have_empty_tables(steps):
    reference = reference_orbit(RE, IM, 64, steps)
    table = bla_table(reference, steps, -60, True)
    assert len(table.reach) == len(table.blocks)


def test_a_reach_beyond_int32_is_never_taken_for_a_larger_one():
    radius = Scaled.of(np.array([1.0, 1.0, 1.0, 0.0]), np.array([-131_000, -300_000, -1_000_000, 0]))
    reach = _reach(radius)
    assert (np.abs(reach[0] + 131_000 * 8192) <= 8192) and (reach[1:] == NEVER).all()


def test_the_table_is_made_in_little_memory_and_in_pieces_like_the_whole(reference, monkeypatch):
    whole = bla_table(reference, 400, -60, True)
    monkeypatch.setattr(bla, "_PIECE", 64)
    pieces = bla_table(reference, 400, -60, True)
    for name in ("blocks", "reach", "deep_blocks", "deep_reach"):
        assert np.array_equal(getattr(whole, name).view(np.int32), getattr(pieces, name).view(np.int32))

"""Palettes close without a seam, looks keep their promises, and light is converted exactly."""

import numpy as np
import pytest

from mandel.colour import palette_table, palettes, transfer
from mandel.colour.style import ColourStyle
from mandel.errors import PayloadError
from tests.support import colour_oracle


@pytest.mark.parametrize("name", palettes.NAMES)
def test_a_palette_is_smooth_closed_and_in_gamut(name):
    table = palette_table.colour_table(name)
    assert table.shape == (palette_table.SIZE, 3) and table.dtype == np.float32
    assert table.min() >= 0 and table.max() <= 1
    step = np.abs(transfer.encode_srgb(table) - transfer.encode_srgb(np.roll(table, 1, axis=0))).max(axis=1)
    assert step.max() < 1.5 / 255  # the table is fine enough to need no interpolation
    assert step[0] <= 1.1 * max(step[1], step[-1]) + 1e-6  # no seam where it closes


@pytest.mark.parametrize("name", palettes.NAMES)
def test_a_palette_has_light_and_dark_and_passes_its_control_colours(name):
    table = palette_table.colour_table(name)
    luma = table @ [0.2126, 0.7152, 0.0722]
    assert luma.min() < 0.05 and luma.max() > 0.5
    for at, colour in palettes.RINGS[name]:
        near = transfer.encode_srgb(table[int(at * palette_table.SIZE)]) * 255
        assert np.abs(near - list(bytes.fromhex(colour))).max() < 2


def test_an_own_palette_is_a_ring_like_the_named_ones():
    ring = palettes.RINGS["silver"]
    text = ",".join(f"{place}:{colour}" for place, colour in ring)
    assert np.array_equal(palette_table.colour_table(text), palette_table.colour_table("silver"))
    even = palette_table.colour_table("000000,ff0000,00ff00,0000ff")
    for k, colour in enumerate([(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)]):
        near = transfer.encode_srgb(even[k * palette_table.SIZE // 4]) * 255
        assert np.abs(near - colour).max() < 3


def test_tables_cannot_be_changed_by_mistake():
    with pytest.raises(ValueError):
        palette_table.colour_table(palettes.DEFAULT)[0] = 1


@pytest.mark.parametrize(
    "wrong, code",
    [
        ({"palette": "no such"}, "UNKNOWN_PALETTE"),
        ({"palette": "102030"}, "UNKNOWN_PALETTE"),
        ({"density": 0.0}, "OUT_OF_RANGE"),
        ({"density": float("nan")}, "OUT_OF_RANGE"),
        ({"offset": float("inf")}, "OUT_OF_RANGE"),
        ({"relief": 1.5}, "OUT_OF_RANGE"),
        ({"edge": -1.0}, "OUT_OF_RANGE"),
    ],
)
def test_bad_looks_are_refused(wrong, code):
    with pytest.raises(PayloadError) as caught:
        ColourStyle(**wrong)
    assert caught.value.code == code
    assert caught.value.field == next(iter(wrong))


def test_looks_ask_only_for_what_they_use():
    assert not ColourStyle().needs_slope and not ColourStyle().needs_distance
    assert ColourStyle(relief=0.5).needs_slope and ColourStyle(edge=1).needs_distance


def test_a_colour_depends_on_the_sample_alone():
    """The same smooth count has the same colour whatever else is in the frame, and whatever maxiter is."""
    count = np.array([[7, 300, 1001]], np.int32)
    frac = np.array([[0.25, 0.5, 0.0]], np.float32)
    several = colour_oracle.linear(ColourStyle(), count, frac, 1000)
    alone = colour_oracle.linear(ColourStyle(), count[:, 1:2], frac[:, 1:2], 60_000)
    assert np.array_equal(several[:, 1], alone[:, 0])
    assert not several[:, 2].any()


def test_colours_run_on_where_the_count_steps():
    """count n with frac 1 is count n + 1 with frac 0."""
    count = np.arange(1, 2000, dtype=np.int32)[None]
    one, zero = np.ones(count.shape, np.float32), np.zeros(count.shape, np.float32)
    a = colour_oracle.linear(ColourStyle(), count, one, 10**6)
    b = colour_oracle.linear(ColourStyle(), count + 1, zero, 10**6)
    assert np.array_equal(a, b)


def test_transfer_is_its_own_inverse():
    v = np.linspace(0, 1, 4097)
    assert np.allclose(transfer.decode_srgb(transfer.encode_srgb(v)), v, atol=1e-7)


def test_known_values_of_srgb():
    known = {0: 0, 0.0031308: 0.04045, 0.2140411: 0.5, 0.5: 0.7353570, 1: 1}
    assert np.allclose(transfer.encode_srgb(list(known)), list(known.values()), atol=1e-5)

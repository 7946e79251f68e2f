"""The table of measured speeds: kept, found again, never trusted blindly."""

from __future__ import annotations

import pytest

from mandel.device import tuning
from mandel.device.context import device_context
from mandel.render import tune
from mandel.render.direct import TUNING, VARIANTS, DirectIterator, default_variant

FILES = ("direct.cl", "direct_tiles.cl")


@pytest.fixture
def device(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return device_context("cpu").device


def test_best_of_what_was_kept(device, tmp_path):
    assert tuning.best(device, TUNING, FILES) is None
    path = tuning.keep(device, TUNING, FILES, {"scalar": 1.0, "8 lanes x 2": 3.0})
    assert path.is_relative_to(tmp_path)
    assert tuning.best(device, TUNING, FILES) == "8 lanes x 2"
    assert DirectIterator(device_context("cpu")).variant.name == "8 lanes x 2"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"speeds": 3}', '{"speeds": {"a": null}}'])
def test_a_damaged_table_is_no_table(device, text):
    tuning.keep(device, TUNING, FILES, {"scalar": 1.0}).write_text(text)
    assert tuning.best(device, TUNING, FILES) is None


def test_an_unknown_variant_means_the_default(device):
    tuning.keep(device, TUNING, FILES, {"of another version": 9.0})
    ctx = device_context("cpu")
    assert DirectIterator(ctx).variant.name == default_variant(ctx)


def test_tune_measures_and_keeps(device, monkeypatch):
    few = {name: VARIANTS[name] for name in ("scalar", "8 lanes x 4", "16 lanes x 2")}
    monkeypatch.setattr(tune, "VARIANTS", few)
    speeds = tune.tune(device_context("cpu"), side=32, repeats=1)
    assert set(speeds) == set(few) and all(v > 0 for v in speeds.values())
    assert tuning.table(device, TUNING, FILES) == speeds

"""A minute of the sweep: the same views each time, of every kind, and those that found something once."""

import os

import pytest

from tests.sweep.picture_checks import ZOOM
from tests.sweep.sweep import sweep
from tests.sweep.views import KINDS

VIEWS = {kind: range(32) for kind in KINDS} | {
    "large": range(3),
    "island": range(5),
    ZOOM: range(9),
    "minibrot": range(60),
    "tip": range(44),
    "nucleus": range(40),
}
# Wrong before: lanes of one exponent, a reference of a deeper frame, derivatives beyond
# double's range, or in units that had changed; |z| beside 2 where Z is not, and a centre's own derivative.
FOUND = [
    ("minibrot", 631300829), ("minibrot", 793625122), ("minibrot", 195634722), ("minibrot", 724223642),
    ("minibrot", 228116175), ("minibrot", 325739463), ("nucleus", 67760436), ("axis", 494931586), ("tip", 469727620),
    ("minibrot", 374217922), ("minibrot", 871688355), ("minibrot", 550809377), ("tip", 215800691), ("axis", 173354647),
    ("tip", 709413238), ("tip", 627861819), ("minibrot", 486343554),
    ("minibrot", 514463026), ("minibrot", 437325354), ("axis", 388950646), ("cusp", 393393147), ("tip", 161721102),
    ("tip", 427005466), ("tip", 223250759),
]  # fmt: skip


@pytest.fixture(scope="module")
def tally():
    work = [(kind, seed) for kind, seeds in VIEWS.items() for seed in seeds] + FOUND
    return sweep(work, jobs=min(2, os.cpu_count() or 1))


@pytest.mark.parametrize("kind", VIEWS)
def test_no_sample_is_wrong(tally, kind):
    failures = [
        f"{check}: {words}\n{command}"
        for command, check, words in tally.failures
        if f"--view {kind}:" in command
    ]
    assert not failures, "\n".join(failures)
    assert any(row.samples for (of, _), row in tally.rows.items() if of == kind)


# At least so many samples, so that none of this stands idle.
@pytest.mark.parametrize("check, samples", [
    ("variants", 100_000), ("bands", 10_000), ("cut otherwise", 5_000), ("listed places", 5_000),
    ("with derivative", 10_000), ("mirror image", 10_000), ("double count", 10_000), ("double fraction", 10_000),
    ("double distance", 30),
    ("double slope", 30), ("exact count", 1_000), ("exact fraction", 500), ("exact distance", 200),
    ("exact slope", 200),
    ("deeper reference", 10_000), ("another centre", 10_000), ("rendered before", 10_000), ("neighbours", 10_000),
    ("lanes", 10_000), ("ranges", 100_000), ("pictures in bands", 1_000), ("painted as made", 1_000),
    ("pictures rendered before", 1_000), ("mirrored pictures", 1_000), ("adaptive pixels", 500),
    ("zooms about the deepest reference", 1_000), ("zoom out as in", 1_000), ("shared zooms", 1_000),
])  # fmt: skip
def test_every_check_compares(tally, check, samples):
    assert sum(row.samples for (_, of), row in tally.rows.items() if of == check) >= samples


def test_it_goes_deep(tally):
    assert max(row.deepest for (_, check), row in tally.rows.items() if check == "exact count") > 1_500


def test_double_is_as_good_as_it_can_be(tally):
    """Of all samples of direct views few differ from long double, whether rounding explains them or not."""
    rows = [row for (_, check), row in tally.rows.items() if check == "long double, share"]
    assert sum(row.near for row in rows) < 0.005 * sum(row.samples for row in rows)

"""Random deep views against direct iteration in arbitrary precision."""

import math
import random
from decimal import Decimal

import numpy as np
import pytest

from mandel.device.context import device_context
from mandel.plan.nucleus import locate
from mandel.plan.view import View
from mandel.render.perturbed import PerturbedIterator
from mandel.render.samples import Outputs
from tests.support import exact

# Nearer to the set than this part of a pixel a count is beyond any double renderer.
WELL_CONDITIONED = 2.0**-12


@pytest.fixture(scope="module")
def iterator():
    return PerturbedIterator(device_context())


def assert_exact(iterator, view, maxiter):
    grid, size = view.grid(), (view.height, view.width)
    samples = iterator.iterate(grid, maxiter, 2.0, Outputs(distance=True))
    got = iterator.ctx.download(samples.count, np.empty(size, np.int32))
    distance = iterator.ctx.download(samples.distance, np.empty(size, np.float32))
    alone = iterator.iterate(grid, maxiter, 2.0)
    want = exact.counts(grid, maxiter)
    sure = (distance > WELL_CONDITIONED) | (want > maxiter)
    assert np.array_equal(got[sure], want[sure]), view
    assert np.array_equal(iterator.ctx.download(alone.count, np.empty(size, np.int32))[sure], want[sure])
    # A sample that never leaves never counts as gone, one that leaves is not interior.
    assert np.array_equal(got > maxiter, want > maxiter)


def views_around(rng, nucleus, count):
    for _ in range(count):
        delta = 4 * nucleus.size ** Decimal(f"{rng.uniform(0.3, 1.1):.3f}")
        re = exact.shifted(nucleus.re, delta * Decimal(rng.uniform(-0.4, 0.4)))
        im = exact.shifted(nucleus.im, delta * Decimal(rng.uniform(-0.4, 0.4)))
        yield View(re, im, f"{delta:.20e}", 6, 4)


@pytest.mark.parametrize("seed", range(6))
def test_around_random_nuclei(iterator, seed):
    rng = random.Random(seed)
    nucleus = None
    while nucleus is None:
        nucleus = exact.random_nucleus(rng, rng.choice([4, 10, 20, 30]), max_period=4_000)
    for view in views_around(rng, nucleus, 3):
        assert_exact(iterator, view, 4 * nucleus.period + 500)


@pytest.mark.parametrize("tip", [("-2", "0"), ("0", "1")], ids=["-2", "i"])
@pytest.mark.parametrize("k", [20, 60, 130, 155, 270, 310, 450, 1_000])
def test_around_nuclei_near_misiurewicz_points(iterator, tip, k):
    """Of small period at any depth: plain, scaled and mixed steps, orbits along |Z| = 2."""
    rng = random.Random(k)
    radius, turn = Decimal(10) ** -k, rng.uniform(0, 2 * math.pi)
    nucleus = locate(
        exact.shifted(tip[0], radius * Decimal(math.cos(turn))),
        exact.shifted(tip[1], radius * Decimal(math.sin(turn))),
        f"{radius / 2:e}",
        20_000,
    )
    for view in views_around(rng, nucleus, 3):
        assert_exact(iterator, view, 4 * nucleus.period + 500)


@pytest.mark.parametrize(
    "re, im, delta, maxiter",
    [
        ("0", "0", "1e-20", 300),
        ("0", "0", "4", 300),
        ("-1", "0", "1e-400", 300),
        ("-2", "0", "1e-30", 300),
        ("0.25", "0", "1e-6", 8_000),
        ("-0.75", "0", "1e-3", 3_000),
        ("-0.1", "0.7", "0.2", 2_000),
        ("1", "1", "1e-10", 100),
        ("3", "0", "1e-20", 100),
        ("-1.4011551890", "0", "1e-9", 3_000),
        ("1e5", "-7", "1e-12", 100),
        ("-0.743", "0.126", "1e-3", 2_000),
        ("0.3", "0.6", "1e-40", 1_000),
    ],
)
def test_centres_of_every_kind(iterator, re, im, delta, maxiter):
    """0, on an axis, inside, on the boundary, escaping at once; few digits and wide views."""
    assert_exact(iterator, View(re, im, delta, 7, 5), maxiter)

"""maxiter "auto": what it leaves black along zooms, what it gives up, and what its search costs."""

import json
import random
from decimal import Decimal

import numpy as np
import pytest

from mandel.device.context import device_context
from mandel.driver.recipes.iteration_limits import IterationLimits
from mandel.payload.payload import parse
from mandel.plan.arithmetic import PERTURBED, arithmetic
from mandel.plan.precision import precision
from mandel.plan.reference import reference_orbit
from mandel.plan.view import View
from mandel.protocol.strict_json import loads
from mandel.render import iteration_limit
from mandel.render.frame import FrameRenderer
from mandel.render.perturbed import PerturbedIterator
from mandel.render.samples import Outputs
from tests.support import exact

SPIRAL = "-0.743643887037158704752191506114774,0.131825904205311970493132056385139"
SIDES = 160, 90


@pytest.fixture(scope="module")
def renderer():
    return FrameRenderer(device_context())


class Zoom:
    """The limits of a job, found as its tasks would find them."""

    def __init__(self, renderer, point, end, start="2.5", frames=200, **fields):
        sides = {"frame_width": SIDES[0], "frame_height": SIDES[1], "num_frames": frames}
        asked = {"point": point, "start_delta": start, "end_delta": end, **sides, **fields}
        self.payload = parse(loads(json.dumps(asked).encode()))
        self.renderer, self.limits, self.found, self._reference = (
            renderer,
            IterationLimits(self.payload),
            [],
            None,
        )
        for item in self.limits.needs(min(start, end, key=Decimal)):
            unit = self.limits.unit(item.index)
            reference = self.reference() if self.limits.is_deep(item.index) else None
            self.found.append(iteration_limit.view_limit(renderer, unit.view, reference))
            self.limits.learn(item.index, self.found[-1])

    def view(self, delta):
        return View(self.payload.re, self.payload.im, delta, *SIDES)

    def reference(self):
        """The orbit that the job shares."""
        if self._reference is None:
            deltas = self.payload.start_delta, self.payload.end_delta
            bits = max(precision(self.view(delta).grid()).bits for delta in deltas)
            unit = self.limits.reference(bits, self.payload.camera.deepest())
            self._reference = reference_orbit(
                unit.re, unit.im, unit.bits, unit.limit, None, unit.radius, unit.gives_up
            )
        return self._reference

    def counts(self, delta, limit, chosen):
        grid = self.view(delta).grid()
        if arithmetic(grid).engine == PERTURBED:
            self.renderer.keep_reference(self.payload.re, self.payload.im, self.reference())
        return self.renderer.counts(grid, limit, 2.0, chosen) if len(chosen) else np.zeros(0, np.int32)

    def falsely_black(self, delta, most=10**6):
        """Share of a frame that is black and escapes below 16 times its limit (or within ``most`` iterations)."""
        limit = self.limits.of(delta)
        black = np.flatnonzero(self.counts(delta, limit, np.arange(SIDES[0] * SIDES[1])) > limit)
        higher = max(min(16 * limit, most), 2 * limit)
        return np.count_nonzero(self.counts(delta, higher, black) <= higher) / (SIDES[0] * SIDES[1])


@pytest.mark.parametrize(
    "point, end, deltas",
    [
        ("-0.7436438870371587,0.1318259043", "1e-9", ["7.6e-8"]),
        (SPIRAL, "1e-13", ["1.2e-7", "9.2e-3"]),
        ("0.2501,0", "1e-6", ["4.4e-6"]),
        (
            "-0.743643924045045861108850245572917139,0.131825919933481765754159444460136346",
            "2e-10",
            ["7.5e-3"],
        ),
        ("-1.338238635,-0.057237059", "1e-4", ["4.2e-4"]),
    ],
    ids=["spiral", "deep spiral", "cusp", "period 897", "seed"],
)
def test_nothing_visible_is_black_between_key_views(renderer, point, end, deltas):
    """Frames of which 3 to 15 % were, when key views lay 16 octaves apart."""
    zoom = Zoom(renderer, point, end)
    between = [f"{2.5 * 2 ** -(octave + 0.5):.6e}" for octave in (3, 7, 10)]
    assert max(map(zoom.falsely_black, deltas + between)) < 0.01


@pytest.mark.parametrize(
    "point, end, most",
    [
        ("-0.5,0.3", "1e-6", 20_000),
        ("-1.36,0.005", "1e-5", 20_000),
        ("-0.125,0.649519052838329", "1e-6", 600_000),
        ("-1.401155189092050606,0", "1e-8", 2_000_000),
        ("-0.75,0", "1e-6", 500_000),
    ],
    ids=["cardioid", "bulb", "root of the 1/3 bulb", "Feigenbaum", "root of the 1/2 bulb"],
)
def test_interior_says_nothing_about_its_neighbours(renderer, point, end, most):
    """All but Feigenbaum's had 16 million where they end, and 390,000 to 16 million from half way on."""
    zoom = Zoom(renderer, point, end)
    assert zoom.limits.of(end) <= most
    assert zoom.limits.of("2.5") <= 5_000
    given_up = zoom.limits.given_up()
    assert given_up and all(limit.reason for _, limit in given_up)
    assert [delta for delta, _ in given_up] == sorted(
        (delta for delta, _ in given_up), key=Decimal, reverse=True
    )


def test_a_cusp_one_sample_wide_is_shown_where_the_zoom_goes(renderer):
    """Beside -0.75 at a height of 1e-5 all that escapes takes 314,000 iterations, and it is a hundredth of the view."""
    zoom = Zoom(renderer, "-0.75,1e-5", "1e-8")
    assert 314_200 < zoom.limits.of("1e-8") < 3_000_000
    middle = SIDES[0] * (SIDES[1] // 2) + np.arange(SIDES[0])
    counts = zoom.counts("1e-8", 400_000, middle)
    assert 0 < np.count_nonzero(counts <= 400_000) < 20


def test_in_and_out_are_the_same(renderer):
    one, other = (
        Zoom(renderer, "-0.7436438870371587,0.1318259043", *ends)
        for ends in (("1e-9", "2.5"), ("2.5", "1e-9"))
    )
    deltas = [f"{2.5 * 2.0**-octave:.6e}" for octave in range(31)]
    limits = [one.limits.of(delta) for delta in deltas]
    assert limits == [other.limits.of(delta) for delta in deltas] == sorted(limits)
    assert Zoom(renderer, "-0.7436438870371587,0.1318259043", "1e-9").limits.of("1e-9") == limits[-1]


def test_a_period_takes_the_limit_beyond_the_ceiling(renderer):
    """A minibrot of period 145: from 145 iterations on something may escape, most of it within some thousand."""
    view = View("-1.7490812690053707442832620219208639942586460813548838", "0", "5.414e-21", *SIDES)
    limit = iteration_limit.view_limit(renderer, view, first=10, ceiling=200)
    assert limit.resolved and 1_000 < limit.maxiter < 30_000
    counts = renderer.counts(view.grid(), 16 * limit.maxiter, 2.0, np.arange(SIDES[0] * SIDES[1]))
    black = counts > limit.maxiter
    assert np.count_nonzero(black & (counts <= 16 * limit.maxiter)) / counts.size < 0.01
    assert 0.05 < black.mean() < 0.2
    # The whole set's beginning, iterated directly, is given up: there is no period that asks for more.
    shallow = iteration_limit.view_limit(renderer, View("-0.5", "0", "2.5", *SIDES), first=2, ceiling=4)
    assert shallow.maxiter == 4 and not shallow.resolved


@pytest.mark.parametrize("seed", range(3))
def test_an_orbit_that_ends_at_its_return_gives_exact_counts(seed):
    """Whatever the limit, about nuclei and off them, in the view it was made for and in larger ones."""
    iterator, rng, nucleus = PerturbedIterator(device_context()), random.Random(seed), None
    while nucleus is None:
        nucleus = exact.random_nucleus(rng, rng.choice([4, 10, 20]), max_period=1_000)
    for power in (1.0, 0.75):
        delta = 4 * nucleus.size ** Decimal(power)
        re = exact.shifted(nucleus.re, delta * Decimal(rng.uniform(-0.4, 0.4)))
        im = exact.shifted(nucleus.im, delta * Decimal(rng.uniform(-0.4, 0.4)))
        bits = precision(View(re, im, f"{delta:.20e}", 6, 4).grid()).bits
        orbit = reference_orbit(re, im, bits, 10**6, radius=f"{delta:.20e}")
        assert orbit.complete and orbit.last <= 2 * nucleus.period
        for larger in (1, 64):
            grid, maxiter = View(re, im, f"{delta * larger:.20e}", 6, 4).grid(), 4 * nucleus.period + 500
            samples = iterator.iterate(grid, maxiter, 2.0, Outputs(distance=True), reference=orbit)
            got = iterator.ctx.download(samples.count, np.empty((4, 6), np.int32))
            distance = iterator.ctx.download(samples.distance, np.empty((4, 6), np.float32))
            want = exact.counts(grid, maxiter)
            sure = (distance > 2.0**-12) | (want > maxiter)
            assert np.array_equal(got[sure], want[sure])


@pytest.mark.parametrize("cols, rows", [(1, 1), (7, 5), (33, 21)])
@pytest.mark.parametrize("delta", ["1e-3", "1e-12"])
def test_chosen_samples_are_the_grids(renderer, cols, rows, delta):
    view = View(*SPIRAL.split(","), delta, cols, rows)
    whole = renderer.raw(view, 3_000, 2.0)[0].ravel()
    chosen = np.random.default_rng(1).permutation(cols * rows)[: max(cols * rows // 2, 1)]
    assert np.array_equal(renderer.counts(view.grid(), 3_000, 2.0, chosen), whole[chosen])


def test_low_counts_are_told_as_frames_have_them(renderer):
    """Half of the samples around the tip at -2 pass bailout 2 at once, and a frame's as late as the others."""
    view = View("-2", "0", "1e-6", 192, 108)
    for given in (None, 500):
        limit = iteration_limit.counts_of(renderer, view.grid(), given)
        counts, smooth = renderer.raw(view, 500)
        told, seen = np.array(limit.counts), smooth[counts <= 500]
        assert np.abs(told - np.quantile(seen, np.linspace(0, 1, len(told))))[1:-1].max() < 0.5


@pytest.mark.parametrize("given", [None, 500])
def test_a_shallow_grid_does_not_drive_out_a_deep_ones_orbit(renderer, monkeypatch, given):
    """A still gives the orbit of its place to all squares on the way; the picture would have computed it again."""
    monkeypatch.setattr(renderer, "keep_reference", lambda *_: pytest.fail("it needs no orbit"))
    shallow, deep = (View(*SPIRAL.split(","), delta, 24, 24) for delta in ("1e-3", "1e-12"))
    assert iteration_limit.counts_of(
        renderer, shallow.grid(), given, iteration_limit.view_reference(deep)
    ).counts

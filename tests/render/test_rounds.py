"""Long work in rounds: the same results wherever rounds end, and control between them."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

import mandel.render.perturbed as perturbed
from mandel.colour.curve import even_curve
from mandel.colour.style import ColourStyle
from mandel.device.context import DeviceContext, device_context
from mandel.plan.nucleus import locate
from mandel.plan.view import View
from mandel.render import rounds
from mandel.render.direct import VARIANTS, DirectIterator
from mandel.render.frame import FrameRenderer
from mandel.render.painter import Painter
from mandel.render.perturbed import PerturbedIterator
from mandel.render.rounds import Pace
from mandel.render.samples import Outputs, Samples
from tests.support import exact

SEAHORSES = "-0.743643887037158704752191506114774", "0.131825904205311970493132056385139"


class Fixed(Pace):
    """So many steps in every round."""

    def __init__(self, steps):
        super().__init__(1, steps)
        self.rounds = 0

    def budget(self, items):
        self.rounds += 1
        return self.steps

    def learn(self, items, budget, seconds):
        pass


class Enough(Exception):
    pass


class Ends(Fixed):
    """Interrupts before the third round, as a cancelled job does."""

    def budget(self, items):
        if self.rounds == 2:
            raise Enough
        return super().budget(items)


def fetched(ctx, samples):
    shape = samples.rows, samples.cols
    parts = [(samples.count, shape, np.int32), (samples.frac, shape, np.float32)]
    if samples.distance is not None:
        parts += [(samples.distance, shape, np.float32), (samples.slope, (*shape, 2), np.float32)]
    return [ctx.download(buffer, np.empty(size, kind)) for buffer, size, kind in parts]


def assert_rounds_change_nothing(ctx, make, grid, maxiter, outputs, budgets):
    want = fetched(ctx, make(None).iterate(grid, maxiter, 1000.0, outputs))
    for steps in budgets:
        pace = Fixed(steps)
        got = fetched(ctx, make(pace).iterate(grid, maxiter, 1000.0, outputs))
        assert all(np.array_equal(a, b) for a, b in zip(got, want, strict=True)), steps
        assert steps >= 50 or pace.rounds > 2


OUTPUTS = pytest.mark.parametrize(
    "outputs", [Outputs(), Outputs(distance=True, slope=True)], ids=["plain", "derivative"]
)


@OUTPUTS
@pytest.mark.parametrize("variant", VARIANTS)
def test_direct_rounds_change_nothing(variant, outputs):
    ctx = device_context("cpu")
    for point, delta, maxiter in ((SEAHORSES, "5e-6", 3_000), (("-1.25", "0.0001"), "3.6e-4", 20_000)):
        grid = View(*point, delta, 133, 47).grid()
        assert_rounds_change_nothing(
            ctx, lambda pace: DirectIterator(ctx, variant, pace=pace), grid, maxiter, outputs, (1, 7, 100)
        )


@OUTPUTS
@pytest.mark.parametrize("tile", [(4, 4), (1, 1)], ids=["lockstep", "one by one"])
def test_perturbed_rounds_change_nothing(monkeypatch, tile, outputs):
    monkeypatch.setattr(perturbed, "_CPU_TILE", tile)
    ctx, minibrot = (
        device_context("cpu"),
        locate("0.7e-170", exact.shifted("1", Decimal("0.7e-170")), "5e-171", 20_000),
    )
    views = [
        (minibrot.re, minibrot.im, minibrot.minibrot_delta, 100 * minibrot.period),
        (*SEAHORSES, "1e-7", 3_000),  # by the return map
        (*SEAHORSES, "1e-12", 3_000),
        ("-1.999999999999999999999999999", "-2e-989", "1e-300", 3_000),
    ]
    for re, im, delta, maxiter in views:
        grid = View(re, im, delta, 23, 15).grid()
        assert_rounds_change_nothing(
            ctx, lambda pace: PerturbedIterator(ctx, pace=pace), grid, maxiter, outputs, (3, 50, 1_000)
        )


@pytest.fixture
def as_gpu():
    """The program takes this device for a GPU."""
    ctx = DeviceContext(device_context("cpu").device)
    ctx.device = replace(ctx.device, kind="gpu")
    return ctx


@pytest.mark.parametrize("band_bytes", [None, 2 * 20 * 64 * 20])
@pytest.mark.parametrize(
    "style", [ColourStyle(), ColourStyle(relief=0.5, edge=0.5)], ids=["plain", "derivative"]
)
@pytest.mark.parametrize(
    "engine, make, delta",
    [
        ("direct", lambda ctx, pace: DirectIterator(ctx, "scalar", pace=pace), "2e-3"),
        ("perturbed", lambda ctx, pace: PerturbedIterator(ctx, pace=pace), "1e-12"),
    ],
)
def test_gpus_count_and_colour_after_each_round(monkeypatch, as_gpu, engine, make, delta, style, band_bytes):
    view, shaded = View(*SEAHORSES, delta, 64, 48), []
    shade = Painter.shade
    monkeypatch.setattr(Painter, "shade", lambda *a, **more: shaded.append(pace.rounds) or shade(*a, **more))
    made = []
    for pace in (Fixed(10_000_000), Fixed(20)):
        renderer = FrameRenderer(as_gpu, band_bytes)
        setattr(renderer, f"_{engine}", make(as_gpu, pace))
        made.append((renderer.picture(view, 3_000, 1000.0, style), renderer.reached))
    assert (made[0][0] == made[1][0]).all() and made[0][1] == made[1][1]
    assert made[0][0].std() > 10 and made[0][1].samples == 64 * 48
    bands = 1 if band_bytes is None else 3
    assert len(shaded) == pace.rounds + bands and pace.rounds > 2 * bands, "after each round"


def test_whatever_lies_where_samples_are_missing_is_coloured(as_gpu):
    """Fractions that are no numbers find an entry of the palette."""
    frac = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, 0.5, -0.0] * 8, np.float32)
    count = np.repeat(np.array([-(2**31), -1, 0, 1, 1000, 1001, 2**31 - 1, 77], np.int32), 8)
    samples = Samples(8, 8, 1000, as_gpu.upload(count), as_gpu.upload(frac))
    curve = even_curve([(1, 3, 9, 27, 300)])
    for style in (*(ColourStyle(mapping=name) for name in ("root", "linear", "log")),
                  ColourStyle(mapping="even", curve=curve)):  # fmt: skip
        for n in (1, 2):
            assert Painter(as_gpu).paint(samples, style, n).shape == (8 // n, 8 // n, 3)


def test_control_comes_back_whatever_is_asked():
    """Interior samples that nothing proves, at the largest limit: days of work."""
    ctx, most = device_context("cpu"), 2_000_000_000
    root = View("-0.125", "0.649519052838329", "1e-7", 64, 64).grid()
    for variant in VARIANTS:
        with pytest.raises(Enough):
            DirectIterator(ctx, variant, prove_interior=False, pace=Ends(10_000)).iterate(root, most, 1000.0)
    with pytest.raises(Enough):
        deep = View("-0.125", "0.649519052838329", "1e-14", 16, 16).grid()
        PerturbedIterator(ctx, pace=Ends(100)).iterate(deep, 100_000, 1000.0)
    ctx.queue.finish()


def test_rounds_are_used_where_work_may_be_long():
    ctx = device_context("cpu")
    assert not rounds.are_needed(ctx, 1000 * 1000, 1000)  # the seed's frames
    assert rounds.are_needed(ctx, 1000 * 1000, 100_000)
    assert rounds.are_needed(ctx, 1, 2_000_000_000)


def test_a_pace_is_learned_within_bounds():
    pace = Pace(parallel=2, steps=1000.0)
    assert pace.budget(1) == pace.budget(2) == 2 * pace.budget(4) == 400
    pace.learn(2, 400, 1e-9)
    assert pace.steps == 8000.0
    pace.learn(2, 400, 1e9)
    assert pace.steps == 1000.0
    assert Pace(2, 1e-9).budget(10**6) == 2  # rounds come to an end

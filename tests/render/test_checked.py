"""Every kernel under a build that tests each access to memory: no report, and the usual results.

CHECKED=long runs every variant with every geometry, paint and proof, and more sizes; MANDEL_DEVICE
names the device (``device.choose``). docs/design.md says what is tested and how.
"""

import itertools
import json
import os
import re
from dataclasses import replace
from decimal import Decimal
from functools import cache
from importlib import resources

import numpy as np
import pytest

from mandel import kernels
from mandel.colour.curve import even_curve
from mandel.colour.style import ColourStyle
from mandel.device.choose import choose
from mandel.device.context import DeviceContext
from mandel.driver.recipes.recipe import FRAME, VIDEO_BAILOUT, WorkItem
from mandel.driver.recipes.shared import STRIP
from mandel.kernels.contract import INDEXED, POLAR_GEOMETRY, ROTATED
from mandel.payload.payload import parse
from mandel.plan.axes import axes
from mandel.plan.grid import POLAR, Grid
from mandel.plan.picture import RGB, RGB10, YUV420
from mandel.plan.view import View
from mandel.protocol.strict_json import loads
from mandel.render import direct, perturbed
from mandel.render.coordinates import SampleCoordinates
from mandel.render.direct import VARIANTS, DirectIterator
from mandel.render.frame import FrameRenderer
from mandel.render.painter import Painter
from mandel.render.perturbed import PerturbedIterator
from mandel.render.raw_strip import RawStrip, RawStripWriter
from mandel.render.rounds import Pace
from mandel.render.samples import Outputs, Samples
from tests.support.checked import CheckedContext
from tests.support.zooms import Zoomed

LONG = os.environ.get("CHECKED") == "long"
DEVICE = choose(os.environ.get("MANDEL_DEVICE", "auto")).device
SEED = ("-1.338238635", "-0.057237059")
SEAHORSE = ("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139")
OUTPUTS = [Outputs(d, s) for d in (False, True) for s in (False, True)]
RAN = set()  # (file, kernel)


class Recording(CheckedContext):
    def kernel(self, file, name, defines=()):
        RAN.add((file, name))
        return super().kernel(file, name, defines)


@pytest.fixture(scope="module")
def contexts():
    """For a number of cores, None for all: a checked context and a usual one."""
    usual = DeviceContext(DEVICE)  # gives the same on any number of cores
    return cache(lambda cores: (Recording(DEVICE, cores), usual))


@pytest.fixture
def pair(request, contexts):
    return contexts(request.param)


@pytest.fixture
def one(contexts):
    """Of one core, where there is a choice: it gets the largest tiles."""
    return contexts(1)


def spread(names: str, cases, cores=(None,)):
    """Parametrizes by cases, on so many cores in turn: programs are built for each."""
    cases, names = list(cases), names.split()
    turns = itertools.product((None, 1), cases) if LONG else zip(itertools.cycle(cores), cases)
    return pytest.mark.parametrize(
        ",".join(["pair", *names]),
        [(cores, *(case if len(names) > 1 else [case])) for cores, case in turns],
        indirect=["pair"],
    )


def same(pair, scenario):
    """What a scenario gives in the usual build, which the checked one gives too; a list of arrays."""
    checked, usual = (scenario(ctx) for ctx in pair)
    assert len(checked) == len(usual) > 0
    for a, b in zip(checked, usual, strict=True):
        assert a.shape == b.shape
        assert a.tobytes() == b.tobytes()
    return usual


def raw(ctx, samples: Samples) -> list[np.ndarray]:
    shape, found = (samples.rows, samples.cols), []
    for buffer, dtype, lanes in (
        (samples.count, np.int32, ()),
        (samples.frac, np.float32, ()),
        (samples.distance, np.float32, ()),
        (samples.slope, np.float32, (2,)),
    ):
        if buffer is not None:
            found.append(ctx.download(buffer, np.empty(shape + lanes, dtype)))
    return found


def grid_of(point, delta, cols: int, rows: int, geometry: int) -> Grid:
    """A view's grid of a geometry; a listed one is listed later."""
    grid = View(*point, delta, cols, rows).grid()
    if geometry == ROTATED:
        return replace(grid, turn=0.6 + 0.8j)
    if geometry == POLAR_GEOMETRY:
        return Grid(*point, Decimal(delta), cols, rows, 3.0, 0.0, kind=POLAR, around=max(cols, 16))
    return grid


def listed(ctx, grid: Grid, relative: bool, width: int) -> SampleCoordinates:
    """The grid's samples as a list, in rows of a multiple of ``width``; the last one fills up."""
    table = axes(grid, relative)
    points = (table.across[None, :] + 1j * table.down[:, None]).ravel()
    cols = -(-grid.cols // width) * width
    rows = -(-points.size // cols)
    points = np.pad(points, (0, rows * cols - points.size), mode="edge")
    return SampleCoordinates(
        cols, rows, INDEXED, ctx.upload(points.real), ctx.upload(points.imag), table.spacing
    )


# ---- direct.cl, direct_tiles.cl ------------------------------------------------------------------

# No context is made here: it would be there before whatever tests fork.
VARIANTS_HERE = [name for name, variant in VARIANTS.items() if DEVICE.kind == "cpu" or variant.width == 1]
LIMITS = [(1, 2.0), (8, 1000.0), (17, 2.0), (40, 1e9), (300, 1000.0), (900, 77.7)]


def sizes(width: int):
    """(cols, rows) about the width of vectors, and such that tiles are just full, or not."""
    least = direct.MAX_TILE * 8 // width // 16  # vectors in the smallest tile
    few = [
        (1, 1),
        (1, 9),
        (9, 1),
        (2, 3),
        (width - 1 or 5, 3),
        (width, 2),
        (width + 1, 5),
        (3 * width - 1, 7),
    ]
    return [*few, (8 * width, least // 8), (8 * width, least // 8 + 1), (4 * width + 1, least // 4), (61, 43)]


def cases():
    """(variant, geometry, paint, proof, rounds): all of them, or each pair of them once or more."""
    every = itertools.product(enumerate(VARIANTS_HERE), range(4), range(3), (0, 1))
    for (k, name), geometry, paint, proof in every:
        if VARIANTS[name].width == 1 and paint:
            continue  # only tiles paint
        whole = VARIANTS[name].width > 1
        if LONG or (
            (paint == (k + geometry) % 3 if whole else k < 3 or geometry == k % 4) and proof == geometry % 2
        ):
            for rounds in (0, 1) if LONG else [(k + geometry // 2) % 2]:
                yield name, geometry, paint, proof, rounds


def seconds_per_item(rounds: int) -> Pace | None:
    """Rounds of few steps at first."""
    return Pace(parallel=2, steps=1000.0) if rounds else None


def iterator_of(ctx, name: str, rounds: int, proof: int = 1, paint: int = 0) -> DirectIterator:
    """The variant in its checked build; in the usual one another, which gives the same bits (test_direct.py)."""
    if isinstance(ctx, CheckedContext):
        return DirectIterator(ctx, name, bool(proof), seconds_per_item(rounds))
    return DirectIterator(ctx, direct.default_variant(ctx) if paint else "scalar")


@spread("name geometry paint proof rounds", cases(), (None, 1))
def test_direct(pair, name, geometry, paint, proof, rounds):
    width = VARIANTS[name].width

    def scenario(ctx):
        iterator, painter, found = iterator_of(ctx, name, rounds, proof, paint), Painter(ctx), []
        for (cols, rows), (maxiter, bailout) in zip(sizes(width), itertools.cycle(LIMITS)):
            for point, delta in ((SEED, "1e-2"), (("-0.7", "0.1"), "2.6"), (SEAHORSE, "5e-6"))[
                : 3 if LONG else 2
            ]:
                grid = grid_of(point, delta, cols, rows, geometry)
                place = listed(ctx, grid, False, width) if geometry == INDEXED else None
                shape = (place.rows, place.cols) if place else (rows, cols)
                if not paint:
                    found += raw(ctx, iterator.iterate(grid, maxiter, bailout, place=place))
                    continue
                canvas = painter.canvas(shape[1], shape[0], paint == 2)
                colour_target = painter.colour_target(ColourStyle(), canvas)
                iterator.paint(grid, maxiter, bailout, colour_target, place=place)
                if paint == 1:
                    found.append(ctx.download(canvas.buffer, np.empty(shape, np.uint32)))
                else:
                    found.append(painter.develop(canvas).copy())
        return found

    assert any(array.any() for array in same(pair, scenario))


@spread("k geometry rounds", [(k, (k + more) % 4, more) for k in range(4) for more in (0, 1)], (None, 1))
def test_direct_with_derivatives(pair, k, geometry, rounds):
    def scenario(ctx):
        iterator, found = DirectIterator(ctx, VARIANTS_HERE[0], pace=seconds_per_item(rounds)), []
        for (cols, rows), (maxiter, bailout) in zip(sizes(8), itertools.cycle(LIMITS)):
            grid = grid_of(SEED, "1e-2", cols, rows, geometry)
            place = listed(ctx, grid, False, 8) if geometry == INDEXED else None
            found += raw(ctx, iterator.iterate(grid, maxiter, bailout, OUTPUTS[k], place=place))
        return found

    same(pair, scenario)


@pytest.mark.parametrize("name", VARIANTS_HERE)
def test_many_late_escapes(one, name):
    """An ordinary zoom where most vectors leave many lanes behind, in tiles as large as there are."""

    def scenario(ctx):
        iterator = iterator_of(ctx, name, 0)
        return raw(ctx, iterator.iterate(View(*SEAHORSE, "5e-6", 640, 360).grid(), 3000, 1000.0))

    count, _ = same(one, scenario)
    assert np.count_nonzero(count > 1000) > 40_000


# Escape at about 785 and at 33: after the first look at what returns, and before.
LATE, EARLY = complex(-0.75, 0.004), complex(-0.75, 0.1)


@pytest.mark.parametrize(
    "left, rounds",
    [
        ("half", 0),
        ("half and one", 0),
        ("eleven of sixteen", 0),
        ("all but one", 0),
        ("all but one", 1),
        ("all", 1),
    ],
)
@pytest.mark.parametrize("name", [name for name in VARIANTS_HERE if VARIANTS[name].width > 1])
def test_every_vector_leaves_as_many_lanes_behind(one, name, left, rounds):
    """The fullest lists that there are: tiles are full, and in each vector the last lanes are through."""
    width = VARIANTS[name].width
    late = {
        "half": width // 2,
        "half and one": width // 2 + 1,
        "eleven of sixteen": width * 11 // 16,
        "all but one": width - 1,
        "all": width,
    }[left]
    vectors = 24 * direct.MAX_TILE * 8 // width
    points = np.tile(np.where(np.arange(width) < late, LATE, EARLY), vectors)

    def scenario(ctx):
        iterator = iterator_of(ctx, name, rounds)
        place = SampleCoordinates(
            width, vectors, INDEXED, ctx.upload(points.real), ctx.upload(points.imag), 1e-6
        )
        return raw(ctx, iterator.iterate(View(*SEED, "1", 1, 1).grid(), 900, 2.0, place=place))

    count, _ = same(one, scenario)
    assert count.min() == (33 if late < width else count.max()) and 700 < count.max() < 900


# ---- perturb.cl ----------------------------------------------------------------------------------

PLAIN = [
    (("-1.7490812690053707442832620219208639942586460813548838", "0"), "5.4e-21", 3000),
    (SEAHORSE, "1e-9", 2000),
]
DEEP = [
    (("-1.999999999999999999999999999", "0"), "1e-130", 1000),
    (("-2", "0"), "1e-275", 1000),
    (("0", "1"), "1e-400", 2000),
    (("-1", "1e-130"), "1e-140", 1200),
]


def perturbed_cases():
    """(tile, deep, geometry, outputs, rounds): all, or each geometry with some outputs."""
    tiles = [(1, 1)] if DEVICE.is_gpu else [(4, 4), (1, 1)]
    for (t, tile), deep, geometry, k in itertools.product(enumerate(tiles), (0, 1), range(4), range(4)):
        if LONG or k == (geometry + 2 * deep + t) % 4:
            for rounds in (0, 1) if LONG else [(geometry + deep + t) % 2]:
                yield tile, deep, geometry, k, rounds


@spread("tile deep geometry k rounds", perturbed_cases(), (None, 1))
def test_perturb(pair, monkeypatch, tile, deep, geometry, k, rounds):
    if not DEVICE.is_gpu:
        monkeypatch.setattr(perturbed, "_CPU_TILE", tile)

    def scenario(ctx):
        pace = seconds_per_item(rounds) if isinstance(ctx, CheckedContext) else None
        iterator, found = PerturbedIterator(ctx, pace=pace), []
        shapes = [(1, 1), (1, 5), (5, 1), (2, 3), (3, 4), (4, 4), (5, 9), (33, 18)]
        for (point, delta, maxiter), bailout in itertools.product(DEEP if deep else PLAIN, (2.0, 1000.0)):
            for cols, rows in shapes if bailout == 2 else shapes[2:7:2]:
                grid = grid_of(point, delta, cols, rows, geometry)
                place = listed(ctx, grid, True, 4) if geometry == INDEXED else None
                found += raw(ctx, iterator.iterate(grid, maxiter, bailout, OUTPUTS[k], place=place))
        return found

    found = same(pair, scenario)
    assert max(len(np.unique(array)) for array in found) > 5


# ---- colour.cl, points.cl, whole frames ----------------------------------------------------------

LOOKS = [
    ColourStyle(),
    ColourStyle(relief=0.7, relief_angle=30),
    ColourStyle(edge=1.5),
    ColourStyle(relief=1, edge=3),
    ColourStyle(mapping="linear"),
    ColourStyle(mapping="log"),
    ColourStyle(mapping="even", curve=even_curve([(1, 3, 9, 27, 300), (250, 300, 320, 400, 900)])),
]


class Painted:
    """Random samples, painted."""

    def __init__(self, rows: int, cols: int):
        rng = np.random.default_rng(rows * cols)
        self.size = rows, cols
        self.count = rng.integers(1, 1002, (rows, cols)).astype(np.int32)
        self.frac = (rng.random((rows, cols)) * 3 - 1).astype(np.float32)
        self.distance = (rng.random((rows, cols)) * 4).astype(np.float32)
        self.slope = rng.random((rows, cols, 2)).astype(np.float32)

    def samples(self, ctx) -> Samples:
        return Samples(*self.size, 1000, *map(ctx.upload, (self.count, self.frac, self.distance, self.slope)))


@spread("n", [1, 2, 3, 4])
def test_colour(pair, n):
    shapes = [(1, 1), (1, 15), (1, 16), (17, 1), (2, 2), (2, 8), (5, 7), (64, 64), (17, 241), (4, 2050)]

    def scenario(ctx):
        painter, found = Painter(ctx), []
        for rows, cols in shapes:
            made = Painted(rows * n, cols * n)
            for style in LOOKS if (rows, cols) in shapes[2:8:2] else LOOKS[:1]:
                for layout in (RGB, RGB10, YUV420) if rows % 2 == cols % 2 == 0 else (RGB, RGB10):
                    found.append(painter.paint(made.samples(ctx), style, n, layout).copy())
        return found

    same(pair, scenario)


@spread(
    "delta style",
    itertools.product(("0.05", "1e-25"), LOOKS) if LONG else [("0.05", LOOKS[0]), ("1e-25", LOOKS[3])],
)
def test_pictures(pair, delta, style):
    """In bands, with samples of listed pixels."""

    def scenario(ctx):
        found = []
        for width, height, turn in ((1, 1, 1), (2, 31, 1), (33, 2, 1j), (45, 30, 0.6 + 0.8j), (64, 48, 1)):
            view = View(*SEED, delta, width, height, turn)
            for n, adaptive, room in ((1, False, 5), (2, False, 3), (3, True, 1000), (2, True, 2)):
                renderer = FrameRenderer(ctx, band_bytes=2 * 36 * width * n * room)
                layout = YUV420 if adaptive and width % 2 == height % 2 == 0 else RGB
                found.append(renderer.picture(view, 300, 1000.0, style, n, layout, adaptive=adaptive).copy())
        return found

    same(pair, scenario)


# ---- strips --------------------------------------------------------------------------------------


class Kept(Zoomed):
    """Keeps its strips' raw samples and paints them anew."""

    repainted = ()

    def _make(self, item, unit, inputs):
        if item.kind != STRIP:
            return super()._make(item, unit, inputs)
        for reference in inputs:
            self.renderer.keep_reference(unit.re, unit.im, reference)
        paint, layout = self.strip_renderer.repaint, unit.layout
        writer = RawStripWriter(unit.maxiter, VIDEO_BAILOUT)
        strip = self.strip_renderer.render(
            layout, unit.blocks, unit.maxiter, VIDEO_BAILOUT, unit.style, writer
        )
        kept = RawStrip(writer.data())
        assert np.array_equal(paint(layout, layout.finest, kept, unit.style), strip)
        if layout.finest:  # samples coarser than the finest level: their colours are repeated
            finer = paint(replace(layout, finest=layout.finest - 1), layout.finest, kept, unit.style)
            self.repainted = [*self.repainted, finer]
        return strip


@spread(
    "fields",
    [
        {"frame_width": 48, "frame_height": 32, "end_delta": "0.3", "maxiter": 300},
        {"frame_width": 20, "frame_height": 62, "end_delta": "30", "rotation": "50", "maxiter": 100},
        {"frame_width": 2, "frame_height": 2, "end_delta": "0.7", "strip_density": "0.6", "maxiter": 50},
        {"frame_width": 24, "frame_height": 2, "end_delta": "1e-3", "strip_density": "3", "maxiter": 200},
        {"frame_width": 24, "frame_height": 16, "end_delta": "0.3", "maxiter": 300, "relief": 1, "edge": 2},
        {"frame_width": 16, "frame_height": 10, "start_delta": "1e-12", "end_delta": "1e-14", "maxiter": 900},
    ],
)
def test_strips(pair, fields):
    """Strips made, kept as raw samples, painted from those, and frames out of them."""
    fields = {"sampling": "shared", "point": ",".join(SEED), "start_delta": "1", "num_frames": 3} | fields
    payload = parse(loads(json.dumps(fields).encode()))

    def scenario(ctx):
        zoom = Kept(ctx, payload)
        return [zoom.make(WorkItem(FRAME, k)).copy() for k in range(3)] + [*zoom.repainted]

    same(pair, scenario)


# ---- the rest ------------------------------------------------------------------------------------


@spread("width", [1, 4, 8] if DEVICE.kind == "cpu" else [1])
def test_limit(pair, width):
    """What measures the hardware's limit."""

    def scenario(ctx):
        out = ctx.empty(8 * width * 5)
        kernel = ctx.kernel(
            str(resources.files(kernels).parents[1] / "benchmarks" / "kernels" / "limit.cl"),
            "limit",
            (("WIDTH", width), ("CHAINS", 2)),
        )
        kernel(ctx.queue, (5,), (1,), np.int32(20), np.float64(-0.1), out)
        return [ctx.download(out, np.empty((5, width)))]

    same(pair, scenario)


def test_every_kernel_ran(request):
    """Runs last: none is left out above."""
    chosen = [item for item in request.session.items if item.path == request.path]
    if len({item.originalname for item in chosen}) < len([n for n in globals() if n.startswith("test_")]):
        pytest.skip("only some of this file's tests were asked for")
    found = set()
    for file in resources.files(kernels).iterdir():
        if file.name.endswith(".cl"):
            names = re.findall(r"\b(?:__)?kernel\b[^{;]*?\bvoid\s+(\w+)\s*\(", file.read_text())
            assert names, file.name
            found |= {(file.name, name) for name in names}
    left_out = {("direct_tiles.cl", "direct_tiles")} if DEVICE.is_gpu else set()
    left_out |= {("colour.cl", name) for name in ("shade_run", "to_rgb_run")} if DEVICE.is_gpu else set()
    assert found - RAN == left_out

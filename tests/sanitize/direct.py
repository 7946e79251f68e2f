"""Scenarios of direct.cl and direct_tiles.cl: what to iterate, on any context."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache

import numpy as np

from mandel.colour.style import ColourStyle
from mandel.kernels.contract import INDEXED
from mandel.plan.grid import POLAR, Grid
from mandel.plan.view import View
from mandel.render.coordinates import SampleCoordinates
from mandel.render.direct import MAX_TILE, VARIANTS, DirectIterator
from mandel.render.painter import Painter
from mandel.render.rounds import Pace
from mandel.render.samples import Outputs

WIDE = tuple(name for name, v in VARIANTS.items() if v.width > 1)
SCALAR = tuple(name for name, v in VARIANTS.items() if v.width == 1)
GEOMETRIES = ("straight", "turned", "polar", "listed")

SEED = ("-1.338238635", "-0.057237059")
SEAHORSES = ("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139")
PERIOD_5 = ("-0.50434017544624", "0.56276576145298")  # a nucleus: interior about it
TURN = complex(0.6, 0.8)


class Budgets(Pace):
    """Rounds of few steps, now one, now more."""

    def __init__(self):
        super().__init__(1, 1.0)
        self.round = 0

    def budget(self, items: int) -> int:
        self.round += 1
        return (1, 7, 50, 3, 400)[self.round % 5]

    def learn(self, items: int, budget: int, seconds: float) -> None:
        pass


@dataclass(frozen=True)
class Case:
    """Samples to iterate; ``grid`` in the plane, straight."""

    name: str
    grid: Grid
    maxiter: int
    bailout: float = 1000.0


def _grid(point: tuple[str, str], delta: str, cols: int, rows: int) -> Grid:
    return View(*point, delta, cols, rows).grid()


def small_cases(width: int) -> list[Case]:
    """Awkward sizes, limits about the lengths of blocks, and the extremes of what a payload may ask for."""
    part = MAX_TILE * 8 // width // 16  # vectors in the least tile
    sizes = [
        (1, 1),
        (1, 37),
        (37, 1),
        (2, 2),
        (width - 1, 3),
        (width, 3),
        (width + 1, 3),
        (2 * width + 1, 5),
        (4 * width, part // 4),
        (4 * width, part // 2 + 1),
        (4 * width - 1, part // 2),
        (width, part),
        (width, part + 1),
        (3, 2 * part + 1),
    ]
    cases = [
        Case(
            f"{cols}x{rows}",
            _grid(SEED, "1e-4", cols, rows),
            400 + cols,
            (2.0, 1000.0, 1e9)[(cols + rows) % 3],
        )
        for cols, rows in sizes
    ]
    limits = (1, 2, 7, 8, 9, 15, 16, 17, 18, 23, 24, 25, 31, 32, 33, 40, 41, 56, 57, 1000)
    cases += [Case(f"home {n}", _grid(("-0.6", "0"), "3", 53, 31), n) for n in limits]
    cases += [Case(f"seahorses {n}", _grid(SEAHORSES, "1e-4", 67, 30), n, 2.0) for n in (24, 400, 1500)]
    cases += [
        Case("interior, greatest limit", _grid(PERIOD_5, "1e-3", 33, 9), 2_000_000_000),
        Case("far away", _grid(("1e6", "-1e6"), "1e6", 21, 5), 50, 1e9),
        Case("tip", _grid(("-2", "0"), "1e-6", 37, 5), 200, 2.0),
    ]
    return cases


def large_case() -> Case:
    """Full tiles with many late escapes: most vectors are given up half full."""
    return Case("seahorses 640x360", _grid(SEAHORSES, "5e-6", 640, 360), 3000)


def in_geometry(grid: Grid, geometry: str) -> Grid:
    """A grid of the same size and place in another geometry."""
    if geometry == "turned":
        return View(
            grid.re, grid.im, str(grid.scale * min(grid.cols, grid.rows)), grid.cols, grid.rows, TURN
        ).grid()
    if geometry == "polar":
        return Grid(
            grid.re,
            grid.im,
            grid.scale * max(grid.cols, 8),
            grid.cols,
            grid.rows,
            0.5,
            0.5,
            POLAR,
            around=max(grid.cols, 8),
        )
    return grid


def listed(ctx, case: Case, width: int) -> SampleCoordinates:
    """A case's samples as a list, filled up to whole rows with the last one, as ``ListedCoordinates`` does."""
    grid = case.grid
    y, x = np.mgrid[: grid.rows, : grid.cols]
    re = float(Decimal(grid.re)) + float(grid.scale) * (grid.x0 + x.ravel())
    im = float(Decimal(grid.im)) + float(grid.scale) * (grid.y0 - y.ravel())
    return place_of_points(ctx, re, im, width)


def place_of_points(ctx, re: np.ndarray, im: np.ndarray, width: int) -> SampleCoordinates:
    """Any points as a list, in rows of ``width``."""
    rows = -(-re.size // width)
    pad = (0, rows * width - re.size)
    across, down = (ctx.upload(np.pad(part, pad, mode="edge")) for part in (re, im))
    return SampleCoordinates(width, rows, INDEXED, across, down, 1e-3)


def raw(ctx, samples) -> dict[str, np.ndarray]:
    """A grid's raw samples on the host."""
    shape = samples.rows, samples.cols
    made = {
        "count": ctx.download(samples.count, np.empty(shape, np.int32)),
        "frac": ctx.download(samples.frac, np.empty(shape, np.float32)),
    }
    if samples.distance is not None:
        made["distance"] = ctx.download(samples.distance, np.empty(shape, np.float32))
    if samples.slope is not None:
        made["slope"] = ctx.download(samples.slope, np.empty((*shape, 2), np.float32))
    return made


def iterate(
    ctx,
    variant: str,
    cases: list[Case],
    geometry: str,
    proof: bool = True,
    outputs: Outputs = Outputs(),
    rounds: bool = False,
) -> dict[str, np.ndarray]:
    """Raw samples of some cases; in many rounds, if wanted."""
    iterator, made = DirectIterator(ctx, variant, proof, Budgets() if rounds else None), {}
    for case in cases:
        if (rounds or not proof) and case.maxiter > 10_000:
            continue
        if geometry == "listed":
            grid, place = case.grid, listed(ctx, case, 16)
        else:
            grid, place = in_geometry(case.grid, geometry), None
        samples = iterator.iterate(grid, case.maxiter, case.bailout, outputs, place)
        made |= {f"{case.name}, {geometry}: {key}": array for key, array in raw(ctx, samples).items()}
    return made


def paint(
    ctx, variant: str, cases: list[Case], geometry: str, rgb: bool, rounds: bool = False
) -> dict[str, np.ndarray]:
    """Samples painted as they are made, into a band that does not begin with the first row."""
    iterator, painter, made = (
        DirectIterator(ctx, variant, pace=Budgets() if rounds else None),
        Painter(ctx),
        {},
    )
    for case in cases:
        if rounds and case.maxiter > 10_000:
            continue
        grid = in_geometry(case.grid, geometry)
        canvas = painter.canvas(grid.cols, grid.rows, rgb)
        for first, rows in ((0, grid.rows // 2), (grid.rows // 2, grid.rows - grid.rows // 2)):
            if rows:
                colour_target = painter.colour_target(ColourStyle(), canvas, first)
                iterator.paint(grid.band(first, rows), case.maxiter, case.bailout, colour_target)
        made[f"{case.name}, {geometry}, {'rgb' if rgb else 'canvas'}: picture"] = painter.develop(canvas)
    return made


@cache
def _early_and_late() -> tuple[np.ndarray, np.ndarray]:
    """Points that leave the disc within 40 to 90 iterations, and some that do so within 400 to 900."""
    side = np.linspace(-0.01, 0.01, 120)
    c = (complex(*map(float, SEAHORSES)) + side[None, :] + 1j * side[:, None]).ravel()
    z, count = np.zeros_like(c), np.full(c.size, 10_000)
    with np.errstate(over="ignore", invalid="ignore"):
        for n in range(1, 900):
            z = z * z + c
            count[(count == 10_000) & ~(np.abs(z) <= 1000)] = n
    return c[(count >= 40) & (count < 90)], c[(count >= 400) & (count < 900)]


def one_tile(ctx, variant: str, pattern: str, width: int = 0) -> dict[str, np.ndarray]:
    """Full tiles of vectors of which a given number of lanes are left when the others are through.

    Args:
        pattern: where those are: ``first`` or ``last`` lanes, or ``any``.
        width: lanes of a vector; the variant's unless given.
    """
    width = width or VARIANTS[variant].width
    vectors = MAX_TILE * 8 // width
    early, late = _early_and_late()
    random, made = np.random.default_rng(11), {}
    ctx.cores, cores = Fraction(1, 24), ctx.cores  # makes a tile of all vectors, as large as there are
    try:
        for left in range(width + 1):
            points = random.choice(early, (vectors, width))
            lanes = np.broadcast_to(np.arange(width), points.shape)
            if pattern == "any":
                lanes = random.permuted(lanes, axis=1)
            chosen = lanes < left if pattern != "last" else lanes >= width - left
            points = np.where(chosen, random.choice(late, points.shape), points).ravel()
            place = place_of_points(ctx, points.real.copy(), points.imag.copy(), width)
            grid = _grid(SEAHORSES, "1e-2", place.cols, place.rows)
            samples = DirectIterator(ctx, variant).iterate(grid, 1000, 1000.0, place=place)
            made |= {f"{left} left: {key}": array for key, array in raw(ctx, samples).items()}
    finally:
        ctx.cores = cores
    return made

"""Grids iterated every way there is, on the host as arrays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mandel.device.choose import devices
from mandel.device.context import DeviceContext, device_context
from mandel.plan.grid import PLANE, Grid
from mandel.plan.reference import Reference
from mandel.render import perturbed
from mandel.render.coordinates import ListedCoordinates
from mandel.render.direct import DirectIterator
from mandel.render.painter import Pixels
from mandel.render.perturbed import PerturbedIterator
from mandel.render.samples import Outputs, Samples

ALL = Outputs(distance=True, slope=True)
PLAIN = Outputs()


@dataclass(frozen=True)
class Raw:
    """Samples on the host, flat; ``distance`` and ``slope`` (complex) may be None."""

    count: np.ndarray
    frac: np.ndarray
    distance: np.ndarray | None = None
    slope: np.ndarray | None = None

    def at(self, index) -> Raw:
        """Some of them, in another order perhaps."""
        return Raw(
            *(None if a is None else a[index] for a in (self.count, self.frac, self.distance, self.slope))
        )

    @staticmethod
    def joined(parts: list[Raw]) -> Raw:
        return Raw(
            *(
                None if of[0] is None else np.concatenate(of)
                for of in zip(*((p.count, p.frac, p.distance, p.slope) for p in parts), strict=True)
            )
        )


def fetched(ctx: DeviceContext, samples: Samples) -> Raw:
    """Samples brought to the host."""
    n = samples.rows * samples.cols

    def get(buffer, dtype, width=1):
        return None if buffer is None else ctx.download(buffer, np.empty(n * width, dtype))

    slope = get(samples.slope, np.float32, 2)
    return Raw(
        get(samples.count, np.int32),
        get(samples.frac, np.float32),
        get(samples.distance, np.float32),
        None if slope is None else slope[::2].astype(float) + 1j * slope[1::2],
    )


class Bench:
    """The devices of a sweep, and what is kept between views: contexts with their programs.

    Args:
        device: as ``mandel.device.choose`` takes it.
    """

    def __init__(self, device: str):
        self.ctx = device_context(device)
        self.is_cpu = self.ctx.device.kind == "cpu"

    @cached_property
    def one_core(self) -> DeviceContext | None:
        """One core of a CPU with several."""
        return DeviceContext(self.ctx.device, 1) if self.is_cpu and self.ctx.device.cores > 1 else None

    @cached_property
    def other(self) -> DeviceContext | None:
        """A CPU beside the GPU that is swept."""
        cpus = [] if self.is_cpu else [d for d in devices() if d.kind == "cpu" and d.usable]
        return DeviceContext(cpus[0]) if cpus else None

    def direct(
        self,
        grid: Grid,
        maxiter: int,
        bailout: float,
        variant: str | None = None,
        outputs: Outputs = PLAIN,
        proof: bool = True,
        ctx: DeviceContext | None = None,
        pixels: np.ndarray | None = None,
    ) -> Raw:
        """Direct iteration; ``pixels``: only these samples, listed."""
        ctx = ctx or self.ctx
        engine = DirectIterator(ctx, variant, proof)
        return _iterated(ctx, engine, grid, maxiter, bailout, outputs, pixels, relative=False)

    def perturbed(
        self,
        engine: PerturbedIterator,
        grid: Grid,
        maxiter: int,
        bailout: float,
        reference: Reference,
        outputs: Outputs = PLAIN,
        tile: tuple[int, int] | None = None,
        pixels: np.ndarray | None = None,
    ) -> Raw:
        """Perturbed iteration about ``reference``; ``tile``: samples in lockstep, columns x rows."""
        with _tiles(tile):
            return _iterated(
                engine.ctx,
                engine,
                grid,
                maxiter,
                bailout,
                outputs,
                pixels,
                relative=True,
                reference=reference,
            )


@contextmanager
def _tiles(tile: tuple[int, int] | None) -> Iterator[None]:
    """Work items of ``tile`` samples, whatever the device; None: as it is."""
    kept = perturbed._CPU_TILE, perturbed._GPU_TILE
    if tile is not None:
        perturbed._CPU_TILE = perturbed._GPU_TILE = tile
    try:
        yield
    finally:
        perturbed._CPU_TILE, perturbed._GPU_TILE = kept


def _iterated(ctx, engine, grid, maxiter, bailout, outputs, pixels, relative, **more) -> Raw:
    place = None
    if pixels is not None:
        listed = Pixels(len(pixels), ctx.upload(pixels.astype(np.int32)))
        places = ListedCoordinates(ctx, grid, 1, listed, relative)
        place = places.place(0, len(pixels), engine.list_width)
    raw = fetched(ctx, engine.iterate(grid, maxiter, bailout, outputs, place=place, **more))
    return raw if pixels is None else raw.at(slice(len(pixels)))


def piece(grid: Grid, col: int, row: int, cols: int, rows: int) -> Grid:
    """Some columns and rows of a grid, as a grid."""
    y0 = grid.y0 - row if grid.kind == PLANE else grid.y0 + row
    return replace(grid, cols=cols, rows=rows, x0=grid.x0 + col, y0=y0)


def mirrored(grid: Grid) -> tuple[Grid, np.ndarray]:
    """The grid of the complex conjugates, and the order of its samples that is ``grid``'s."""
    index = np.arange(grid.rows * grid.cols).reshape(grid.rows, grid.cols)
    im = grid.im[1:] if grid.im.startswith("-") else "-" + grid.im
    turn = grid.turn.conjugate()
    if grid.kind == PLANE:
        return replace(grid, im=im, turn=turn, y0=grid.rows - 1 - grid.y0), index[::-1].ravel()
    return replace(grid, im=im, turn=turn, x0=-(grid.x0 + grid.cols - 1)), index[:, ::-1].ravel()

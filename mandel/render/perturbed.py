"""Iteration by perturbation about a reference orbit, for views of any depth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, thread_time

import numpy as np

from mandel.device import machine
from mandel.device.context import Buffer, DeviceContext, Launch
from mandel.errors import RenderError
from mandel.kernels.contract import (
    PERTURBED_STATE,
    RETURN_COLUMNS,
    RETURN_DEGREE,
    SERIES_TERMS,
    START_LENGTH,
    STARTS,
)
from mandel.plan.bla_table import BlaTable, bla_table
from mandel.plan.grid import LOCKSTEP_COLS, LOCKSTEP_ROWS, PLANE, Grid
from mandel.plan.orbit_memory import OrbitRoom
from mandel.plan.precision import Precision, precision
from mandel.plan.reference import Reference, reference_orbit
from mandel.render.coordinates import SampleCoordinates, coordinates_of
from mandel.render.direct import check_limits
from mandel.render.rounds import Pace, Rounds
from mandel.render.samples import Outputs, Samples
from mandel.render.tally import Tally, following

# Columns x rows of the samples that are iterated in lockstep.
_CPU_TILE, _GPU_TILE = (LOCKSTEP_COLS, LOCKSTEP_ROWS), (1, 1)
# The samples of a warp are neighbours, so that they mostly take the same steps.
_GPU_GROUP = (8, 4)
# Some runtimes keep the private memory of a whole group on a thread's stack, some kilobytes an item: few items.
_CPU_GROUP = 4, 1
# Work items that share the terms of the series with which all samples begin.
_CPU_SERIES_GROUP, _GPU_SERIES_GROUP = 1, SERIES_TERMS
# Steps that all samples may have in common: some 50 ms.
_MOST_COMMON_STEPS = 1 << 16

# Where the reference may come near 0 for the return map: later, its walk would take more than some milliseconds.
_DIPS = range(24, 1024)
_LEAST_RETURN = 64  # iterations of a map; fewer would save less than its coefficients cost
_LEAST_RETURN_UNIT = -64  # log2 of the largest |c| of views that have a map
_RETURN_LENGTH = 3 + (RETURN_DEGREE + 1) * RETURN_COLUMNS
_GPU_RETURN_GROUP = 128

# Below the exponent of any number, and far from overflow when others are added to it.
_EXPONENT_OF_ZERO = -(2**28)
# Blocks, or groups of single steps, that every core does in a second.
_STEPS = 1e7


# The share of a machine's memory for an orbit and the tables that its workers make from it.
_ORBIT_SHARE = 0.6


def orbit_room(workers: int) -> OrbitRoom:
    """The memory that a reference orbit may take on this machine, where ``workers`` processes use it."""
    return OrbitRoom(int(_ORBIT_SHARE * machine.memory_bytes()), workers)


def _text_of_power2(exponent: float) -> str:
    """About 2**exponent, as a decimal string; the exponent may be of any size."""
    power = exponent * math.log10(2)
    return f"{10 ** (power - math.floor(power)):.6f}e{math.floor(power)}"


def _dips(reference: Reference, last: int) -> np.ndarray:
    """Where the reference comes nearer to 0 than before: int32, indices within _DIPS and below ``last``."""
    part = slice(1, min(last, _DIPS.stop))
    size = np.ldexp(np.hypot(reference.re[part], reference.im[part]), reference.exponent[part])
    nearest = np.minimum.accumulate(size)
    dips = np.flatnonzero(size[1:] < nearest[:-1]) + 2
    return dips[dips >= _DIPS.start].astype(np.int32)


@dataclass
class PerturbedTiming:
    """Seconds that the host spent on the last grid's reference and table; 0 where a kept one served."""

    reference: float = 0.0
    table: float = 0.0


class PerturbedIterator:
    """Iterates grids on one device; keeps the last reference orbit and its BLA table.

    Args:
        progress: called as ``progress(done, limit)`` while a reference is computed.
        pace: always work in rounds, of this pace (for tests).
        workers: processes on this machine that keep the same orbit, each with its own table.

    Attributes:
        table_seconds: CPU seconds that making the kept table took.
    """

    def __init__(
        self,
        ctx: DeviceContext,
        progress: Callable[[int, int], object] | None = None,
        pace: Pace | None = None,
        workers: int = 1,
    ):
        self._workers = workers
        self.ctx = ctx
        self._rounds = Rounds(ctx, _STEPS, pace)
        self.timing = PerturbedTiming()
        self.table_seconds = 0.0
        self._progress = progress
        self._centre: tuple[str, str] | None = None
        self._reference: Reference | None = None
        self._reference_key: tuple[object, ...] | None = None
        self._given = False  # whether the caller gave the reference
        self._radius: str | None = None  # for which it was computed here, if it was
        self._ends: dict[float, int] = {}
        self._orbits: dict[bool, list[Buffer]] = {}
        self._edge: list[Buffer] = []
        # What it was made for, it, on the device.
        self._table: tuple[object, BlaTable, list[Buffer]] | None = None
        self._start: tuple[object, Buffer] | None = None  # what it was made for, it
        self._returning: tuple[object, Buffer | None] | None = None  # the same

    def reference(self, grid: Grid, maxiter: int) -> Reference:
        """The orbit that the caller gave for this centre if it serves ``grid``, else the grid's own.

        An orbit computed here for another grid is not used, although it might serve: near the set it may change
        the last bits of samples, and pictures must not depend on what was rendered before.
        """
        need = precision(grid)
        radius = _text_of_power2(need.c_max) if grid.kind == PLANE else None
        kept = self._reference if self._centre == (grid.re, grid.im) else None
        own = (
            kept is not None
            and kept.bits == need.bits
            and self._radius == radius
            and (kept.complete or kept.limit == maxiter)
        )
        if kept is None or not (own or self._given) or not kept.serves(need.bits, maxiter):
            began = perf_counter()
            kept = reference_orbit(
                grid.re, grid.im, need.bits, maxiter, self._progress, radius, room=orbit_room(self._workers)
            )
            kept = self.keep(grid.re, grid.im, kept)
            self._given, self._radius = False, radius
            self.timing.reference = perf_counter() - began
        return kept

    def keep(self, re: str, im: str, reference: Reference) -> Reference:
        """Keeps a reference, computed elsewhere, in place of whatever was kept; it is used where it serves.

        Returns:
            What is kept now: ``reference``, or the equal one that was kept before.
        """
        self._given = True
        # These determine an orbit: another copy of the kept one brings nothing new.
        key = re, im, reference.bits, reference.limit, reference.last
        if self._reference is None or key != self._reference_key:
            self._centre, self._reference, self._reference_key = (re, im), reference, key
            self._ends = {}
            self._table = self._start = self._returning = None
            self._orbits = {}
            self._edge = self._upload(reference.edge, reference.edge_gap, reference.edge_exponent)
        return self._reference

    def _upload(self, *arrays: np.ndarray) -> list[Buffer]:
        """Device buffers; an empty array gets one that is never read."""
        return [self.ctx.upload(array) if array.size else self.ctx.empty(64) for array in arrays]

    def _orbit(self, reference: Reference, deep: bool) -> list[Buffer]:
        """The kept orbit on the device: its entries and their exponents.

        A reference made for deeper grids has entries that are too small for double. Without ``deep`` they become 0:
        beside a shallower grid's offsets they are nothing.
        """
        if deep not in self._orbits:
            orbit = np.stack((reference.re, reference.im), axis=1)
            exponent = reference.exponent
            if deep:  # 0 has the least exponent of all
                exponent = np.where(orbit.any(axis=1), exponent, _EXPONENT_OF_ZERO).astype(np.int32)
            elif exponent.any():
                orbit = np.ldexp(orbit, exponent[:, None])
            self._orbits[deep] = self._upload(orbit, exponent)
        return self._orbits[deep]

    def _tables(self, reference: Reference, need: Precision, bailout: float) -> tuple[BlaTable, list[Buffer]]:
        """The kept reference's table, and its arrays on the device."""
        if bailout not in self._ends:
            self._ends[bailout] = reference.end(bailout)
        last = self._ends[bailout]
        key = last, need.table_exponent, need.deep
        if self._table is None or key != self._table[0]:
            began, cpu_began = perf_counter(), thread_time()
            if last > (room := orbit_room(self._workers)).steps(need.bits):
                raise room.refusal(need.bits)  # the orbit came from a machine with more memory
            table = bla_table(reference, last, need.table_exponent, need.deep)
            parts = [table.blocks, table.reach]
            deep = table.deep_blocks, table.deep_reach
            parts += [part for part in deep if part is not None] or parts
            self._table, self._start = (key, table, self._upload(*parts)), None
            self.timing.table, self.table_seconds = perf_counter() - began, thread_time() - cpu_began
        return self._table[1:]

    @staticmethod
    def _wrap(reference: Reference, table: BlaTable) -> int:
        """The index from which a periodic reference goes on at its end, or 0."""
        return reference.wrap if table.last == reference.last else 0

    def _common_start(
        self, reference: Reference, need: Precision, maxiter: int, bailout: float,
        table: BlaTable, buffers: list[Buffer],
    ) -> tuple[Buffer, int]:  # fmt: skip
        """Where all samples of a grid begin (kernels/common_start.cl), and the exponent of its unit of c."""
        unit = math.ceil(need.c_max)
        if self._start is None or self._start[0] != (need.c_max, maxiter, bailout):
            # Rounded up: the last bits of c_max may differ from one machine to another.
            radius = min(math.ceil(2.0 ** (need.c_max - unit) * 2**20 + 1) / 2**20, 1.0)
            start = self.ctx.empty(16 * STARTS * START_LENGTH)
            group = _GPU_SERIES_GROUP if self.ctx.device.is_gpu else _CPU_SERIES_GROUP
            kernel = self.ctx.kernel(
                "common_start.cl",
                "common_start",
                (("DEEP", int(need.deep)), ("GROUP", group), ("LOW", table.low)),
            )
            kernel(
                self.ctx.queue, (group,), (group,),
                np.float64(radius), np.int32(unit), np.int32(maxiter), np.float64(bailout),
                np.int32(_MOST_COMMON_STEPS),
                np.int32(table.last), np.int32(self._wrap(reference, table)), *self._orbit(reference, need.deep),
                np.int32(table.tops), *(buffers[2:] if need.deep else buffers[:2]), start,
            )  # fmt: skip
            self._start = (need.c_max, maxiter, bailout), start
        return self._start[1], unit

    def _return_map(self, reference: Reference, last: int, unit: int) -> Buffer | None:
        """The step of many iterations from a rebase on (kernels/return_map.cl), for |c| up to 2**unit.

        None where the reference surely has none.
        """
        if self._returning is None or self._returning[0] != (last, unit):
            dips = _dips(reference, last)
            if not len(dips) or dips[-1] < _LEAST_RETURN:
                self._returning = (last, unit), None
                return None
            made = self.ctx.empty(16 * _RETURN_LENGTH)
            group = _GPU_RETURN_GROUP if self.ctx.device.is_gpu else 1
            kernel = self.ctx.kernel(
                "return_map.cl", "return_map", (("GROUP", group), ("LEAST", _LEAST_RETURN))
            )
            kernel(
                self.ctx.queue, (group,), (group,),
                np.int32(unit), np.int32(len(dips)), *self._upload(dips), self._orbit(reference, False)[0], made,
            )  # fmt: skip
            self._returning = (last, unit), made
        return self._returning[1]

    def iterate(  # noqa: PLR0913 - all of them are what a caller may ask
        self, grid: Grid, maxiter: int, bailout: float, outputs: Outputs = Outputs(),
        place: SampleCoordinates | None = None, whole: Grid | None = None,
        tally: Tally | None = None, then: Callable[[Samples], object] | None = None,
        reference: Reference | None = None,
    ) -> Samples:  # fmt: skip
        """Raw samples of ``grid``, enqueued on the context's queue; waited for only where they may take long.

        Args:
            maxiter: 1 to 2**31 - 2.
            bailout: escape radius, 2 to 1e9.
            place: other samples of the grid, relative, in place of all of them.
            whole: the grid that ``grid`` is a part of, if it is one.
            tally: counts the samples.
            then: enqueues what else follows; may be called before all samples are there, and then again.
            reference: the orbit of the grid's centre, at the grid's precision or a higher one; computed here,
                and kept, when not given.

        Raises:
            RenderError: OUT_OF_RANGE for another maxiter or bailout, TOO_DEEP_ZOOM,
                BAD_NUMBER for the centre, BAD_REFERENCE for one that does not serve.
        """
        check_limits(maxiter, bailout)
        self.timing = PerturbedTiming()
        need = precision(grid, whole)
        if reference is None:
            reference = self.reference(whole or grid, maxiter)
        elif not reference.serves(need.bits, maxiter):
            raise RenderError(
                "BAD_REFERENCE",
                f"the reference has {reference.bits} bits and {reference.limit} iterations; "
                f"this grid needs {need.bits} and {maxiter}.",
            )
        else:
            reference = self.keep(grid.re, grid.im, reference)
        table, table_buffers = self._tables(reference, need, bailout)
        start, unit_exponent = self._common_start(reference, need, maxiter, bailout, table, table_buffers)
        # In extended range samples do not take it; where c is smaller, blocks take more iterations in one step.
        returning = None
        if not need.deep and unit_exponent >= _LEAST_RETURN_UNIT:
            returning = self._return_map(reference, table.last, unit_exponent)
        place = place or coordinates_of(self.ctx, grid, relative=True)
        ctx, count = self.ctx, place.rows * place.cols
        tile = _GPU_TILE if ctx.device.is_gpu else _CPU_TILE
        samples = Samples.empty(ctx, place.rows, place.cols, maxiter, outputs)

        def build(rounds: int) -> Launch:
            return ctx.kernel(
                "perturb.cl",
                "perturb",
                (
                    ("GEOMETRY", place.geometry),
                    ("DISTANCE", int(outputs.distance)),
                    ("SLOPE", int(outputs.slope)),
                    ("ROUNDS", rounds),
                    ("DEEP", int(need.deep)),
                    ("RETURNS", int(returning is not None)),
                    ("LOW", table.low),
                    ("WIDTH", tile[0] * tile[1]),
                    ("TILE_COLS", tile[0]),
                    ("TILE_ROWS", tile[1]),
                ),
            )

        group = _GPU_GROUP if ctx.device.is_gpu else _CPU_GROUP
        size = tuple(-(-n // side) for n, side in zip((place.cols, place.rows), tile, strict=True))
        size = tuple(-(-n // side) * side for n, side in zip(size, group, strict=True))
        arguments = (
            place.across, place.down, place.spacings(ctx),
            np.int32(place.cols), np.int32(place.rows),
            np.float64(need.scale), np.int32(need.scale_exponent),
            np.int32(maxiter), np.float64(bailout),
            np.int32(table.last), np.int32(self._wrap(reference, table)), *self._orbit(reference, need.deep),
            np.int32(len(reference.edge) if bailout == 2 else 0), *self._edge,
            np.int32(table.tops), *table_buffers,
            start, np.int32(unit_exponent), start if returning is None else returning,
            samples.count, samples.frac, *(b for b in (samples.distance, samples.slope) if b is not None),
        )  # fmt: skip
        kept_bytes = 8 * PERTURBED_STATE * tile[0] * tile[1]
        self._rounds.launch(
            build, size, group, arguments, count, maxiter, kept_bytes, following(samples, tally, then)
        )
        return samples

    @property
    def list_width(self) -> int:
        """Samples in a row of a place of listed pixels that suits this device."""
        return (_GPU_GROUP if self.ctx.device.is_gpu else _CPU_TILE)[0]

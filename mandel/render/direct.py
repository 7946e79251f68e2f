"""Direct iteration in double precision, for views whose sample spacing doubles can resolve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mandel.device import tuning
from mandel.device.context import Argument, DeviceContext, Launch
from mandel.errors import RenderError
from mandel.kernels import contract
from mandel.plan.grid import Grid
from mandel.render.coordinates import SampleCoordinates, coordinates_of
from mandel.render.rounds import Pace, Rounds
from mandel.render.samples import ColourTarget, Outputs, Samples
from mandel.render.tally import Tally, following

MIN_BAILOUT, MAX_BAILOUT = 2.0, 1e9
MAX_MAXITER = 2_000_000_000


def check_limits(maxiter: int, bailout: float) -> None:
    """Refuses what the kernels cannot count.

    Raises:
        RenderError: OUT_OF_RANGE.
    """
    if not MIN_BAILOUT <= bailout <= MAX_BAILOUT:
        raise RenderError(
            "OUT_OF_RANGE",
            f"bailout is {bailout}; it must be from {MIN_BAILOUT:g} to {MAX_BAILOUT:g}.",
            field="bailout",
            limit=[MIN_BAILOUT, MAX_BAILOUT],
        )
    if not 1 <= maxiter <= MAX_MAXITER:
        raise RenderError(
            "OUT_OF_RANGE",
            f"maxiter is {maxiter}; it must be from 1 to {MAX_MAXITER}.",
            field="maxiter",
            limit=[1, MAX_MAXITER],
        )


@dataclass(frozen=True)
class Variant:
    """One form of the kernel; all give the same counts.

    Attributes:
        name: key of ``VARIANTS``.
        width: lanes of the explicit vectors; 1: a work item is one sample.
        chains: vectors in flight.
        block: iterations between two bail-out tests, a power of two.
        sparse: a vector with so few lanes still inside is given up, and its lanes are packed with others.
        group: scalar only: columns x rows of a work group. Samples near each other end at about the same time.
    """

    name: str
    width: int
    chains: int = 1
    block: int = 16
    sparse: int = 0
    group: tuple[int, int] | None = None

    @property
    def defines(self) -> tuple[tuple[str, object], ...]:
        if self.width == 1:
            return (("BLOCK", self.block),)
        return (
            ("WIDTH", self.width),
            ("CHAINS", self.chains),
            ("BLOCK", self.block),
            ("SPARSE", self.sparse),
            ("TILE", MAX_TILE * 8 // self.width),
        )


# Blocks (of all chains, or of one sample) that every core does in a second.
_STEPS = 2e6
MAX_TILE = 1024  # vectors of 8 in a tile: their states take 230 KiB and stay in a core's second-level cache
VARIANTS = {
    v.name: v
    for v in (
        Variant("scalar", 1),
        Variant("scalar, 8 x 4", 1, group=(8, 4)),
        Variant("scalar, 8 x 8", 1, group=(8, 8)),
        Variant("scalar, 8 x 16", 1, group=(8, 16)),
        Variant("scalar, 8 x 8, block 8", 1, block=8, group=(8, 8)),
        Variant("scalar, 8 x 8, block 32", 1, block=32, group=(8, 8)),
        Variant("4 lanes x 4", 4, 4, 16, 1),
        Variant("8 lanes x 2", 8, 2, 16, 2),
        Variant("8 lanes x 4", 8, 4, 16, 2),
        Variant("8 lanes x 4, block 32", 8, 4, 32, 2),
        Variant("16 lanes x 2", 16, 2, 16, 5),
        Variant("16 lanes x 2, block 32", 16, 2, 32, 5),
    )
}
# The variant where nothing was measured, by the doubles in a CPU's vector register.
DEFAULTS = {1: "4 lanes x 4", 2: "4 lanes x 4", 4: "4 lanes x 4", 8: "16 lanes x 2"}
GPU_DEFAULT = "scalar, 8 x 8"
TUNING = "direct"


def default_variant(ctx: DeviceContext) -> str:
    """Name of the variant for a device of this kind."""
    if ctx.device.kind != "cpu":
        return GPU_DEFAULT
    return DEFAULTS.get(ctx.handle.native_vector_width_double, "8 lanes x 4")


class DirectIterator:
    """Iterates grids on one device.

    Args:
        variant: a name of ``VARIANTS``; by default the fastest one measured on this device (``render.tune``), or
            where none was measured the default for its kind.
        prove_interior: end interior samples early by proof. Results are the same without (for measurements and
            tests).
        pace: always work in rounds, of this pace (for tests).
    """

    def __init__(
        self,
        ctx: DeviceContext,
        variant: str | None = None,
        prove_interior: bool = True,
        pace: Pace | None = None,
    ):
        self.ctx = ctx
        self._rounds = Rounds(ctx, _STEPS, pace)
        self._proof = ("PROOF", int(prove_interior))
        name = variant or tuning.best(ctx.device, TUNING, ("direct.cl", "direct_tiles.cl"))
        self.variant = VARIANTS[name if name in VARIANTS else default_variant(ctx)]
        self._defines = self.variant.defines

    @property
    def list_width(self) -> int:
        """Samples in a row of listed pixels that suits this device."""
        return max(self.variant.width, 8)

    def iterate(
        self,
        grid: Grid,
        maxiter: int,
        bailout: float,
        outputs: Outputs = Outputs(),
        place: SampleCoordinates | None = None,
        whole: Grid | None = None,
        tally: Tally | None = None,
        then: Callable[[Samples], object] | None = None,
    ) -> Samples:
        """Raw samples of ``grid``, enqueued on the context's queue; waited for only where they may take long.

        Args:
            place: other samples of the grid, in place of all of them; in rows of
                a multiple of ``list_width``.
            whole: makes no difference here: parts of a grid are iterated like the whole.
            tally: counts the samples.
            then: enqueues what else follows; may be called before all samples are there, and then again.
            maxiter: 1 to 2e9.
            bailout: escape radius, 2 to 1e9.

        Raises:
            RenderError: OUT_OF_RANGE for another maxiter or bailout.
        """
        check_limits(maxiter, bailout)
        ctx = self.ctx
        place = place or coordinates_of(ctx, grid, width=self.variant.width)
        samples = Samples.empty(ctx, place.rows, place.cols, maxiter, outputs)
        # The tiles carry no derivative: it would double a vector's state, and repacking would gain nothing.
        if self._in_tiles(outputs):
            self._tiles(
                place,
                maxiter,
                bailout,
                tally,
                contract.PAINT_NOTHING,
                (samples.count, samples.frac),
                following(samples, None, then),
            )
        else:
            self._one_by_one(place, samples, bailout, outputs, following(samples, tally, then))
        return samples

    def paint(
        self,
        grid: Grid,
        maxiter: int,
        bailout: float,
        colour_target: ColourTarget,
        tally: Tally | None = None,
        place: SampleCoordinates | None = None,
    ) -> None:
        """Colours the samples of ``grid`` as it makes them, and keeps none; where ``fuses_colouring`` says so.

        Enqueued on the context's queue; waited for only where they may take long.

        Args:
            maxiter, bailout, tally, place: as for ``iterate``.

        Raises:
            RenderError: OUT_OF_RANGE for another maxiter or bailout.
        """
        check_limits(maxiter, bailout)
        self._tiles(
            place or coordinates_of(self.ctx, grid, width=self.variant.width),
            maxiter,
            bailout,
            tally,
            contract.PAINT_RGB if colour_target.rgb else contract.PAINT_CANVAS,
            (
                colour_target.palette_table,
                np.int32(colour_target.first),
                colour_target.target,
                np.int32(colour_target.entries),
                *colour_target.phase,
            ),
            mapping=colour_target.mapping,
        )

    def _in_tiles(self, outputs: Outputs) -> bool:
        return self.variant.width > 1 and not outputs.derivative

    def fuses_colouring(self, outputs: Outputs) -> bool:
        """Whether ``paint`` can make such samples."""
        return self._in_tiles(outputs)

    def _one_by_one(
        self,
        place: SampleCoordinates,
        samples: Samples,
        bailout: float,
        outputs: Outputs,
        then: Callable[[], None],
    ) -> None:
        ctx = self.ctx
        scalar = self.variant if self.variant.width == 1 else VARIANTS["scalar"]
        wanted = [b for b in (samples.distance, samples.slope) if b is not None]
        group = scalar.group
        cols, rows = group or (1, 1)
        size = (-(-samples.cols // cols) * cols, -(-samples.rows // rows) * rows)

        def build(rounds: int) -> Launch:
            return ctx.kernel(
                "direct.cl",
                "direct",
                (
                    ("GEOMETRY", place.geometry),
                    ("DERIVATIVE", int(outputs.derivative)),
                    ("DISTANCE", int(outputs.distance)),
                    ("SLOPE", int(outputs.slope)),
                    ("ROUNDS", rounds),
                    self._proof,
                    *scalar.defines,
                ),
            )

        self._rounds.launch(
            build,
            size,
            group,
            (
                place.across,
                place.down,
                place.spacings(ctx),
                np.int32(samples.cols),
                np.int32(samples.rows),
                np.int32(samples.maxiter),
                np.float64(bailout),
                samples.count,
                samples.frac,
                *wanted,
            ),
            samples.cols * samples.rows,
            samples.maxiter,
            8 * (contract.DIRECT_DERIVATIVE_STATE if outputs.derivative else contract.DIRECT_STATE),
            then,
        )

    def _tiles(
        self,
        place: SampleCoordinates,
        maxiter: int,
        bailout: float,
        tally: Tally | None,
        paint: int,
        target: tuple[Argument, ...],
        then: Callable[[], object] = lambda: None,
        mapping: int = contract.MAP_ROOT,
    ) -> None:
        """Enqueues the tiles; ``paint`` and ``target`` as finish.h has them, ``mapping`` as runs.h."""
        ctx, width = self.ctx, self.variant.width
        vectors = -(-place.cols // width) * place.rows
        # Small tiles: at the end no core waits long for another one's last tile.
        most = MAX_TILE * 8 // width
        tile = min(max(vectors // (24 * ctx.cores), most // 16), most)

        def build(rounds: int) -> Launch:
            return ctx.kernel(
                "direct_tiles.cl",
                "direct_tiles",
                (
                    ("GEOMETRY", place.geometry),
                    ("PAINT", paint),
                    ("MAPPING", mapping),
                    ("ROUNDS", rounds),
                    self._proof,
                    *self._defines,
                ),
            )

        tiles = -(-vectors // tile)
        found = ctx.empty(8 * tiles) if tally is None else tally.slots(tiles, place.rows * place.cols)
        self._rounds.launch(
            build,
            (tiles,),
            (1,),
            (
                place.across,
                place.down,
                np.int32(place.cols),
                np.int32(place.rows),
                np.int32(maxiter),
                np.float64(bailout),
                np.int32(tile),
                found,
                *target,
            ),
            place.cols * place.rows,
            maxiter,
            8 * (contract.TILE_STATE + contract.TILE_SAMPLE_STATE * tile * width),
            then,
        )

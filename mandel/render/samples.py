"""Raw samples on a device: what iterating gives, before it is coloured."""

from __future__ import annotations

from dataclasses import dataclass

from mandel.device.context import Argument, Buffer, DeviceContext, Target


@dataclass(frozen=True)
class Outputs:
    """Which raw values to compute; ``count`` and ``frac`` always are.

    Attributes:
        distance: also the distance estimate, in units of the sample spacing.
        slope: also the unit vector of z / (dz/dc), for shading.
    """

    distance: bool = False
    slope: bool = False

    @property
    def derivative(self) -> bool:
        """Whether dz/dc must be carried along."""
        return self.distance or self.slope


@dataclass(frozen=True)
class Samples:
    """Device buffers of ``rows`` x ``cols`` samples, row-major.

    Attributes:
        count: int32, least n >= 1 with |z_n| > bailout, else maxiter + 1 (interior).
        frac: float32, smooth iteration count is count + frac; 0 for interior.
        distance: float32 or None, distance estimate / sample spacing; 0 for interior.
        slope: float32 x 2 or None, unit vector; (0, 0) for interior.
        maxiter: what the counts were limited to.
    """

    rows: int
    cols: int
    maxiter: int
    count: Buffer
    frac: Buffer
    distance: Buffer | None = None
    slope: Buffer | None = None

    @classmethod
    def empty(cls, ctx: DeviceContext, rows: int, cols: int, maxiter: int, outputs: Outputs) -> Samples:
        """Buffers for samples that are to be made."""
        count = rows * cols
        return cls(
            rows,
            cols,
            maxiter,
            ctx.empty(4 * count),
            ctx.empty(4 * count),
            ctx.empty(4 * count) if outputs.distance else None,
            ctx.empty(8 * count) if outputs.slope else None,
        )


@dataclass(frozen=True)
class ColourTarget:
    """What a kernel needs to colour samples as it makes them, one a pixel (``Painter.colour_target``).

    Attributes:
        palette_table: uint32 device buffer, the palette's ring: canvas pixels, or bytes R, G, B, 0 (four rings then,
            see finish.h). One more entry is the interior's.
        entries: their number, without the interior's.
        mapping: a number of the contract (MAP_ROOT ...).
        phase: a kernel's arguments MAPPING_PARAMETERS (runs.h).
        target: the picture, in the device's memory or the host's.
        rgb: whether it holds bytes of RGB; else canvas pixels (uint32).
        first: the pixel of the picture at which the samples begin.
    """

    palette_table: Buffer
    entries: int
    mapping: int
    phase: tuple[Argument, ...]
    target: Target
    rgb: bool
    first: int

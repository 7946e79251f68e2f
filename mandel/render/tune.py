"""Times the variants of the direct kernel on a device, and stores which is the fastest."""

from __future__ import annotations

from time import perf_counter

from mandel.device import tuning
from mandel.device.context import DeviceContext
from mandel.errors import DeviceError
from mandel.plan.view import View
from mandel.render.direct import TUNING, VARIANTS, DirectIterator

# A boundary with counts in the hundreds, a view that is half interior, and a view of almost the whole set.
_VIEWS = (
    ("-1.338238635", "-0.057237059", "1e-4"),
    ("-1.338238635", "-0.057237059", "1e-2"),
    ("-0.75", "0", "3"),
)
_FILES = ("direct.cl", "direct_tiles.cl")


def tune(ctx: DeviceContext, side: int = 500, repeats: int = 3) -> dict[str, float]:
    """Speed of each variant that builds, in frames of ``side`` x ``side`` a second; kept for later runs.

    Views count equally: the speed is one over the sum of the best times. Takes some seconds, mostly for building.
    """
    speeds = {}
    for name in VARIANTS:
        iterator = DirectIterator(ctx, name)
        try:
            speeds[name] = round(1 / sum(_best(iterator, view, side, repeats) for view in _VIEWS), 3)
        except (DeviceError, ctx.cl.Error):
            continue  # a variant that a driver cannot run is not chosen
    tuning.keep(ctx.device, TUNING, _FILES, speeds)
    return speeds


def _best(iterator: DirectIterator, view: tuple[str, str, str], side: int, repeats: int) -> float:
    grid, times = View(*view, side, side).grid(), []
    for _ in range(repeats + 1):  # the first one builds
        started = perf_counter()
        iterator.iterate(grid, 1000, 1000.0)
        iterator.ctx.queue.finish()
        times.append(perf_counter() - started)
    return min(times[1:])

"""What runs under the sanitizers: scenarios by name.

The same functions run twice: in a process with the sanitizers, on ``SanitizedContext``, and in a plain
one on an OpenCL device; what they give must be the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mandel.device.context import DeviceContext, device_context
from mandel.render.direct import VARIANTS
from mandel.render.samples import Outputs
from tests.sanitize import direct, perturbed, pictures, ranges
from tests.sanitize.context import SanitizedContext

Arrays = dict[str, np.ndarray]
DERIVATIVES = Outputs(distance=True, slope=True)


@dataclass(frozen=True)
class Scenario:
    """One thing to run.

    Attributes:
        run: makes arrays on a context.
        want: makes what they must be, on a device; ``run`` itself unless given.
        launches: kernels that must have run.
        long: left out unless asked for.
        settings: of ``SanitizedContext``.
    """

    run: Callable[..., Arrays]
    launches: tuple[str, ...]
    want: Callable[..., Arrays] | None = None
    long: bool = False
    settings: tuple[tuple[str, object], ...] = ()

    def sanitized(self) -> Arrays:
        """Runs here, which must be a process that loaded the sanitizers first."""
        ctx = SanitizedContext(**dict(self.settings))
        made = self.run(ctx)
        assert set(self.launches) <= set(ctx.launched), f"launched {ctx.launched}, expected {self.launches}"
        return made

    def on_device(self) -> Arrays:
        """What must come out, from the device that tests run on."""
        ctx = device_context("cpu")
        if dict(self.settings).get("kind") == "gpu":  # the kernels that GPUs run, on whatever there is
            ctx = DeviceContext(ctx.device)
            ctx.device = replace(ctx.device, kind="gpu")
        return (self.want or self.run)(ctx)


def _tiles(ctx, variant: str, ways, cases) -> Arrays:
    made = {}
    for geometry, way, rounds in ways:
        if way in ("canvas", "rgb"):
            made |= direct.paint(ctx, variant, cases, geometry, way == "rgb", rounds)
        else:
            made |= direct.iterate(ctx, variant, cases, geometry, way == "proof", rounds=rounds)
    return made


def _tile_scenarios() -> dict[str, Scenario]:
    """Every variant in some ways, and, in the long form, in all."""
    made, ways = (
        {},
        [
            (geometry, way, rounds)
            for geometry in direct.GEOMETRIES
            for way in ("proof", "no proof", "canvas", "rgb")
            for rounds in (False, True)
            if geometry != "listed" or "proof" in way
        ],
    )
    for k, name in enumerate(direct.WIDE):
        some = [("straight", "proof", False), *(ways[(5 * k + step) % len(ways)] for step in (1, 8, 14, 21))]
        cases = direct.small_cases(VARIANTS[name].width)
        for title, chosen, is_long in (("", some, False), (", all ways", ways, True)):
            made[f"tiles, {name}{title}"] = Scenario(
                partial(_tiles, variant=name, ways=chosen, cases=cases),
                ("direct_tiles",),
                want=partial(_tiles_wanted, ways=chosen, cases=cases),
                long=is_long,
            )
        for pattern in ("first", "last", "any"):
            made[f"full tile, {name}, {pattern} lanes left"] = Scenario(
                partial(direct.one_tile, variant=name, pattern=pattern),
                ("direct_tiles",),
                want=partial(_full_tile_wanted, width=VARIANTS[name].width, pattern=pattern),
                settings=(("quick", True),),
                long=pattern == "any" and name not in ("4 lanes x 4", "16 lanes x 2"),
            )
        large_way = [("straight", "proof", False)]
        made[f"seahorses 640x360, {name}"] = Scenario(
            partial(_tiles, variant=name, ways=large_way, cases=[direct.large_case()]),
            ("direct_tiles",),
            want=partial(_tiles_wanted, ways=large_way, cases=[direct.large_case()]),
            settings=(("quick", True), ("cores", 1)),
            long=name not in ("4 lanes x 4", "16 lanes x 2"),
        )
    return made


def _tiles_wanted(ctx, ways, cases) -> Arrays:
    """The scalar kernel's samples; colours by the kernels that shade them."""
    made = {}
    for geometry, way, rounds in ways:
        if way in ("canvas", "rgb"):
            made |= _shaded(ctx, cases, geometry, way, rounds)
        else:
            made |= direct.iterate(
                ctx,
                "scalar",
                [c for c in cases if not rounds or c.maxiter <= 10_000],
                geometry,
                way == "proof",
            )
    return made


def _shaded(ctx, cases, geometry: str, way: str, rounds: bool) -> Arrays:
    iterator, painter, made = direct.DirectIterator(ctx, "scalar"), direct.Painter(ctx), {}
    for case in cases:
        if rounds and case.maxiter > 10_000:
            continue
        samples = iterator.iterate(direct.in_geometry(case.grid, geometry), case.maxiter, case.bailout)
        made[f"{case.name}, {geometry}, {way}: picture"] = painter.paint(samples, direct.ColourStyle()).copy()
    return made


def _full_tile_wanted(ctx, width: int, pattern: str) -> Arrays:
    return direct.one_tile(ctx, "scalar", pattern, width)


def _scalar(ctx, variant: str, rounds: bool = False) -> Arrays:
    made = {}
    cases = [case for case in direct.small_cases(16) if case.maxiter <= 10_000]
    for geometry in direct.GEOMETRIES:
        for outputs in (Outputs(), Outputs(distance=True), Outputs(slope=True), DERIVATIVES):
            part = direct.iterate(ctx, variant, cases, geometry, outputs=outputs, rounds=rounds)
            made |= {f"{outputs.distance} {outputs.slope} {key}": array for key, array in part.items()}
    return made


def _perturbed(ctx, outputs: Outputs, rounds: bool = False) -> Arrays:
    made = perturbed.deeper_reference(ctx, outputs)
    for geometry in direct.GEOMETRIES:
        made |= perturbed.iterate(ctx, outputs, geometry, rounds)
    return made


def _all() -> dict[str, Scenario]:
    made = _tile_scenarios()
    for name in direct.SCALAR:
        made[f"direct, {name}"] = Scenario(
            partial(_scalar, variant=name), ("direct",), want=partial(_scalar, variant="scalar")
        )
    made["direct, in rounds"] = Scenario(
        partial(_scalar, variant="scalar, 8 x 8", rounds=True),
        ("direct",),
        want=partial(_scalar, variant="scalar"),
    )
    for kind in ("cpu", "gpu"):
        settings = (("kind", kind),)
        for name, outputs in perturbed.OUTPUTS.items():
            made[f"perturbed, {kind}, {name}"] = Scenario(
                partial(_perturbed, outputs=outputs),
                ("common_start", "return_map", "perturb", "locate"),
                settings=settings,
                long=name in ("distance", "slope"),
            )
            made[f"perturbed, {kind}, {name}, in rounds"] = Scenario(
                partial(_perturbed, outputs=outputs, rounds=True),
                ("common_start", "return_map", "perturb", "locate"),
                want=partial(_perturbed, outputs=outputs),
                settings=settings,
                long=name in ("distance", "slope"),
            )
        for style in pictures.LOOKS:
            made[f"frames, {kind}, {style}"] = Scenario(
                partial(pictures.frames, style=style), ("shade", "to_yuv420", "to_rgb10"), settings=settings
            )
            made[f"all frames, {kind}, {style}"] = Scenario(
                partial(pictures.frames, style=style, every=1),
                ("shade", "to_yuv420", "to_rgb10"),
                settings=settings,
                long=True,
            )
        made[f"extreme colours, {kind}"] = Scenario(pictures.extremes, ("shade",), settings=settings)
        made[f"edges, {kind}"] = Scenario(
            pictures.edges, ("mark_edges", "count_marked", "list_marked"), settings=settings
        )
        resample = () if kind == "cpu" else ("resample",)  # CPUs make wide frames otherwise than narrow ones
        for number, _fields in enumerate(pictures.ZOOMS):
            made[f"shared, {kind}, {number}"] = Scenario(
                partial(pictures.shared, number=number),
                (*resample, "polar", "to_texels", "round_fractions", "differences", "split", "tally"),
                settings=settings,
            )
    for name, run in ranges.ALL.items():
        made[f"greatest numbers, {name}"] = Scenario(run, (), want=ranges.nothing)
    made["raw strips"] = Scenario(
        pictures.raw_strips, ("round_fractions", "differences", "split", "derivative_codes", "from_codes")
    )
    return made


SCENARIOS = _all()

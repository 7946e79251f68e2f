"""Zooms made frame by frame as the recipes say, without a scheduler."""

from __future__ import annotations

import numpy as np

from mandel.colour.style import ColourStyle
from mandel.device.context import DeviceContext
from mandel.driver.recipes.choose import recipe_of
from mandel.driver.recipes.recipe import FRAME, LEARNED, LIMIT, REFERENCE, VIDEO_BAILOUT, WorkItem
from mandel.driver.recipes.shared import MIPS, STRIP
from mandel.payload.payload import Payload
from mandel.plan.reference import reference_orbit
from mandel.plan.zoom import Zoom
from mandel.render.frame import FrameRenderer
from mandel.render.iteration_limit import counts_of, view_limit
from mandel.render.resampler import Resampler
from mandel.render.strip import StripRenderer
from mandel.tasks.units import ResampleUnit


class Zoomed:
    """A zoom's frames as RGB, int (H, W, 3), exact or shared as its payload says."""

    def __init__(self, ctx: DeviceContext, payload: Payload):
        self.payload = payload
        self.recipe = recipe_of(payload)
        self._ctx = ctx
        self.renderer = FrameRenderer(ctx)
        self.strip_renderer = StripRenderer(self.renderer)
        self.resampler = Resampler(ctx)
        self.made = {}

    def make(self, item: WorkItem):
        """What an item's task would give, made once, with all that it needs."""
        if item not in self.made:
            needs = [(need, self.make(need)) for need in self.recipe.needs(item)]
            inputs = [made for need, made in needs if need.kind not in LEARNED]
            self.made[item] = self._make(item, self.recipe.unit(item), inputs)
        return self.made[item]

    def _make(self, item, unit, inputs):
        if item.kind == REFERENCE:
            return reference_orbit(unit.re, unit.im, unit.bits, unit.limit, None, unit.radius, unit.gives_up)
        if item.kind == LIMIT:
            if unit.counts_alone:
                found = counts_of(self.renderer, unit.view.grid(), unit.given, *inputs)
            else:
                found = view_limit(self.renderer, unit.view, *inputs)
            self.recipe.learn(item, found)
            return found
        if item.kind == STRIP:
            for reference in inputs:
                self.renderer.keep_reference(unit.re, unit.im, reference)
            return self.strip_renderer.render(
                unit.layout, unit.blocks, unit.maxiter, unit.bailout, unit.style
            )
        if item.kind == MIPS:
            return inputs[0][unit.layout.offset(unit.level) :]
        if isinstance(unit, ResampleUnit):
            return self.resampler.picture(unit, inputs, "rgb")
        for reference in inputs:
            self.renderer.keep_reference(unit.view.re, unit.view.im, reference)
        return self.renderer.picture(unit.view, unit.maxiter, unit.bailout, unit.style, unit.supersampling)

    def frame(self, index: int) -> np.ndarray:
        return self.make(WorkItem(FRAME, index)).astype(int)

    def style(self) -> ColourStyle:
        """How its samples are coloured, the curve of the mapping "even" learned."""
        for need in self.recipe.limits.curve_needs():
            self.make(need)
        return ColourStyle.of(self.payload, self.recipe.limits.curve())

    def alone(self, index: int, n: int | None = None) -> np.ndarray:
        """The frame as a view of its own, of nothing but itself; ``n`` x ``n`` samples a pixel."""
        p = self.payload
        renderer, view = FrameRenderer(self._ctx), Zoom.of(p).view(index)
        style = self.style()
        return renderer.picture(view, p.maxiter, VIDEO_BAILOUT, style, n or p.supersampling).astype(int)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """dB; inf for equal pictures."""
    square = np.mean((a - b) ** 2)
    return 10 * np.log10(255**2 / square) if square else np.inf

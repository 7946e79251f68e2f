"""Scenarios of everything that makes pictures: frames, strips, raw strips, resampling; on any context."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace

import numpy as np

from mandel.colour.curve import even_curve
from mandel.colour.style import ColourStyle
from mandel.driver.recipes.recipe import FRAME, REFERENCE, STRIP, WorkItem
from mandel.driver.recipes.shared import SharedRecipe
from mandel.payload.payload import parse
from mandel.plan.picture import LAYOUTS, RGB, RGB10, shape
from mandel.plan.reference import reference_orbit
from mandel.plan.view import View
from mandel.protocol.strict_json import loads
from mandel.render.frame import FrameRenderer
from mandel.render.painter import EDGE_CONTRAST, Painter
from mandel.render.raw_strip import RawStrip, RawStripWriter, codes_of, least_fraction, round_fractions
from mandel.render.resampler import Resampler
from mandel.render.samples import Samples
from mandel.render.strip import StripRenderer
from tests.sanitize.direct import SEED, TURN
from tests.sanitize.perturbed import NUCLEUS
from tests.support.colour_oracle import channels

LOOKS = {
    "plain": ColourStyle(),
    "relief": ColourStyle(relief=0.7),
    "edge": ColourStyle(edge=2.0),
    "both": ColourStyle(relief=1.0, edge=0.5, density=30.0),
    "linear": ColourStyle(mapping="linear"),
    "log": ColourStyle(mapping="log"),
    "even": ColourStyle(mapping="even", curve=even_curve([(1, 3, 9, 27, 300), (250, 300, 320, 400, 900)])),
}
_SIZES = (
    (1, 1),
    (1, 9),
    (9, 1),
    (2, 2),
    (4, 4),
    (5, 3),
    (8, 2),
    (16, 1),
    (17, 1),
    (15, 9),
    (64, 1),
    (65, 1),
    (66, 130),
)


def frames(ctx, style: str, every: int = 2) -> dict[str, np.ndarray]:
    """Pictures of awkward sizes, all supersamplings, layouts and ways, in one band and in many.

    Args:
        every: makes every such picture of those with several samples a pixel.
    """
    made, renderers = {}, [FrameRenderer(ctx, band_bytes=nbytes) for nbytes in (4096, 64 << 20)]
    for at, (width, height) in enumerate(_SIZES):
        for kind, (view, maxiter) in enumerate(
            (
                (View(*SEED, "1e-3", width, height), 300),
                (View(*SEED, "1e-3", width, height, TURN), 300),
                (View(*NUCLEUS, "5.414e-21", width, height), 3000),
            )
        ):
            if view.re == NUCLEUS[0] and width * height > 600:
                continue
            for n in (1, 2, 3, 4):
                if n > 1 and (at + kind + n) % every:
                    continue
                for adaptive in (False, True) if n > 1 else (False,):
                    for layout in LAYOUTS if not (width % 2 or height % 2) else (RGB, RGB10):
                        renderer = renderers[(width + height + n) % 2]
                        out = None if n % 2 else np.empty(shape(width, height, layout), np.uint8)
                        key = f"{view.delta} {view.turn} {width}x{height} {n} {adaptive} {layout}"
                        picture = renderer.picture(
                            view, maxiter, 1000.0, LOOKS[style], n, layout, out, adaptive
                        )
                        made[f"{key}: {'adaptive ' if adaptive else ''}picture"] = _bytes(picture, layout)
                        if not adaptive:
                            made[f"{key}: reached"] = _reached(renderer)
    return made


def _bytes(picture: np.ndarray, layout: str) -> np.ndarray:
    """A copy of a picture's bytes; of ten bits the upper eight: in a word a level more may change every byte."""
    return (channels(picture) >> 2).astype(np.uint8) if layout == RGB10 else picture.copy()


def _reached(renderer) -> np.ndarray:
    """What became of the samples of the last picture or strip at the limit."""
    return np.array([renderer.reached.samples, renderer.reached.reached, renderer.reached.late], np.int64)


def extremes(ctx) -> dict[str, np.ndarray]:
    """Samples of any legal payload's extremes, coloured: counts up to 2e9 + 1, fractions, distances, slopes."""
    made, i, f = {}, np.int32, np.float32
    count = np.resize(np.array([1, 2, 54, 10**6, 2_000_000_000, 2_000_000_001], i), (6, 8))
    frac = np.resize(np.array([-4.5, -1.0, 0.0, 0.999, 1.0, 1.6, 3.0], f), (6, 8))
    distance = np.resize(np.array([0.0, 1e-30, 0.5, 1e30, np.inf], f), (6, 8))
    slope = np.resize(np.array([0.0, 1.0, -1.0, 0.6, 0.8], f), (6, 8, 2))
    for density, offset in ((1e-6, -1e6), (0.3, 0.4), (1e6, 1e6)):
        for name, usual in LOOKS.items():
            style = replace(
                usual, density=density, offset=offset, relief_angle=360.0, edge=1e6 * usual.edge / 2.0
            )
            for n in (1, 2):
                samples = Samples(6, 8, 2_000_000_000, *map(ctx.upload, (count, frac, distance, slope)))
                made[f"{name} {density} {n}: any"] = Painter(ctx).paint(samples, style, n)
    return made


def edges(ctx) -> dict[str, np.ndarray]:
    """Pixels that differ from neighbours: none, some, all."""
    made, painter = {}, Painter(ctx)
    for width, height in _SIZES:
        for name, step in (("none", 0), ("all", 700), ("some", 1)):
            y, x = np.mgrid[:height, :width]
            count = (5 + step * ((x + y) % 2 if name == "all" else (x * y) % 7)).astype(np.int32)
            samples = Samples(
                height, width, 10**6, ctx.upload(count), ctx.upload(np.zeros_like(count, np.float32))
            )
            canvas = painter.canvas(width, height)
            painter.shade(samples, ColourStyle(), canvas)
            pixels = painter.edges(canvas, EDGE_CONTRAST)
            made[f"{name} {width}x{height}: length"] = np.array([pixels.length], np.int32)
            if pixels.length:
                made[f"{name} {width}x{height}: list"] = ctx.download(
                    pixels.buffer, np.empty(pixels.length, np.int32)
                )
    return made


def raw_strips(ctx) -> dict[str, np.ndarray]:
    """Samples packed and unpacked, up to the greatest counts and over the whole range of fractions."""
    made = {}
    for maxiter in (1, 1000, 2_000_000_000):
        for bailout in (2.0, 1024.0, 1e9):
            for rows, cols in ((1, 1), (1, 9), (9, 1), (24, 40)):
                random = np.random.default_rng(rows)
                count = random.integers(1, maxiter, (rows, cols), endpoint=True).astype(np.int32)
                count.flat[0], count.flat[-1] = maxiter, 1
                low = least_fraction(bailout) / 4096
                frac = (low + random.random((rows, cols)) * 1.001).astype(np.float32)
                inside = random.random((rows, cols)) < 0.2
                count[inside], frac[inside] = maxiter + 1, 0
                angle = random.random((rows, cols)) * 7
                slope = np.stack([np.cos(angle), np.sin(angle)], axis=2).astype(np.float32)
                distance = np.exp2(random.uniform(-149, 128, (rows, cols))).astype(np.float32)
                slope[inside], distance[inside] = 0, 0
                samples = Samples(
                    rows, cols, maxiter, *map(ctx.upload, (count, frac, distance, slope))
                )  # fmt: skip
                round_fractions(ctx, samples, bailout)
                codes = codes_of(ctx, samples)
                writer = RawStripWriter(maxiter, bailout)
                writer.take(ctx, samples, 0, 0, time.monotonic(), codes)
                for piece in RawStrip(writer.data()).pieces(ctx):
                    key = f"{maxiter} {bailout} {rows}x{cols}"
                    back = ctx.download(piece.samples.count, np.empty((rows, cols), np.int32))
                    finished_on_error = ctx.download(samples.frac, np.empty((rows, cols), np.float32))
                    assert (back == count).all(), key
                    made[f"{key}: count"] = back
                    made[f"{key}: frac"] = ctx.download(
                        piece.samples.frac, np.empty((rows, cols), np.float32)
                    )
                    assert (made[f"{key}: frac"] == finished_on_error).all(), key
                    distances = ctx.download(piece.samples.distance, np.empty((rows, cols), np.float32))
                    assert (distances == ctx.download(samples.distance, distances.copy())).all(), key
    return made


ZOOMS = (
    {},
    {"frame_width": 2, "frame_height": 2},
    {"frame_width": 2, "frame_height": 160, "num_frames": 5},
    {"frame_width": 128, "frame_height": 4, "strip_density": 4},
    {"strip_density": 0.5, "rotation": 200},
    {"strip_density": 2.5, "num_frames": 1},
    {"start_delta": "1e-4", "end_delta": "3", "easing": "0.7"},
    {
        "point": ",".join(NUCLEUS),
        "start_delta": "1e-9",
        "end_delta": "5.414e-21",
        "maxiter": 3000,
        "num_frames": 9,
    },
    {"num_frames": 3, "start_delta": "1e6", "end_delta": "1e5"},
)


class Shared:
    """A shared zoom made step by step: references, strips, levels, frames."""

    def __init__(self, ctx, **fields):
        payload = {
            "point": ",".join(SEED),
            "num_frames": 7,
            "frame_width": 64,
            "frame_height": 36,
            "maxiter": 300,
            "start_delta": "2.5",
            "end_delta": "1e-3",
            "sampling": "shared",
            "mapping": "root",
            **fields,
        }
        self.recipe = SharedRecipe(parse(loads(json.dumps(payload).encode())))
        self._renderer = FrameRenderer(ctx, band_bytes=16384)
        self.strips, self._resampler, self.made = StripRenderer(self._renderer), Resampler(ctx), {}
        self.raw, self.reached = {}, {}

    def make(self, item: WorkItem):
        """What an item is, its needs made before it."""
        if item not in self.made:
            inputs = [self.make(need) for need in self.recipe.needs(item)]
            self.made[item] = self._make(item, self.recipe.unit(item), inputs)
        return self.made[item]

    def _make(self, item: WorkItem, unit, inputs: list):
        if item.kind == REFERENCE:
            return reference_orbit(unit.re, unit.im, unit.bits, unit.limit)
        if item.kind == FRAME:
            return self._resampler.picture(unit, inputs, RGB)
        if item.kind != STRIP:
            return inputs[0][unit.layout.offset(unit.level) :]
        for reference in inputs:
            self._renderer.keep_reference(unit.re, unit.im, reference)
        writer = RawStripWriter(unit.maxiter, unit.bailout)
        made = self.strips.render(unit.layout, unit.blocks, unit.maxiter, unit.bailout, unit.style, writer)
        self.raw[item] = unit, writer.data()
        self.reached[item] = _reached(self.strips)
        return made


def shared(ctx, number: int) -> dict[str, np.ndarray]:
    """All frames of a zoom out of strips; its strips painted anew as they are and one level finer."""
    zoom = Shared(ctx, **ZOOMS[number])
    frames_ = ZOOMS[number].get("num_frames", 7)
    made = {f"frame {k}: resampled picture": zoom.make(WorkItem(FRAME, k)) for k in range(frames_)}
    made |= {f"{item}: reached": found for item, found in zoom.reached.items()}
    for item, (unit, data) in zoom.raw.items():
        base = unit.layout.finest
        texels = zoom.strips.repaint(unit.layout, base, RawStrip(data), unit.style)
        assert np.array_equal(texels, zoom.made[item]), f"{item}: painted anew it is another"
        assert np.array_equal(zoom.reached[item], _reached(zoom.strips)), (
            f"{item}: painted anew, others reached the limit"
        )
        if base:
            finer = type(unit.layout)(unit.layout.around, unit.layout.rows, base - 1)
            zoom.strips.repaint(finer, base, RawStrip(data), unit.style)
    assert math.prod(next(iter(made.values())).shape) > 0
    return made

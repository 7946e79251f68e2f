"""Pictures: that neither bands, nor how they are painted, nor what came before shows; and zooms."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from decimal import Decimal

import numpy as np

from mandel.colour.style import ColourStyle
from mandel.kernels.contract import BYTE_SHIFT, CHANNEL_BITS
from mandel.payload.payload import EXACT, SHARED, Payload, parse
from mandel.plan.arithmetic import DIRECT, arithmetic, log2_of
from mandel.plan.picture import RGB10
from mandel.plan.view import View
from mandel.protocol.strict_json import loads
from mandel.render.frame import FrameRenderer
from mandel.render.samples import Outputs
from tests.support.zooms import Zoomed, psnr
from tests.sweep import views
from tests.sweep.judge import WELL_CONDITIONED
from tests.sweep.runs import Bench, fetched
from tests.sweep.tally import Report
from tests.sweep.views import Case

ZOOM = "zoom"
# Shared frames at density 1.1 against frames of 2 x 2 samples a pixel, both against 4 x 4: dB (docs/sampling.md).
# The loss may be as much larger as chance makes it, where a handful of pixels has nearly all of the error.
SHARED_LOSS, ENOUGH = 3.0, 36.0
# Pixels of a perturbed picture that may be near the set, and by how many levels others may differ.
ROUNDED, LEVELS = 0.02, 2
MOST_BAILOUT = 1e9


def _equal(
    report: Report,
    check: str,
    one: np.ndarray,
    other: np.ndarray,
    exactly: bool,
    sure: np.ndarray | None = None,
    levels: int = LEVELS,
) -> None:
    """Counts pixels that differ.

    Args:
        sure: the pixels, flat, whose samples are well conditioned; None: all.
        levels: by how many well conditioned pixels may differ where not all must be equal.
    """
    off = np.abs(one.astype(int) - other).reshape(-1, 3).max(axis=1)
    many = int(np.count_nonzero(off > (0 if exactly else levels)))
    if exactly:
        right = many == 0
    else:
        worst = off if sure is None else off[sure]
        right = np.count_nonzero(worst > levels) <= (max(ROUNDED * off.size, 2) if sure is None else 0)
    report.count(check, off.size, 0 if right else many, many if right else 0)
    if not right:
        report.fail(check, f"{many} of {off.size} pixels differ by up to {off.max()} levels")


def _sure(ctx, case: Case) -> np.ndarray:
    """Which samples of a perturbed view leave and are well conditioned.

    Those at -2 stay for hundreds of steps as near to the circle of bailout 2 as rounding can tell: they are none.
    """
    renderer = FrameRenderer(ctx)
    raw, beyond = (
        fetched(ctx, renderer.samples(case.grid, case.maxiter, bailout, Outputs(distance=True)))
        for bailout in (case.bailout, min(case.bailout * (1 + 2**-30), MOST_BAILOUT))
    )
    return (raw.distance > WELL_CONDITIONED) & np.isfinite(raw.distance) & (raw.count == beyond.count)


def check(bench: Bench, case: Case, rng: random.Random, report: Report) -> None:
    """The checks of pictures, of every third small view."""
    view, direct = case.view, case.engine == DIRECT
    if view is None or rng.random() > 0.35:
        return
    size = view.width * view.height
    if size * case.maxiter > 1_000_000 or size > 12_000:
        return
    style = ColourStyle() if rng.random() < 0.6 else ColourStyle(relief=0.5, edge=1.0)
    args = case.maxiter, case.bailout, style
    fresh = FrameRenderer(bench.ctx)
    whole = fresh.picture(view, *args)
    sure = None if direct else _sure(bench.ctx, case)
    few = 2 * 20 * view.width * rng.randint(1, max(view.height // 2, 1))
    _equal(
        report, "pictures in bands", FrameRenderer(bench.ctx, few).picture(view, *args), whole, direct, sure
    )
    _equal(report, "painted as made", FrameRenderer(bench.ctx, timed=True).picture(view, *args), whole, True)
    if style.relief == 0:  # light falls from one side
        # Before they are dithered: that pattern is not mirrored.
        im = view.im[1:] if view.im.startswith("-") else "-" + view.im
        mirrored = replace(view, im=im, turn=view.turn.conjugate())
        one, other = (_undithered(fresh.picture(v, *args, layout=RGB10)) for v in (mirrored, view))
        exactly = direct or view.height % 4 == 0
        _equal(report, "mirrored pictures", one[::-1], other, exactly, sure, LEVELS << BYTE_SHIFT)
    used = FrameRenderer(bench.ctx)
    for _ in range(2):
        used.picture(_another(view, rng), 200, 1000.0, style)
    _equal(report, "pictures rendered before", used.picture(view, *args), whole, True)
    _equal(report, "pictures rendered again", used.picture(view, *args), whole, True)
    if size * case.maxiter <= 250_000:
        _adaptive(report, fresh, view, args)


def _undithered(picture: np.ndarray) -> np.ndarray:
    """The channels of a picture of ten bits each, (H, W, 3)."""
    return picture.view("<u4") >> np.arange(3, dtype=np.uint32) * CHANNEL_BITS & ((1 << CHANNEL_BITS) - 1)


def _another(view: View, rng: random.Random) -> View:
    """Another view of the same centre: deeper or less deep."""
    delta = Decimal(view.delta) * views.power(rng.uniform(-30, 3))
    return View(view.re, view.im, f"{delta:.17e}", rng.randint(1, 20), rng.randint(1, 20))


def _adaptive(report: Report, renderer: FrameRenderer, view: View, args) -> None:
    direct = arithmetic(view.grid(2)).engine == DIRECT  # by which the single samples are iterated as well
    once, full = (renderer.picture(view, *args, n) for n in (1, 2))
    adaptive = renderer.picture(view, *args, 2, adaptive=True).astype(int)
    off = np.minimum(*(np.abs(adaptive - other).max(axis=2) for other in (once, full)))
    many = int(np.count_nonzero(off > (0 if direct else LEVELS)))
    right = many <= (0 if direct else max(ROUNDED * off.size, 1))
    report.count("adaptive pixels", off.size, 0 if right else many, many if right else 0)
    if not right:
        report.fail(
            "adaptive pixels", f"{many} of {off.size} are neither single nor full, by {off.max()} levels"
        )


def payload_of(**fields) -> Payload:
    return parse(loads(json.dumps(fields).encode()))


def zoom(seed: int) -> dict:
    """The fields of a random zoom's payload: few small frames, deep or not."""
    rng = random.Random(f"{ZOOM} {seed}")
    kind = rng.choice(["boundary", "misiurewicz", "julia", "nucleus", "tip", "axis", "minibrot"])
    place = views.KINDS[kind](rng)
    start = place.delta * views.power(rng.uniform(0, 2))
    if rng.random() < 0.5:
        start = min(place.delta * views.power(rng.uniform(0, 200)), Decimal("2.5"))
    limit = max(100, min(int(place.limits[0]), 6_000))
    return {
        "point": f"{place.re},{place.im}",
        "num_frames": rng.randint(2, 5),
        "frame_width": 2 * rng.randint(16, 40),
        "frame_height": 2 * rng.randint(12, 30),
        "maxiter": limit,
        "start_delta": f"{start:e}",
        "end_delta": f"{min(place.delta, start):e}",
        "rotation": str(rng.choice([0, 0, rng.randint(-360, 360)])),
        "easing": str(rng.choice([0, 0.5])),
        "mapping": "root",
    }


def check_zoom(bench: Bench, seed: int, report: Report) -> float:
    """A zoom: about another reference, out as in, and shared as good as exact; returns its depth."""
    fields = zoom(seed)
    there = Zoomed(bench.ctx, payload_of(**fields, sampling=EXACT))
    last = fields["num_frames"] - 1
    for k in (0, last):
        own = there.alone(k)
        _close(report, "zooms about the deepest reference", there.frame(k), own)
    if fields["rotation"] == "0":
        back = fields | {"start_delta": fields["end_delta"], "end_delta": fields["start_delta"]}
        out = Zoomed(bench.ctx, payload_of(**back, sampling=EXACT))
        for k in range(last + 1):
            _close(report, "zoom out as in", out.frame(last - k), there.frame(k))
    for k in (0, last):
        excess, words, pixels = shared_excess(bench.ctx, fields, k)
        report.count("shared zooms", pixels, int(excess > 0))
        if excess > 0:
            report.fail("shared zooms", f"frame {k}: {words}; {json.dumps(fields)[:300]}")
    return -log2_of(Decimal(fields["end_delta"])) / math.log2(10)


def shared_excess(ctx, fields: dict, k: int) -> tuple[float, str, int]:
    """How many dB frame k lacks, shared, as ``lacking`` says; words on it; how many pixels were compared.

    A frame that lacks some is tried once more at twice its size: a line thinner than a pixel that lies just along
    the pixels' edges is spread over two pixels by any resampling. What is really wrong is wrong in both.
    """
    excess, words, pixels = 0.0, "", 0
    for size in (1, 2):
        sized = fields | {
            side: 2 * round(fields[side] * size / 2) for side in ("frame_width", "frame_height")
        }
        exact, shared = (Zoomed(ctx, payload_of(**sized, sampling=how)) for how in (EXACT, SHARED))
        wanted = exact.alone(k, 4)
        excess, words = lacking(shared.frame(k), exact.alone(k, 2), wanted)
        pixels += wanted.size // 3
        if excess <= 0:
            break
    return excess, words, pixels


def lacking(shared: np.ndarray, usual: np.ndarray, wanted: np.ndarray) -> tuple[float, str]:
    """How many dB a shared frame lacks of what it must have (above 0: it is not good enough), and words on it.

    Args:
        shared, usual, wanted: RGB, (H, W, 3); ``usual`` of 2 x 2 samples a pixel, ``wanted`` of more.
    """
    own = psnr(shared, wanted)
    if own > ENOUGH:
        return -1.0, ""
    loss, by_chance = (
        psnr(usual, wanted) - own,
        4.34 * math.hypot(_chance(shared, wanted), _chance(usual, wanted)),
    )
    return loss - SHARED_LOSS - by_chance, (
        f"{own:.1f} dB, {loss:.1f} less than 2 x 2 samples (by chance {by_chance:.1f} more or less)"
    )


def _chance(picture: np.ndarray, wanted: np.ndarray) -> float:
    """The relative standard deviation of the error's sum, as if each pixel were drawn on its own."""
    squares = ((picture - wanted).astype(float) ** 2).sum(axis=2)
    return math.sqrt((squares**2).sum()) / max(squares.sum(), 1.0)


def _close(report: Report, check: str, one: np.ndarray, other: np.ndarray) -> None:
    """All but the last bits of samples: no pixel of the frame, but for a handful next to the set, changes."""
    _equal(report, check, one, other, False)

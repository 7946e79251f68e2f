"""Shared sampling against exact with 1, 4 and 16 samples a pixel, all against 64.

    python benchmarks/shared_quality.py [--density RHO ...] [--view NAME ...] [--held-out]

Views are those that the defaults were chosen on or, with --held-out, others. For
each the last frames of a zoom at 30 frames an octave, 320x180. PSNR, SSIM and VMAF
are of luma, by the bundled ffmpeg. Flicker is the root mean square change of the
error from one frame to the next at the same place of the plane, in luma levels:
what shimmers or pops.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.record import add_option, record
from mandel.colour.style import ColourStyle
from mandel.colour.transfer import decode_srgb
from mandel.device.context import device_context
from mandel.driver.recipes.choose import recipe_of
from mandel.driver.recipes.recipe import FRAME, LIMIT, VIDEO_BAILOUT, WorkItem
from mandel.payload.payload import EXACT, SHARED, Payload, parse
from mandel.plan.zoom import Zoom
from mandel.protocol.strict_json import loads
from mandel.video.ffmpeg import executable
from mandel.worker.functions import FUNCTIONS, Slot, worker_context
from tests.support.colour_oracle import average, yuv420

WIDTH, HEIGHT, FRAMES = 320, 180, 24
SLOT = Slot("cpu")
VIEWS = {  # name: point, delta of the last frame, maxiter
    "home": ("-0.75,0", "1.5", 500),
    "dense spiral": ("-0.743643887037151,0.131825904205330", "1.2e-4", 2000),
    "minibrot": ("-1.7548776662466927,0", "0.036", 2000),
    "dendrite": ("0,1", "0.012", 1000),
    "near interior": ("-1.338238635,-0.057237059", "0.0018", 1000),
    "deep, perturbed": (
        "-1.759817130804847813610825010561798238244,-0.01259331079974986538374663184326485845034",
        "1.8e-13",
        3000,
    ),
}

HELD_OUT = {  # never looked at while the filter and the density were chosen
    "elephant valley": ("0.2925755,-0.0149977", "0.0035", 2000),
    "triple spiral": ("-0.088,0.654", "0.011", 1000),
    "julia island": ("-1.768778833,-0.001738996", "4.6e-7", 3000),
    "satellite": ("-0.1592,-1.0317", "0.028", 1000),
    "antenna": ("-1.9427821,0.0000005", "2.5e-4", 1000),
    "Feigenbaum point": ("-1.401155189,0", "0.006", 2000),
    "off centre": ("-0.3,0.6", "2.4", 500),
}


def payload(view: str, **fields) -> Payload:
    """The zoom that ends at a view."""
    point, delta, maxiter = (VIEWS | HELD_OUT)[view]
    start = float(delta) * 2 ** ((FRAMES - 1) / 30)
    fields |= {"point": point, "end_delta": delta, "start_delta": f"{start:.12g}", "maxiter": maxiter}
    fields |= {"num_frames": FRAMES, "frame_width": WIDTH, "frame_height": HEIGHT, "mapping": "root"}
    return parse(loads(json.dumps(fields).encode()))


class Maker:
    """Makes frames and what they need, one after the other."""

    def __init__(self, payload: Payload):
        self.recipe, self.made = recipe_of(payload), {}

    def make(self, item: WorkItem):
        if item not in self.made:
            made = [(need.kind, self.make(need)) for need in self.recipe.needs(item)]
            inputs = [value for kind, value in made if kind != LIMIT]
            self.made[item] = FUNCTIONS[item.kind](self.recipe.unit(item), SLOT, *inputs)[0]
            if item.kind == LIMIT:
                self.recipe.learn(item, self.made[item])
        return self.made[item]

    def frames(self, count: int) -> np.ndarray:
        """(count, H * 3 / 2, W) uint8, planar YUV 4:2:0."""
        return np.stack([self.make(WorkItem(FRAME, k)) for k in range(count)])


def truth(p: Payload) -> np.ndarray:
    """Frames of 8 x 8 samples a pixel: twice the size at 4 x 4, averaged in linear light."""
    large, frames = replace(p, frame_width=2 * WIDTH, frame_height=2 * HEIGHT), []
    for k in range(FRAMES):
        style = ColourStyle.of(p)
        picture = worker_context(SLOT).frames.picture(
            Zoom.of(large).view(k), p.maxiter, VIDEO_BAILOUT, style, 4
        )
        frames.append(yuv420(average(decode_srgb(picture / 255), 2)))
    return np.stack(frames)


def compare(frames: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    """Mean PSNR, SSIM and VMAF of luma, by libvmaf."""
    with tempfile.TemporaryDirectory() as folder:
        names = [Path(folder) / name for name in ("frames.yuv", "wanted.yuv", "log.json")]
        frames.tofile(names[0])
        wanted.tofile(names[1])
        form = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{WIDTH}x{HEIGHT}", "-r", "30"]
        measure = f"libvmaf=log_fmt=json:log_path={names[2]}:feature=name=psnr|name=float_ssim"
        subprocess.run(
            [
                executable(),
                "-v",
                "error",
                *form,
                "-i",
                names[0],
                *form,
                "-i",
                names[1],
                "-lavfi",
                measure,
                "-f",
                "null",
                "-",
            ],
            check=True,
        )
        pooled = json.loads(names[2].read_text())["pooled_metrics"]
    return {
        name: pooled[key]["mean"]
        for name, key in (("PSNR", "psnr_y"), ("SSIM", "float_ssim"), ("VMAF", "vmaf"))
    }


def flicker(frames: np.ndarray, wanted: np.ndarray, p: Payload) -> float:
    """RMS change of the luma error along the motion, levels."""
    errors = frames[:, :HEIGHT].astype(float) - wanted[:, :HEIGHT]
    zoom, changes = Zoom.of(p), []
    x, y = np.arange(WIDTH) - (WIDTH - 1) / 2, np.arange(HEIGHT) - (HEIGHT - 1) / 2
    for k in range(FRAMES - 1):
        # Each pixel of frame k + 1 lies further in on frame k.
        step = float(Decimal(zoom.delta(k + 1)) / Decimal(zoom.delta(k)))
        changes.append(_bilinear(errors[k], x * step, y * step) - errors[k + 1])
    return math.sqrt(np.mean(np.square(changes)))


def _bilinear(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The picture at offsets x by y from its centre."""

    def halves(at, size):
        at = at + (size - 1) / 2
        low = np.clip(np.floor(at).astype(int), 0, size - 2)
        return low, at - low

    (i, fx), (j, fy) = halves(x, WIDTH), halves(y, HEIGHT)
    rows = picture[j] * (1 - fy[:, None]) + picture[j + 1] * fy[:, None]
    return rows[:, i] * (1 - fx) + rows[:, i + 1] * fx


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--density", nargs="+", default=["1.1"])
    parser.add_argument("--view", nargs="+", choices=[*VIEWS, *HELD_OUT])
    parser.add_argument("--held-out", action="store_true", help="the views that nothing was chosen on")
    add_option(parser)
    options, rows = parser.parse_args(), []
    ways = {f"exact, {n * n}": {"sampling": EXACT, "supersampling": n} for n in (1, 2, 4)}
    ways |= {f"shared, {d}": {"sampling": SHARED, "strip_density": d} for d in options.density}
    print("| view | sampling | PSNR | SSIM | VMAF | flicker |\n|---|---|---|---|---|---|")
    for view in options.view or (HELD_OUT if options.held_out else VIEWS):
        wanted = truth(payload(view))
        for way, fields in ways.items():
            p = payload(view, **fields)
            frames = Maker(p).frames(FRAMES)
            m, change = compare(frames, wanted), flicker(frames, wanted, p)
            print(
                f"| {view} | {way} | {m['PSNR']:.2f} | {m['SSIM']:.4f} | {m['VMAF']:.1f} | {change:.2f} |",
                flush=True,
            )
            rows.append(
                {
                    "view": view,
                    "sampling": way,
                    "PSNR, dB": round(m["PSNR"], 2),
                    "SSIM": round(m["SSIM"], 4),
                    "VMAF": round(m["VMAF"], 1),
                    "flicker, levels": round(change, 2),
                }
            )
    label = "some views" if options.view else "held out" if options.held_out else "chosen on"
    context = device_context()
    record("shared_quality", rows, context.device.name, context.cores, options.results, label)


if __name__ == "__main__":
    main()

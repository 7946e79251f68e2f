"""Shared against exact sampling at equal quality: samples iterated and CPU time.

    python benchmarks/shared_speed.py [--width W --height H] [--zoom shallow deep] [--octaves N]

Frames are made one after the other by this process, on CPU cores, to YUV,
not encoded. Exact frames have 2 x 2 samples a pixel, which docs/sampling.md
measures to be no better; ten of them, evenly spread, are timed and stand for all.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.shared_quality import Maker  # noqa: E402
from mandel.payload import EXACT, SHARED, Payload, parse  # noqa: E402
from mandel.protocol.strict_json import loads  # noqa: E402
from mandel.render.recipe import FRAME, Item  # noqa: E402
from mandel.render.shared_recipe import STRIP  # noqa: E402

ZOOMS = {  # point, start_delta as a power of two, maxiter
    "shallow": ("-0.743643887037151,0.131825904205330", 1, 2000),
    "deep": (
        "-1.759817130804847813610825010561798238244,-0.01259331079974986538374663184326485845034", -34, 3000,
    ),
}
RATES = (4, 15, 30, 60)
TIMED = 10


def payload(zoom: str, octaves: int, rate: int, options, **fields) -> Payload:
    point, start, maxiter = ZOOMS[zoom]
    fields |= {
        "point": point, "maxiter": maxiter, "start_delta": f"{2.0**start:.17g}",
        "end_delta": f"{2.0 ** (start - octaves):.17g}", "num_frames": octaves * rate + 1,
        "frame_width": options.width, "frame_height": options.height,
    }
    return parse(loads(json.dumps(fields).encode()))


def shared(p: Payload) -> tuple[int, float, float]:
    """Samples iterated, CPU seconds for strips, for all."""
    maker, started, strips = Maker(p), time.process_time(), 0.0
    for frame in range(p.num_frames):
        item = Item(FRAME, frame)
        begun = time.process_time()
        for need in maker.recipe.needs(item):
            maker.make(need)
        strips += time.process_time() - begun
        maker.make(item)
        del maker.made[item]
    made = [item for item in maker.made if item.kind == STRIP]
    samples = sum(b.grid.rows * b.grid.cols for item in made for b in maker.recipe.unit(item).blocks)
    return samples, strips, time.process_time() - started


def exact(p: Payload) -> tuple[int, float]:
    """Samples of all frames, and their CPU seconds as ten of them tell."""
    maker = Maker(p)
    picked = [round(k * (p.num_frames - 1) / (TIMED - 1)) for k in range(TIMED)]
    for need in maker.recipe.needs(Item(FRAME, picked[-1])):
        maker.make(need)
    maker.make(Item(FRAME, picked[0]))
    del maker.made[Item(FRAME, picked[0])]
    started = time.process_time()
    for frame in picked:
        maker.make(Item(FRAME, frame))
    return p.samples, (time.process_time() - started) / TIMED * p.num_frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--zoom", nargs="+", default=list(ZOOMS), choices=ZOOMS)
    parser.add_argument("--octaves", type=int, default=8)
    options = parser.parse_args()
    print("| zoom | frames an octave | samples, shared / exact | ratio "
          "| CPU seconds, strips + frames / exact | ratio |")
    print("|---|---|---|---|---|---|")
    for zoom in options.zoom:
        shared(payload(zoom, 1, 1, options, sampling=SHARED))  # kernels are built
        for rate in RATES:
            ours = shared(payload(zoom, options.octaves, rate, options, sampling=SHARED))
            theirs = exact(payload(zoom, options.octaves, rate, options, sampling=EXACT, supersampling=2))
            print(f"| {zoom} | {rate} | {ours[0] / 1e6:.1f} M / {theirs[0] / 1e6:.0f} M "
                  f"| {theirs[0] / ours[0]:.1f} | {ours[1]:.1f} + {ours[2] - ours[1]:.1f} / {theirs[1]:.1f} | {theirs[1] / ours[2]:.1f} |",
                  flush=True)  # fmt: skip


if __name__ == "__main__":
    main()

"""Where the CPU time of a shared frame goes, once its strips are there.

    python benchmarks/shared_frame.py [--width W --height H] [--zoom shallow deep] [--label before]

The frames of two octaves, forth and back, to YUV, on all CPU cores. Each part is repeated for some seconds; the least
CPU time of a few repeats counts. What is left of the whole is the kernel that resamples, and Python.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.record import add_option, record
from benchmarks.shared_quality import Maker
from benchmarks.shared_speed import ZOOMS, Time, payload
from mandel.device.context import device_context
from mandel.driver.recipes.recipe import FRAME, WorkItem
from mandel.payload.payload import SHARED
from mandel.render.resampler import Resampler
from mandel.render.tally import black_share, is_flat
from mandel.tasks.units import ResampleUnit
from mandel.video.encode import encode_segment

SECONDS, REPEATS, ENCODED = 2.0, 5, 24


def least(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """CPU seconds of one call, the least of some means over ``repeats`` calls; of child processes too."""
    work()
    found, until = [], time.monotonic() + SECONDS
    while time.monotonic() < until or len(found) < 3:
        began = Time.now()
        for _ in range(repeats):
            work()
        found.append(Time.now().since(began).cpu / repeats)
    return min(found)


def parts(zoom: str, options) -> dict[str, float]:
    """CPU microseconds a pixel of a frame's parts."""
    maker, item = (
        Maker(payload(zoom, 2, ENCODED // 2, options, sampling=SHARED)),
        WorkItem(FRAME, ENCODED // 2),
    )
    unit, p = maker.recipe.unit(item), maker.recipe._payload
    resampler = Resampler(device_context("cpu"))

    def frame(number: int) -> tuple[ResampleUnit, list[np.ndarray]]:
        item = WorkItem(FRAME, number)
        return maker.recipe.unit(item), [maker.make(need) for need in maker.recipe.needs(item)]

    frames = [frame(number) for number in (*range(ENCODED), *range(ENCODED)[::-1])]
    following = cycle(frames).__next__
    picture = resampler.picture(*frames[ENCODED // 2])
    canvas = resampler._painter.canvas(unit.width, unit.height)
    segment = maker.frames(ENCODED)
    seconds = {
        "all": least(lambda: resampler.picture(*following()), len(frames)),
        "texels brought together": least(lambda: resampler._fill(*following()), len(frames)),
        "to YUV": least(lambda: resampler._painter.develop(canvas, unit.layout)),
        "flat or black": least(lambda: (is_flat(picture), black_share(picture))),
        "encoding": least(lambda: encode_segment(segment, p.frame_width, p.frame_height, p.fps)) / ENCODED,
    }
    others = seconds["texels brought together"] + seconds["to YUV"]
    seconds = {"all": seconds.pop("all"), "resampling": 0.0, **seconds}
    seconds["resampling"] = seconds["all"] - others
    return {part: round(1e6 * s / (unit.width * unit.height), 4) for part, s in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--zoom", nargs="+", default=list(ZOOMS), choices=ZOOMS)
    parser.add_argument("--label", default="", help="tells runs apart, such as before and after a change")
    add_option(parser)
    options, rows = parser.parse_args(), []
    for zoom in options.zoom:
        found = parts(zoom, options)
        rows += [{"zoom": zoom, "part": part, "CPU us a pixel": value} for part, value in found.items()]
        print(zoom, found, flush=True)
    context = device_context("cpu")
    label = f"{options.width}x{options.height}" + (f" {options.label}" if options.label else "")
    record("shared_frame", rows, context.device.name, context.cores, options.results, label)


if __name__ == "__main__":
    main()

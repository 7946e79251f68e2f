"""Shared against exact sampling at equal quality: samples iterated, CPU time and wall time.

    python benchmarks/shared_speed.py [--width W --height H] [--zoom shallow deep] [--octaves N] [--rates N ...]

Frames are made one after the other by this process, each on all CPU cores, to YUV.
Encoding, the same for both, is timed apart: the shared frames, a batch at a time.
Exact frames have 2 x 2 samples a pixel, which docs/sampling.md measures to be no
better; ten of them, evenly spread, are timed and stand for all.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.record import add_option, record
from benchmarks.shared_quality import Maker
from mandel.device.context import device_context
from mandel.driver.recipes.recipe import FRAME, WorkItem
from mandel.driver.recipes.shared import STRIP
from mandel.payload.payload import EXACT, SHARED, Payload, parse
from mandel.protocol.strict_json import loads
from mandel.video.encode import encode_segment

ZOOMS = {  # point, start_delta as a power of two, maxiter
    "shallow": ("-0.743643887037151,0.131825904205330", 1, 2000),
    "deep": (
        "-1.759817130804847813610825010561798238244,-0.01259331079974986538374663184326485845034",
        -34,
        3000,
    ),
}
RATES = (4, 15, 30, 60)
TIMED, BATCH = 10, 60


@dataclass
class Time:
    """CPU seconds, of ended child processes too, and wall seconds."""

    cpu: float = 0.0
    wall: float = 0.0

    @classmethod
    def now(cls) -> Time:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return cls(time.process_time() + children.ru_utime + children.ru_stime, time.perf_counter())

    def since(self, then: Time) -> Time:
        return Time(self.cpu - then.cpu, self.wall - then.wall)

    def add(self, other: Time, times: float = 1.0) -> None:
        self.cpu += other.cpu * times
        self.wall += other.wall * times


def payload(zoom: str, octaves: int, rate: int, options, **fields) -> Payload:
    point, start, maxiter = ZOOMS[zoom]
    fields |= {
        "point": point,
        "maxiter": maxiter,
        "start_delta": f"{2.0**start:.17g}",
        "end_delta": f"{2.0 ** (start - octaves):.17g}",
        "num_frames": octaves * rate + 1,
        "frame_width": options.width,
        "frame_height": options.height,
    }
    return parse(loads(json.dumps(fields).encode()))


def shared(p: Payload) -> tuple[int, dict[str, Time]]:
    """Samples iterated; times of strips, frames and encoding."""
    maker, spent, batch = Maker(p), {"strips": Time(), "frames": Time(), "encoding": Time()}, []

    def timed(part: str, work, *arguments):
        began = Time.now()
        result = work(*arguments)
        spent[part].add(Time.now().since(began))
        return result

    for frame in range(p.num_frames):
        item = WorkItem(FRAME, frame)
        for need in maker.recipe.needs(item):
            timed("strips", maker.make, need)
        batch.append(timed("frames", maker.make, item))
        del maker.made[item]
        if len(batch) == BATCH or frame == p.num_frames - 1:
            timed("encoding", encode_segment, batch, p.frame_width, p.frame_height, p.fps)
            batch = []
    made = [item for item in maker.made if item.kind == STRIP]
    samples = sum(b.grid.rows * b.grid.cols for item in made for b in maker.recipe.unit(item).blocks)
    return samples, spent


def exact(p: Payload) -> tuple[int, Time]:
    """Samples of all frames, and their times as ten of them tell."""
    maker = Maker(p)
    picked = [round(k * (p.num_frames - 1) / (TIMED - 1)) for k in range(TIMED)]
    for need in maker.recipe.needs(WorkItem(FRAME, picked[-1])):
        maker.make(need)
    maker.make(WorkItem(FRAME, picked[0]))
    del maker.made[WorkItem(FRAME, picked[0])]
    began, spent = Time.now(), Time()
    for frame in picked:
        maker.make(WorkItem(FRAME, frame))
    spent.add(Time.now().since(began), p.num_frames / TIMED)
    return p.samples, spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--zoom", nargs="+", default=list(ZOOMS), choices=ZOOMS)
    parser.add_argument("--octaves", type=int, default=8)
    parser.add_argument("--rates", type=int, nargs="+", default=RATES, help="frames an octave")
    add_option(parser)
    options, rows = parser.parse_args(), []
    print(
        "| zoom | frames an octave | samples, shared / exact | ratio | CPU s, strips + frames / exact | ratio "
        "| wall s, shared / exact | encoding, CPU s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for zoom in options.zoom:
        shared(payload(zoom, 1, 1, options, sampling=SHARED))  # kernels are built
        for rate in options.rates:
            samples, ours = shared(payload(zoom, options.octaves, rate, options, sampling=SHARED))
            p = payload(zoom, options.octaves, rate, options, sampling=EXACT, supersampling=2)
            all_samples, theirs = exact(p)
            strips, frames = ours["strips"], ours["frames"]
            cells = (
                zoom,
                rate,
                f"{samples / 1e6:.1f} M / {all_samples / 1e6:.0f} M",
                f"{all_samples / samples:.1f}",
                f"{strips.cpu:.2f} + {frames.cpu:.2f} / {theirs.cpu:.1f}",
                f"{theirs.cpu / (strips.cpu + frames.cpu):.1f}",
                f"{strips.wall + frames.wall:.2f} / {theirs.wall:.1f}",
                f"{ours['encoding'].cpu:.2f}",
            )
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)
            rows.append(
                {
                    "zoom": zoom,
                    "frames an octave": rate,
                    "samples, shared, M": round(samples / 1e6, 1),
                    "samples, exact, M": round(all_samples / 1e6, 1),
                    "strips, CPU s": round(strips.cpu, 2),
                    "frames, CPU s": round(frames.cpu, 2),
                    "exact, CPU s": round(theirs.cpu, 2),
                    "exact / shared": round(theirs.cpu / (strips.cpu + frames.cpu), 1),
                    "encoding, CPU s": round(ours["encoding"].cpu, 2),
                }
            )
    context = device_context()
    record(
        "shared_speed",
        rows,
        context.device.name,
        context.cores,
        options.results,
        f"{options.width}x{options.height}",
    )


if __name__ == "__main__":
    main()

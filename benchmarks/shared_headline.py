"""How long a long zoom takes on this machine, next to exact frames: measured in parts and added up.

    python benchmarks/shared_headline.py [PAYLOAD] [--places N]

For zooms that take too long to be run for a measurement (by default 1920x1080, 60
frames a second, 2.5 to 1e-100). Measured are: the reference orbit and the iteration
limits, whole; strips at N depths evenly spread, scaled by samples to those of all
strips; the first second of frames, and their encoding; one exact frame of 2 x 2
samples a pixel at each of the depths. The sums hold no Ray, no socket and no DB/.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.record import add_option, record  # noqa: E402
from benchmarks.shared_quality import Maker  # noqa: E402
from benchmarks.shared_speed import Time  # noqa: E402
from mandel.device.context import device_context  # noqa: E402
from mandel.driver.recipes.recipe import FRAME, LIMIT, REFERENCE, WorkItem  # noqa: E402
from mandel.driver.recipes.shared import STRIP  # noqa: E402
from mandel.payload.payload import EXACT, parse  # noqa: E402
from mandel.protocol.strict_json import loads  # noqa: E402
from mandel.video.encode import encode_segment  # noqa: E402


def samples(unit) -> int:
    return sum(block.grid.rows * block.grid.cols for block in unit.blocks)


ROWS: list[dict] = []


def line(name: str, spent: Time, note: str = "") -> None:
    """Prints a part and keeps it for the result file."""
    ROWS.append({"part": name, "CPU, s": round(spent.cpu, 1), "measured": note.lstrip(",; ") or "whole"})
    print(f"{name:34} {spent.cpu:9.1f} s of CPU {spent.wall:9.1f} s{note}", flush=True)


def main() -> None:  # noqa: PLR0915
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("payload", nargs="?", default=str(ROOT / "payloads" / "hd60-1e-100.json"))
    parser.add_argument("--places", type=int, default=5)
    add_option(parser)
    options = parser.parse_args()
    p = parse(loads(Path(options.payload).read_bytes()))
    context = device_context()
    print(
        f"{datetime.date.today()}, {context.device.name}, {context.cores} cores; {p.num_frames} frames "
        f"{p.frame_width}x{p.frame_height}, {p.start_delta} to {p.end_delta}"
    )
    maker, total = Maker(p), Time()
    strips = maker.recipe.strips
    began = Time.now()
    for need in maker.recipe.needs(WorkItem(STRIP, strips.last)):
        maker.make(need)
    total.add(Time.now().since(began))
    line("reference orbit, limits", total)

    frames = range(min(p.num_frames, round(float(p.fps))))
    for need in maker.recipe.needs(WorkItem(FRAME, 0)):
        maker.make(need)  # kernels are built
    maker.make(WorkItem(FRAME, 0))
    del maker.made[WorkItem(FRAME, 0)]
    for frame in frames:
        for need in maker.recipe.needs(WorkItem(FRAME, frame)):
            maker.make(need)
    began = Time.now()
    pictures = [maker.make(WorkItem(FRAME, frame)) for frame in frames]
    made = Time()
    made.add(Time.now().since(began), p.num_frames / len(frames))
    line("frames", made, f", as {len(frames)} tell")
    began = Time.now()
    encode_segment(pictures, p.frame_width, p.frame_height, p.fps)
    encoded = Time()
    encoded.add(Time.now().since(began), p.num_frames / len(frames))
    del pictures
    for item in [item for item in maker.made if item.kind not in (REFERENCE, LIMIT)]:
        del maker.made[item]

    whole = sum(
        samples(maker.recipe.unit(WorkItem(STRIP, k)))
        for k in range(strips.last + 1)
        if strips.frames(k, range(strips.coarsest + 1))
    )
    depths = [(k + 0.5) / options.places for k in range(options.places)]
    some, spent = 0, Time()
    for depth in depths:
        item = WorkItem(STRIP, round(depth * strips.last))
        began = Time.now()
        maker.make(item)
        spent.add(Time.now().since(began))
        some += samples(maker.recipe.unit(item))
        del maker.made[item]
    iterated = Time()
    iterated.add(spent, whole / some)
    line("strips", iterated, f", as {some / 1e6:.0f} M of {whole / 1e6:.0f} M samples tell")
    line("encoding", encoded, ", one core")
    for part in (made, iterated, encoded):
        total.add(part)
    line("shared, all", total, f"; CPU over cores {total.cpu / context.cores / 60:.0f} min")

    exact, one = Maker(replace(p, sampling=EXACT, supersampling=2)), Time()
    exact.made |= maker.made
    for item, value in exact.made.items():
        if item.kind == LIMIT:
            exact.recipe.learn(item, value)
    for depth in depths:
        item = WorkItem(FRAME, round(depth * (p.num_frames - 1)))
        began = Time.now()
        exact.make(item)
        one.add(Time.now().since(began))
        del exact.made[item]
    frames_exact = Time()
    frames_exact.add(one, p.num_frames / options.places)
    frames_exact.add(encoded)
    line("exact, 4 samples a pixel, encoded", frames_exact, f", as {options.places} frames tell")
    print(f"ratio of CPU seconds: {frames_exact.cpu / total.cpu:.0f}")
    record("shared_headline", ROWS, context.device.name, context.cores, options.results)


if __name__ == "__main__":
    main()

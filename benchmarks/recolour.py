"""A zoom rendered with its strips kept, and made again from them with another palette: CPU seconds, bytes.

    python benchmarks/recolour.py [--payload payloads/deep-300.json] [--start D --end D] [--octave FRAMES]

Frames and strips are made one after the other by this process, on CPU cores, not
encoded. The reference orbit and the iteration limits are counted apart.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.record import add_option, record
from mandel.device.context import device_context
from mandel.driver.files.strip_files import StripFiles
from mandel.driver.recipes.choose import recipe_of
from mandel.driver.recipes.recipe import FRAME, LIMIT, REFERENCE, STRIP, WorkItem
from mandel.payload.decimal_text import Number
from mandel.payload.payload import SHARED, Payload, parse
from mandel.plan.arithmetic import log2_of
from mandel.protocol.strict_json import loads
from mandel.tasks.units import StripUnit
from mandel.worker.functions import FUNCTIONS, Slot


def make(p: Payload, folder: Path, found: dict | None = None, source: Payload | None = None):
    """CPU seconds by kind of item, and the strips that were kept."""
    files = StripFiles("job", folder, found, keeps=True)
    files.seen(files.look())
    recipe, made, spent, kept, samples = recipe_of(p, files, source), {}, {}, {}, 0

    def one(item: WorkItem) -> None:
        nonlocal samples
        needs = recipe.needs(item)
        for need in needs:
            if need not in made:
                one(need)
        begun, unit = time.process_time(), recipe.unit(item)
        inputs = [made[need] for need in needs if need.kind != "limit"]
        if item.kind == STRIP and not isinstance(unit, StripUnit):
            inputs = [files.file(item.index).read()]
        made[item], facts = FUNCTIONS[item.kind](unit, Slot("cpu"), *inputs)
        if item.kind == "limit":
            recipe.learn(item, made[item])
        if isinstance(unit, StripUnit):
            samples += sum(block.grid.rows * block.grid.cols for block in unit.blocks)
            event = files.write(files.made(item.index), unit.layout.finest, facts["raw"])
            kept[item.index] = [event.path, event.base, event.bytes, event.sha256]
        spent[item.kind] = spent.get(item.kind, 0.0) + time.process_time() - begun

    for frame in range(p.num_frames):
        one(WorkItem(FRAME, frame))
        del made[WorkItem(FRAME, frame)]
    return spent, kept, samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--payload", default="payloads/deep-300.json")
    parser.add_argument("--width", default="320")
    parser.add_argument("--height", default="180")
    parser.add_argument("--start", default="1e-96")
    parser.add_argument("--end", default="1e-100")
    parser.add_argument("--octave", type=int, default=15)
    add_option(parser)
    options = parser.parse_args()
    fields = loads(Path(options.payload).read_bytes()) | {
        "sampling": SHARED,
        "keep_strips": True,
        "start_delta": options.start,
        "end_delta": options.end,
        "frame_width": Number(options.width),
        "frame_height": Number(options.height),
    }
    octaves = abs(log2_of(Decimal(options.start)) - log2_of(Decimal(options.end)))
    p = replace(parse(fields), num_frames=round(octaves * options.octave) + 1)
    with tempfile.TemporaryDirectory() as name:
        spent, kept, samples = make(p, Path(name))
        again, _, iterated = make(replace(p, palette="ember", keep_strips=False), Path(name), kept, p)
    size = sum(file[2] for file in kept.values())
    print(f"{p.num_frames} frames {p.frame_width}x{p.frame_height}, {len(kept)} strips, {samples:,} samples")
    print(f"kept: {size:,} bytes, {size / samples:.2f} a sample")
    rows = []
    for name, seconds in (("rendered and kept", spent), ("made again with another palette", again)):
        each = ", ".join(f"{kind} {value:.1f}" for kind, value in seconds.items())
        print(f"{name}: {sum(seconds.values()):.1f} CPU seconds ({each})")
        orbit = seconds.get(REFERENCE, 0.0) + seconds.get(LIMIT, 0.0)
        rows.append(
            {
                "run": name,
                "strips, CPU s": round(seconds[STRIP], 2),
                "frames, CPU s": round(seconds[FRAME], 2),
                "reference and limits, CPU s": round(orbit, 2),
                "all, CPU s": round(sum(seconds.values()), 2),
            }
        )
    print(f"samples iterated the second time: {iterated}")
    context = device_context()
    note = f"{p.num_frames} frames {p.frame_width}×{p.frame_height}; {len(kept)} strips, {size / 1e6:.1f} MB."
    record("recolour", rows, context.device.name, context.cores, options.results, note=note)


if __name__ == "__main__":
    main()

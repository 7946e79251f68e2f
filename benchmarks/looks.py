"""Twenty places at six depths: how often colours turn over each frame, and contact sheets to look at.

    python benchmarks/looks.py [FIELD=VALUE ...] [--sheet FILE.jpg] [--places N,N..] [--device D] [--results FOLDER]

FIELD=VALUE are fields of the payload, such as mapping=root or palette=ember. Each place is a zoom from 2.5 to its delta
(looks.json), with key views as the service has them; frames are at six depths, evenly spaced. Turns are counted between
the 5th and the 95th percentile of the phases of a frame's samples outside the set. Frames on a sheet have 2 x 2 samples
a pixel.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from decimal import Decimal
from pathlib import Path

import imageio.v3 as imageio
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.record import add_option, record
from mandel.colour.style import ColourStyle
from mandel.device.context import device_context
from mandel.driver.recipes.exact import ExactRecipe
from mandel.driver.recipes.recipe import FRAME, LEARNED, LIMIT, REFERENCE, VIDEO_BAILOUT, WorkItem
from mandel.payload.payload import Payload, parse
from mandel.plan.reference import Reference
from mandel.protocol.strict_json import loads
from mandel.render.frame import FrameRenderer
from mandel.worker.functions import FUNCTIONS, Slot

ROOT = Path(__file__).parents[1]
DEPTHS = 6
WIDTH, HEIGHT = 192, 108


def payload(place: dict, look: dict) -> Payload:
    """The zoom to a place, of ``DEPTHS`` frames, the first one a step deeper than the whole set."""
    steps = -math.log10(2.5) - Decimal(place["delta"]).log10().__float__()
    first = Decimal(10) ** Decimal(f"{-steps / DEPTHS - math.log10(2.5):.6f}")
    asked = {"point": place["point"], "start_delta": f"{first:.6e}", "end_delta": place["delta"]}
    size = {"num_frames": DEPTHS, "frame_width": WIDTH, "frame_height": HEIGHT}
    return parse(loads(json.dumps(asked | size | look).encode()))


def learned(p: Payload, slot: Slot) -> tuple[ExactRecipe, Reference | None]:
    """The recipe of the whole zoom from 2.5 on, its key views learned, and the reference orbit that it needs."""
    whole = parse(loads(json.dumps(p.canonical() | {"start_delta": "2.5", "num_frames": 1000}).encode()))
    recipe, reference = ExactRecipe(whole), None
    for item in recipe.needs(WorkItem(FRAME, whole.num_frames - 1)):
        if item.kind == REFERENCE:
            reference, _ = FUNCTIONS["reference"](recipe.unit(item), slot)
    for key in recipe.needs(WorkItem(FRAME, whole.num_frames - 1)):
        if key.kind == LIMIT:
            needs = [need for need in recipe.needs(key) if need.kind not in LEARNED]
            value, _ = FUNCTIONS["limit"](recipe.unit(key), slot, *([reference] if needs else []))
            recipe.learn(key, value)
    return recipe, reference


def turns(style: ColourStyle, smooth: np.ndarray) -> float:
    """Turns around the palette between the 5th and the 95th percentile of smooth counts."""
    low, high = np.percentile(smooth, (5, 95))
    if style.mapping == "even":
        bases, values, slopes = np.array(style.curve).T

        def mapped(mu):
            at = np.searchsorted(bases, mu, side="right") - 1
            return values[at] + slopes[at] * (mu - bases[at])
    else:
        mapped = {"root": math.sqrt, "linear": float, "log": lambda mu: math.log2(mu + 1)}[style.mapping]
    return float(style.density * (mapped(high) - mapped(low)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("fields", nargs="*", metavar="FIELD=VALUE")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--places")
    parser.add_argument("--device", default="cpu")
    add_option(parser)
    options = parser.parse_args()
    look = dict(field.split("=", 1) for field in options.fields)
    places = json.loads((ROOT / "benchmarks/looks.json").read_text())
    if options.places:
        places = [places[int(number)] for number in options.places.split(",")]
    slot, ctx = Slot(options.device), device_context(options.device)
    rows, table = [], []
    for place in places:
        p = payload(place, look)
        recipe, reference = learned(p, slot)
        renderer = FrameRenderer(ctx)
        if reference is not None:
            renderer.keep_reference(p.re, p.im, reference)
        frames, found = [], []
        for k in range(DEPTHS):
            view = p.camera.view(k)
            limit, style = recipe.limits.of(view.delta), ColourStyle.of(p, recipe.limits.curve())
            count, smooth = renderer.raw(view, limit, VIDEO_BAILOUT)
            outside = smooth[count <= limit]
            found.append(round(turns(style, outside), 2) if len(outside) > 50 else None)
            if options.sheet:
                frames.append(renderer.picture(view, limit, VIDEO_BAILOUT, style, 2))
        table.append({"place": place["name"]} | {f"depth {k + 1}": value for k, value in enumerate(found)})
        print(f"{place['name']:24}", found, flush=True)
        if frames:
            rows.append(np.concatenate(frames, axis=1))
    if options.sheet:
        imageio.imwrite(options.sheet, np.concatenate(rows), quality=82)
    every = [value for row in table for name, value in row.items() if name != "place" and value is not None]
    print(
        f"{len(every)} frames: {min(every)} to {max(every)}, {sum(0.3 <= v <= 3 for v in every)} within 0.3 to 3"
    )
    label = ", ".join(options.fields)
    record("looks", table, ctx.device.name, ctx.cores, options.results, label)


if __name__ == "__main__":
    main()

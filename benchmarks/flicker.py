"""What shimmers along the motion, and what shows bands: two figures of the look, at places at two depths each.

    python benchmarks/flicker.py [--width 320] [--only flicker]

Flicker: frame n is warped onto frame n + 1 by the known zoom (bicubic, by Pillow); of the luma that is left, what a
3x3 mean takes away is the band of single pixels. Its root mean square in levels of 255 is told. Warping alone leaves
some, which the rows of 16 samples a pixel show.

Banding: in dark flats (luma below 64; less than 0.15 levels a pixel between neighbours, but not constant) the share of
pixels that lie in a horizontal run of STEP pixels or more of one value. Such runs are the steps that are seen as bands.
"not dithered" is the 10-bit picture, smoothed and rounded to 8 bits.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.record import add_option, record
from mandel.driver.recipes.choose import recipe_of
from mandel.driver.recipes.recipe import FRAME, LEARNED, WorkItem
from mandel.payload.payload import Payload, parse
from mandel.plan.picture import RGB, YUV420
from mandel.protocol.strict_json import loads
from mandel.video.encode import encode_segment
from mandel.video.ffmpeg import executable
from mandel.worker.functions import FUNCTIONS, Slot, worker_context

SLOT = Slot("cpu")
PER_OCTAVE, FRAMES, STEP = 30, 4, 16
DARK, FLAT, CONSTANT = 64, 0.15, 0.002
# Point, and the two deltas at which it is looked at; the zoom goes to the second one.
PLACES = {
    "seahorses": (
        "-0.743643887037158704752191506114774,0.131825904205311970493132056385139",
        "1e-4",
        "1e-12",
    ),
    "minibrot": (
        "-1.76877880004456962773548039034644982,-0.00173890993898926807174889460619279",
        "1e-3",
        "6e-7",
    ),
    "branches": (
        "-0.101096332989364635210002519608650612235367,0.956286538732144643347825418429319760129743",
        "1e-3",
        "3e-14",
    ),
}
WAYS = {
    "exact, 1": {},
    "exact, 4": {"supersampling": 2},
    "exact, 16": {"supersampling": 4},
    "shared": {"sampling": "shared"},
}
FILMS = [("h264", "draft"), ("h264", "good"), ("h264", "best"), ("hevc", "good"), ("av1", "good")]


def payload(place: str, width: int, **fields) -> Payload:
    """The zoom from the whole set to the place's second delta."""
    point, _, delta = PLACES[place]
    frames = math.ceil(PER_OCTAVE * math.log2(2.5 / float(delta))) + 1
    fields |= {"point": point, "end_delta": delta, "num_frames": frames}
    return parse(loads(json.dumps(fields | {"frame_width": width, "frame_height": width * 9 // 16}).encode()))


class Maker:
    """Makes frames and what they need, one after the other."""

    def __init__(self, asked: Payload):
        self.recipe, self.made = recipe_of(asked), {}

    def make(self, item: WorkItem):
        if item not in self.made:
            made = [(need, self.make(need)) for need in self.recipe.needs(item)]
            inputs = [value for need, value in made if need.kind not in LEARNED]
            self.made[item] = FUNCTIONS[item.kind](self.recipe.unit(item), SLOT, *inputs)[0]
            if item.kind in LEARNED:
                self.recipe.learn(item, self.made[item])
        return self.made[item]


def frames_at(asked: Payload, delta: str) -> list[int]:
    """FRAMES frames, the last of which is the first as deep as ``delta``."""
    last = next(f for f in range(asked.num_frames) if Decimal(asked.zoom.delta(f)) <= Decimal(delta))
    return list(range(last - FRAMES + 1, last + 1))


def box(picture: np.ndarray, side: int) -> np.ndarray:
    """Means of side x side pixels about each; at edges pixels are repeated."""
    summed = np.pad(picture, side // 2, mode="edge")
    for axis in (0, 1):
        summed = np.lib.stride_tricks.sliding_window_view(summed, side, axis).mean(-1)
    return summed


def flicker(asked: Payload, delta: str, maker: Maker) -> float:
    """Root mean square of what single pixels change along the motion, levels."""
    height, width = asked.frame_height, asked.frame_width
    frames = frames_at(asked, delta)
    lumas = [maker.make(WorkItem(FRAME, f))[:height].astype(np.float32) * (255 / 219) for f in frames]
    left = []
    for k, frame in enumerate(frames[1:]):
        step = float(Decimal(asked.zoom.delta(frame)) / Decimal(asked.zoom.delta(frame - 1)))
        at = (step, 0, width / 2 * (1 - step), 0, step, height / 2 * (1 - step))
        warped = Image.fromarray(lumas[k]).transform(
            (width, height), Image.Transform.AFFINE, at, Image.Resampling.BICUBIC
        )
        change = np.asarray(warped, float) - lumas[k + 1]
        left.append((change - box(change, 3))[2:-2, 2:-2])
    return math.sqrt(np.mean(np.square(left)))


def shades(picture: np.ndarray, asked: Payload) -> np.ndarray:
    """The luma of a picture, or its green channel, as whole numbers of its own depth."""
    height, width, layout = asked.frame_height, asked.frame_width, asked.coding.layout
    if layout == YUV420:
        return picture[:height]
    if layout == RGB:
        return picture.reshape(height, width, 3)[..., 1]
    return np.ascontiguousarray(picture).view("<u4").reshape(height, width) >> 10 & 1023


def dark_flats(ten_bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where dark flats are, and the smoothed green channel, levels of 255."""
    smooth = box(ten_bits / 4, 9)
    slope = np.hypot(*np.gradient(box(smooth, 9)))
    return (smooth < DARK) & (slope < FLAT) & (slope > CONSTANT), smooth


def banded(values: np.ndarray, flats: np.ndarray) -> float:
    """The share of flats that lies in runs of STEP pixels or more of one value."""
    in_run = np.zeros(values.shape, bool)
    for row, line in zip(in_run, values, strict=True):
        edges = np.concatenate(([0], np.flatnonzero(np.diff(line)) + 1, [len(line)]))
        for first, stop in itertools.pairwise(edges):
            row[first:stop] = stop - first >= STEP
    return float(in_run[flats].mean())


def decoded(own, pictures: list[np.ndarray], width: int, height: int) -> np.ndarray:
    """The luma of the last picture, out of an encoded segment, as 8 bits or as 10."""
    data = encode_segment(pictures, width, height, "30", own)
    ten = own.bits == 10
    with tempfile.NamedTemporaryFile(suffix=".h264" if own.is_stream else ".mkv") as film:
        film.write(data)
        film.flush()
        command = [executable(), "-v", "error", "-i", film.name, "-pix_fmt", "gray10le" if ten else "gray"]
        raw = subprocess.run([*command, "-f", "rawvideo", "-"], check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint16 if ten else np.uint8).reshape(-1, height, width)[-1]


def banding(place: str, delta: str, width: int) -> list[dict]:
    """The rows of one view."""
    fields = {"look": "evening", "sampling": "shared"}
    frames = frames_at(payload(place, width, **fields), delta)

    def pictures(codec: str, **more) -> tuple[Payload, list[np.ndarray]]:
        own = payload(place, width, **fields, codec=codec, **more)
        maker = Maker(own)
        return own, [maker.make(WorkItem(FRAME, f)) for f in frames]

    own, made = pictures("png", bits=10)
    flats, smooth = dark_flats(shades(made[-1], own).astype(float))
    if flats.mean() < 0.01:
        return []
    found = {"not dithered": banded(np.round(smooth), flats)}
    own, made = pictures("png", bits=8)
    found["png"] = banded(shades(made[-1], own), flats)
    for codec, quality in FILMS:
        own, made = pictures(codec, quality=quality)
        if own.coding.layout == YUV420:
            found["yuv, not encoded"] = banded(shades(made[-1], own), flats)
        found[f"{codec} {quality}"] = banded(decoded(own.coding, made, width, own.frame_height), flats)
    shares = {name: round(share, 3) for name, share in found.items()}
    return [{"place": place, "delta": delta, "dark flats": round(float(flats.mean()), 3)} | shares]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--only", choices=("flicker", "banding"))
    add_option(parser)
    options = parser.parse_args()
    shimmer, bands = [], []
    for place, (_, *deltas) in PLACES.items():
        for mapping in ("root", "even") if options.only != "banding" else ():
            rows = [{"place": place, "delta": delta, "mapping": mapping} for delta in deltas]
            for way, fields in WAYS.items():
                asked = payload(place, options.width, mapping=mapping, **fields)
                maker = Maker(asked)
                for row in rows:
                    row[way] = round(flicker(asked, row["delta"], maker), 2)
            shimmer += rows
            for row in rows:
                print(*row.values(), flush=True)
        for delta in deltas if options.only != "flicker" else ():
            bands += (rows := banding(place, delta, options.width))
            for row in rows:
                print(*row.values(), flush=True)
    device = worker_context(SLOT).context.device
    for label, rows in (("along-the-motion", shimmer), ("banding", bands)):
        if rows:
            record("flicker", rows, device.name, 1, options.results, label)


if __name__ == "__main__":
    main()

"""Size, CPU time and VMAF of films: every codec and quality, and presets of x264, at a dense and at a calm place.

    python benchmarks/film.py [--frames 24] [--width 1920] [--height 1080] [--only presets]

Renders a short zoom at each place, then encodes it as one segment, just as a worker does. CPU time is ffmpeg's own,
user and system, reading its input included, so it hardly depends on what else the machine does. VMAF (vmaf_v0.6.1)
compares the decoded film with the pictures before they were converted and encoded, both as 10-bit YUV 4:2:0.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.record import add_option, record
from mandel.colour.style import ColourStyle
from mandel.device.context import device_context
from mandel.payload.payload import parse
from mandel.plan.picture import LAYOUTS, RGB10
from mandel.plan.zoom import Zoom
from mandel.render.frame import FrameRenderer
from mandel.video import coding, ffmpeg
from mandel.video.encode import encode_segment

# Point, first and last delta, iteration limit.
PLACES = {
    "dense": ("-0.743643887037151", "0.131825904205330", "3e-6", "1.5e-6", 5_000),
    "calm": ("-1.338238635", "-0.057237059", "2.5", "1.25", 1_000),
}
PRESETS = ("ultrafast", "superfast", "veryfast", "medium")
FPS = "30"


def render(place: str, frames: int, width: int, height: int) -> dict[str, list[np.ndarray]]:
    """The zoom's pictures in each layout."""
    re, im, start, end, maxiter = PLACES[place]
    zoom = Zoom(re, im, start, end, frames, width, height)
    renderer, style = FrameRenderer(device_context()), ColourStyle()
    return {
        layout: [
            renderer.picture(zoom.view(k), maxiter, 1000.0, style, 1, layout=layout) for k in range(frames)
        ]
        for layout in LAYOUTS
    }


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def vmaf(film: Path, reference: Path, size: str) -> tuple[float, float]:
    """Mean VMAF of a film, and mean luma PSNR in dB."""
    log = film.with_suffix(".json")
    same = f"{coding._TO_YUV}format=yuv420p10le,settb=AVTB,setpts=N"
    ffmpeg.run(
        [
            *("-i", f"file:{film}", "-f", "rawvideo", "-pix_fmt", coding.RAW_FORMATS[RGB10]),
            *("-color_range", "pc", "-video_size", size, "-framerate", FPS, "-i", f"file:{reference}"),
            "-lavfi",
            ";".join(
                [
                    "[0:v]format=yuv420p10le,settb=AVTB,setpts=N[film]",
                    f"[1:v]{same}[reference]",
                    f"[film][reference]libvmaf=n_threads=2:feature=name=psnr:log_fmt=json:log_path={log}",
                ]
            ),
            *("-f", "null", "-"),
        ],
        stall=600,
    )
    pooled = json.loads(log.read_text())["pooled_metrics"]
    return float(pooled["vmaf"]["mean"]), float(pooled["psnr_y"]["mean"])


def measure(
    own: coding.Coding, pictures: dict[str, list[np.ndarray]], folder: Path
) -> tuple[float, int, float, float]:
    """CPU seconds, bytes, VMAF and PSNR; of what is lossless these are not measured: 100 and infinite."""
    height, width = pictures[RGB10][0].shape[:2]
    before = cpu_seconds()
    data = encode_segment(pictures[own.layout], width, height, FPS, own)
    spent = cpu_seconds() - before
    if own.quality == coding.LOSSLESS:
        return spent, len(data), 100.0, math.inf
    film = folder / ("film.h264" if own.is_stream else "film.mkv")
    film.write_bytes(data)
    return spent, len(data), *vmaf(film, folder / "reference.raw", f"{width}x{height}")


class _Preset(coding.Coding):
    """Today's coding with another preset of x264, without further options."""

    def arguments(self) -> list[str]:
        replaced = {
            "veryfast": _PRESET,
            "open-gop=0:scenecut=0:aud=1:aq-mode=0:mbtree=0": "open-gop=0:scenecut=0:aud=1",
        }
        return [replaced.get(word, word) for word in super().arguments()]


_PRESET = ""


def main() -> None:
    global _PRESET  # noqa: PLW0603 - of a class that must stay as small as the product's
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--only", choices=("codecs", "presets"))
    add_option(parser)
    options = parser.parse_args()
    codecs: dict[tuple[str, str], dict] = {}
    presets: list[dict] = []
    for place in PLACES:
        pictures = render(place, options.frames, options.width, options.height)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with (folder / "reference.raw").open("wb") as file:
                for picture in pictures[RGB10]:
                    file.write(picture)
            for codec in coding.CODECS if options.only != "presets" else ():
                for quality in coding._CODECS[codec].qualities:
                    own = parse({"codec": codec, "quality": quality}).coding
                    cpu, size, score, psnr = measure(own, pictures, folder)
                    row = codecs.setdefault(
                        (codec, quality),
                        {"codec": codec, "quality": quality, "crf": "-" if own.crf is None else own.crf},
                    )
                    row[f"{place}: Mbit/s at 30 fps"] = round(size * 8 / options.frames * 30 / 1e6, 1)
                    row[f"{place}: CPU s a frame"] = round(cpu / options.frames, 3)
                    row[f"{place}: VMAF"] = round(score, 1)
                    row[f"{place}: luma PSNR, dB"] = round(psnr, 1) if psnr < math.inf else "-"
                    print(
                        place, codec, quality, f"{cpu:.1f} s {size / 1e6:.2f} MB VMAF {score:.2f}", flush=True
                    )
            for preset in (*PRESETS, "good") if options.only != "codecs" else ():
                for crf in (14, 20, 26):
                    own = replace(parse({}).coding, crf=crf)
                    if preset != "good":
                        _PRESET = preset
                        own = _Preset(quality=coding.BEST, crf=crf)
                    cpu, size, score, psnr = measure(own, pictures, folder)
                    presets.append(
                        {
                            "place": place,
                            "x264": "as good has it" if preset == "good" else preset,
                            "crf": crf,
                            "CPU s a frame": round(cpu / options.frames, 3),
                            "Mbit/s": round(size * 8 / options.frames * 30 / 1e6, 1),
                            "VMAF": round(score, 2),
                            "luma PSNR, dB": round(psnr, 1),
                        }
                    )
                    print(*presets[-1].values(), flush=True)
    device = device_context().device.name
    about = f"{options.frames} frames {options.width}x{options.height}, one thread."
    if codecs:
        record("film", list(codecs.values()), device, 1, options.results, "codecs", about)
    if presets:
        record("film", presets, device, 1, options.results, "presets", about)


if __name__ == "__main__":
    main()

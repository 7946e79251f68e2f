"""x264 presets on the frames of the default payload: CPU time, size and luma PSNR.

    python benchmarks/encoding.py [--frames 50] [--side 1000] [--supersampling 1] [--crf 16,20,24]

Renders the zoom once, then encodes it with each setting, one thread, as one
segment. CPU time is ffmpeg's own, user and system, reading its input included,
so it hardly depends on what else the machine does. A row is worth its time
only if it is smaller at the same PSNR: compare along, not across, the columns.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.record import add_option, record
from mandel.colour.style import ColourStyle
from mandel.device.context import device_context
from mandel.plan.zoom import Zoom
from mandel.render.frame import FrameRenderer
from mandel.video import ffmpeg

POINT = ("-1.338238635", "-0.057237059")
SETTINGS = {
    "ultrafast": ("ultrafast", ""),
    "ultrafast, cabac": ("ultrafast", "cabac=1"),
    "ultrafast, deblock": ("ultrafast", "no-deblock=0:deblock=0,0"),
    "ultrafast, 8x8dct and i4x4": ("ultrafast", "8x8dct=1:partitions=i4x4,i8x8"),
    "ultrafast, cabac and aq": ("ultrafast", "cabac=1:aq-mode=1"),
    "superfast, no B": ("superfast", "bframes=0"),
    "superfast": ("superfast", ""),
    "veryfast, no B": ("veryfast", "bframes=0"),
}


def render(path: Path, frames: int, side: int, supersampling: int) -> None:
    zoom = Zoom(*POINT, "2.5", "0.0001", frames, side, side)
    renderer = FrameRenderer(device_context())
    with open(path, "wb") as file:
        for k in range(frames):
            picture = renderer.picture(
                zoom.view(k), 1000, 1000.0, ColourStyle(), supersampling, layout="yuv420"
            )
            file.write(picture)


def encode(frames: Path, side: int, preset: str, options: str, crf: str) -> tuple[float, int, float]:
    """CPU seconds, bytes, luma PSNR in dB."""
    out = frames.with_suffix(".h264")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [
            ffmpeg.executable(),
            "-hide_banner",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "yuv420p",
            "-s",
            f"{side}x{side}",
            "-r",
            "20",
            "-i",
            str(frames),
            "-c:v",
            "libx264",
            "-preset",
            preset,
            "-crf",
            crf,
            "-threads",
            "1",
            "-x264-params",
            "psnr=1" + (":" + options if options else ""),
            "-f",
            "h264",
            "-y",
            str(out),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, os.path.getsize(out), float(re.findall(r"PSNR Mean Y:([\d.]+)", done.stderr)[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--side", type=int, default=1000)
    parser.add_argument("--supersampling", type=int, default=1)
    parser.add_argument("--crf", default="16,20,24")
    add_option(parser)
    options, rows = parser.parse_args(), []
    with tempfile.TemporaryDirectory() as folder:
        frames = Path(folder) / "frames.yuv"
        render(frames, options.frames, options.side, options.supersampling)
        for name, (preset, extra) in SETTINGS.items():
            for crf in options.crf.split(","):
                cpu, size, psnr = encode(frames, options.side, preset, extra, crf)
                print(f"{name:26} crf {crf}  {cpu:6.2f} s  {size / 1e6:6.2f} MB  Y {psnr:.2f} dB", flush=True)
                rows.append(
                    {
                        "x264": name,
                        "crf": int(crf),
                        "CPU, s": round(cpu, 2),
                        "MB": round(size / 1e6, 2),
                        "luma PSNR, dB": round(psnr, 1),
                    }
                )
    context = device_context()
    record("encoding", rows, context.device.name, 1, options.results)


if __name__ == "__main__":
    main()

"""The seed's payload end to end: where the time goes, and against the straightforward program.

    python benchmarks/seed_payload.py [--peer PYTHON] [--runs N]

In one run: (1) all frames rendered and encoded alone, on one core, for the CPU
seconds of kernel, colour and encoder; (2) the warm service (one small job goes
before, so Ray's start-up is aside; each run asks for another maxiter, so that
DB/ has no answer yet): wall time, and its ratio to the CPU seconds over the
cores; (3) the straightforward program by PYTHON, an interpreter with pyopencl
and PoCL (benchmarks/requirements-peers.txt); without it the ratio is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.record import add_option, record  # noqa: E402
from mandel.colour.style import ColourStyle  # noqa: E402
from mandel.device.context import device_context  # noqa: E402
from mandel.driver.recipes.recipe import VIDEO_BAILOUT  # noqa: E402
from mandel.plan.segment_plan import cut  # noqa: E402
from mandel.plan.zoom import Zoom  # noqa: E402
from mandel.render.frame import FrameRenderer  # noqa: E402
from mandel.video.encode import encode_segment  # noqa: E402
from tests.support.service import Service  # noqa: E402  started the way the tests start it

WARM_UP = ["--num-frames", "8", "--frame-width", "64", "--frame-height", "64", "--maxiter", "100"]


def alone() -> dict[str, float]:
    """CPU seconds of kernel, colour (with the way to the host) and encoder, each by itself on one core."""
    renderer = FrameRenderer(device_context(cores=1), timed=True)
    zoom = Zoom("-1.338238635", "-0.057237059", "2.5", "0.0001", 50, 1000, 1000)
    frames, kernel, colour = [], 0.0, 0.0
    for k in (0, *range(50)):  # the first one twice: it builds the kernels
        began = time.process_time()
        frames.append(renderer.picture(zoom.view(k), 1000, VIDEO_BAILOUT, ColourStyle(), 1, layout="yuv420"))
        share = renderer.timing.samples / renderer.timing.total
        kernel += (time.process_time() - began) * share if len(frames) > 1 else 0
        colour += (time.process_time() - began) * (1 - share) if len(frames) > 1 else 0
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.process_time()
    for segment in cut(50):
        encode_segment([frames[1 + f] for f in segment.frames], 1000, 1000, "20")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    encode = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime + time.process_time() - began
    return {"kernel": kernel, "colour": colour, "encode": encode}


def service_seconds(runs: int) -> list[float]:
    """Wall times of client.py with the seed's payload against a warm service."""
    seconds = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        service = Service(folder / "DB", "--address", "local")
        try:
            service.client(*WARM_UP, "-o", str(folder / "warm.mp4"))
            for k in range(runs):
                began = time.perf_counter()
                run = service.client(
                    str(ROOT / "payload.json"), "--maxiter", str(1000 + k), "-o", str(folder / "own.mp4")
                )
                if run.returncode:
                    sys.exit(run.stderr)
                seconds.append(time.perf_counter() - began)
        finally:
            service.stop()
    return seconds


def straightforward(python: str, wall: float) -> float:
    """Seconds of the straightforward program; prints them beside ``wall``, the service's."""
    with tempfile.TemporaryDirectory() as temporary:
        command = [
            python,
            str(ROOT / "benchmarks" / "straightforward.py"),
            str(ROOT / "payload.json"),
            str(Path(temporary) / "peer.mp4"),
        ]
        peer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    print(
        f"straightforward on {peer['device']}: frames {peer['frames']:.2f} s, video {peer['video']:.2f} s, "
        f"total {peer['total']:.2f} s; {peer['total'] / wall:.1f} times the service's"
    )
    return round(peer["total"], 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer", help="interpreter for the straightforward program")
    parser.add_argument("--runs", type=int, default=5)
    add_option(parser)
    options = parser.parse_args()
    parts, cores = alone(), len(os.sched_getaffinity(0))
    bound = sum(parts.values()) / cores
    own = service_seconds(options.runs)
    wall = statistics.median(own)
    print(
        "alone, CPU s: "
        + ", ".join(f"{name} {seconds:.2f}" for name, seconds in parts.items())
        + f"; over {cores} cores {bound:.2f} s"
    )
    print(
        f"service, warm: {', '.join(f'{s:.2f}' for s in own)} s; median {wall:.2f} s, "
        f"{wall / bound:.2f} times the bound"
    )
    shares = {name: seconds / cores / wall for name, seconds in parts.items()}
    print(
        "shares of the cores' time: "
        + ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
        + f", the rest (transfer, Ray, client, idle) {1 - sum(shares.values()):.0%}"
    )
    rows = [
        {"program": f"bound: kernel, colour, encoder over {cores} cores", "wall, s": round(bound, 2)},
        {"program": f"service, warm, median of {options.runs} runs", "wall, s": round(wall, 2)},
    ]
    if options.peer:
        rows.append({"program": "straightforward program", "wall, s": straightforward(options.peer, wall)})
    else:
        print("no --peer given: the straightforward program was not run")
    record(
        "seed_payload",
        rows,
        device_context(cores=1).device.name,
        cores,
        options.results,
        "" if options.peer else "alone",
    )


if __name__ == "__main__":
    main()

"""A payload through Ray on this machine's devices: wall time, who rendered what, the encoder's share.

    python benchmarks/end_to_end.py [PAYLOAD] [--device auto|cpu|gpu] [--address local] [--runs N]

No socket and no DB/: what is measured is rendering, transfer and encoding. The
first run also starts the workers and builds the kernels; it is told apart.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.record import add_option, record  # noqa: E402
from mandel.device.choose import choose  # noqa: E402
from mandel.driver.executors.ray_token import ensure_token  # noqa: E402
from mandel.driver.jobs.job_run import JobRun  # noqa: E402
from mandel.driver.jobs.scheduler import Scheduler  # noqa: E402
from mandel.payload.payload import parse  # noqa: E402
from mandel.protocol import control  # noqa: E402
from mandel.protocol.strict_json import loads  # noqa: E402
from mandel.settings import PayloadLimits  # noqa: E402


def render(executor, payload, folder: Path, name: str) -> float:
    """Renders one job and prints its figures; gives frames a second."""
    seconds, encode, video, failure = defaultdict(list), [], [], []

    def emit(event: control.Event) -> None:
        match event:
            case control.Frame():
                seconds[event.device].append(event.seconds)
            case control.Segment():
                encode.append(event.seconds)
                scheduler.adopted(event.job, event.index, Path(event.path))
            case control.Video():
                video.append(event.bytes)
            case control.Failed():
                failure.append(event.message)

    scheduler = Scheduler(executor, emit)
    began = time.perf_counter()
    scheduler.add(JobRun(name, payload, folder, {}))
    while scheduler.busy:
        scheduler.step(0.2)
    wall = time.perf_counter() - began
    scheduler.close()
    if failure:
        sys.exit(failure[0])
    frames = payload.num_frames
    print(
        f"{name}: {wall:.2f} s, {frames / wall:.1f} frames/s, {video[0] / 1e6:.1f} MB; "
        f"encoding {sum(encode):.1f} s of workers' time"
    )
    for device, times in seconds.items():
        print(
            f"    {device}: {len(times)} frames ({len(times) / frames:.0%}), "
            f"{1000 * sum(times) / len(times):.1f} ms each, {sum(times):.1f} s of workers' time"
        )
    return frames / wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("payload", nargs="?", default=str(ROOT / "payload.json"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--address", default="local")
    parser.add_argument("--runs", type=int, default=3)
    add_option(parser)
    options = parser.parse_args()
    payload = parse(loads(Path(options.payload).read_bytes()), PayloadLimits())
    ensure_token()
    from mandel.driver.executors.ray_executor import RayExecutor

    executor = RayExecutor(options.address, options.device)
    print(f"slots: {executor.slots()}")
    try:
        with tempfile.TemporaryDirectory() as folder:
            render(executor, payload, Path(folder), "first run")
            rates = [render(executor, payload, Path(folder), f"run {run + 1}") for run in range(options.runs)]
    finally:
        executor.close()
    name = f"{Path(options.payload).stem}, {options.device}"
    row = {
        "payload": f"{Path(options.payload).name}, {payload.num_frames} frames "
        f"{payload.frame_width}×{payload.frame_height}",
        "device": options.device,
        "slowest run, frames/s": round(min(rates), 1),
        "fastest run, frames/s": round(max(rates), 1),
    }
    record("end_to_end", [row], choose(options.device).device.name, os.cpu_count(), options.results, name)


if __name__ == "__main__":
    main()

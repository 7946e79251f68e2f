"""What zooms are estimated to take against what they take; and the time left that is told on the way.

    python -m benchmarks.estimates [NAME ...]

In one process tree, embedded workers as of ``mandel zoom``: each zoom is estimated, then rendered. CPU seconds are
compared, as wall time says little where others use the machine. The time left is compared in CPU seconds too: at the
first moment when a tenth of all CPU seconds are spent, what the forecast says is left against what was still spent.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.record import add_option, record
from mandel.device.context import device_context
from mandel.driver.executors.embedded_executor import EmbeddedExecutor
from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.scheduler import Scheduler
from mandel.payload.payload import Payload, parse
from mandel.protocol import control

_SEAHORSE = "-0.743643887037151,0.131825904205330"
_DEEP = "-1.7490812690236999985413285076229387764859494526526714273291187711383,0"
_NEEDLE = "-1.338238635,-0.057237059"
# Places that the model was not made with stand last.
ZOOMS: dict[str, dict[str, Any]] = {
    "exact, shallow, calm": {"point": _NEEDLE, "end_delta": "1e-3", "num_frames": 200},
    "exact, shallow, dense": {"point": _SEAHORSE, "end_delta": "1e-6", "num_frames": 150},
    "exact, deep": {"point": _DEEP, "end_delta": "1e-25", "num_frames": 400},
    "exact, shallow, a second": {"point": _NEEDLE, "num_frames": 60},
    "exact, deep, 640x360": {
        "point": _DEEP,
        "end_delta": "1e-25",
        "num_frames": 80,
        "frame_width": 640,
        "frame_height": 360,
    },
    "shared, shallow, dense": {
        "point": _SEAHORSE,
        "end_delta": "1e-6",
        "num_frames": 300,
        "sampling": "shared",
    },
    "shared, deep": {"point": _DEEP, "end_delta": "1e-25", "num_frames": 400, "sampling": "shared"},
    "shared, past a minibrot": {
        "point": "-0.74364388703715887077806454364349257504760996,0.13182590420531229282109735487476726526298859",
        "end_delta": "2.504e-15",
        "num_frames": 180,
        "frame_width": 144,
        "frame_height": 256,
        "sampling": "shared",
        "easing": "0.4",
        "rotation": "120",
    },
    "exact, valley": {"point": "-1.25066,0.02012", "end_delta": "1e-11", "num_frames": 120},
    "exact, all inside at its end, 2x2": {
        "point": "-0.75,0.01",
        "end_delta": "1e-4",
        "num_frames": 80,
        "maxiter": 20000,
        "supersampling": 2,
    },
    "shared, hevc, zoom out": {
        "point": "0.2501,0.00000001",
        "start_delta": "1e-8",
        "end_delta": "2.5",
        "num_frames": 120,
        "sampling": "shared",
        "codec": "hevc",
    },
    # What their frames show lies in a part of them; the model was not made with these either.
    "exact, calm, 1080p": {
        "point": "-0.1010963329893646,0.9562865387321446",
        "end_delta": "0.5",
        "num_frames": 80,
        "fps": 60,
        "frame_width": 1920,
        "frame_height": 1080,
    },
    "exact, hevc best, 1080p": {
        "point": "-1.76877880004456962773548039034644982,-0.00173890993898926807174889460619279",
        "start_delta": "0.1",
        "end_delta": "0.04",
        "num_frames": 30,
        "codec": "hevc",
        "quality": "best",
        "fps": 30,
        "frame_width": 1920,
        "frame_height": 1080,
    },
    "exact, deep, av1, 360p": {
        "point": _DEEP,
        "start_delta": "1e-8",
        "end_delta": "1e-11",
        "num_frames": 100,
        "codec": "av1",
        "fps": 30,
        "frame_width": 640,
        "frame_height": 360,
    },
}
_SIZE = {"frame_width": 432, "frame_height": 240}
_TENTH = 0.1


class _Counting(EmbeddedExecutor):
    """Sums up what its workers spend."""

    workers = 0.0

    @property
    def spent(self) -> float:
        """CPU seconds of workers, and of ffmpeg, which looks at each segment."""
        checks = resource.getrusage(resource.RUSAGE_CHILDREN)
        return self.workers + checks.ru_utime + checks.ru_stime

    def wait(self, timeout: float) -> Any:
        outcomes = super().wait(timeout)
        for outcome in outcomes:
            self.workers += (spent := outcome.info.get("cpu_seconds", 0.0))
            outcome.info["seconds"] = spent  # as on a machine that nobody else uses
        return outcomes


def measure(name: str, payload: Payload, executor: _Counting) -> dict[str, object]:
    """A zoom's row."""
    events: list[control.Event] = []
    scheduler = Scheduler(executor, events.append)
    scheduler.add(JobRun("e" * 64, payload, Path(), {}, estimated=True))
    began = executor.spent
    while scheduler.busy:
        scheduler.step(0.2)
    estimating = executor.spent - began
    told = next(event for event in events if isinstance(event, control.Estimated))
    with tempfile.TemporaryDirectory() as folder:
        job = JobRun("f" * 64, payload, Path(folder), {})
        scheduler.add(job)
        began, points = executor.spent, []
        looked = 0.0
        while scheduler.busy:
            scheduler.step(0.05)
            for event in events:
                if isinstance(event, control.Segment):
                    scheduler.adopted(job.name, event.index, Path(event.path))
                if isinstance(event, control.Failed):
                    raise RuntimeError(event.message)
            size = next((event.bytes for event in events if isinstance(event, control.Video)), 0)
            events.clear()
            if job.is_under_way and time.monotonic() - looked > 0.1:
                looked = time.monotonic()
                work = job.work_left
                points.append(
                    (
                        executor.spent - began,
                        job.forecast.costs is not None,
                        work.rendering * job.forecast.pace("cpu") + work.encoding,
                    )
                )
        whole = executor.spent - began
        scheduler.close()
    spent, known, left = next((point for point in points if point[0] >= _TENTH * whole), (whole, False, 0.0))
    low, high = told.cpu_seconds
    return {
        "zoom": name,
        "estimated CPU s": round((low * high) ** 0.5, 2),
        "CPU s": round(whole, 2),
        "ratio": round((low * high) ** 0.5 / whole, 2),
        "estimated MB": None
        if told.bytes is None
        else round((told.bytes[0] * told.bytes[1]) ** 0.5 / 1e6, 2),
        "MB": round(size / 1e6, 2),
        "spent on estimating, s": round(estimating, 2),
        "left at a tenth, told": round(left, 2),
        "left at a tenth": round(whole - spent, 2),
        "measured by then": "yes" if known else "no",
        "ratio of these": round(left / max(whole - spent, 1e-9), 2),
    }


def main() -> None:
    """Measures the zooms whose names contain a word of the command line, all without one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--record", action="store_true", help="write a result file")
    parser.add_argument("--note", default="", help="what a reader of that file must know")
    add_option(parser)
    options = parser.parse_args()
    executor, rows = _Counting("auto"), []
    try:
        for name, fields in ZOOMS.items():
            if not options.words or any(word in name for word in options.words):
                rows.append(measure(name, parse(_SIZE | fields), executor))
                print(rows[-1], flush=True)
    finally:
        executor.close()
    if options.record:
        device, cores = device_context().device.name, len(os.sched_getaffinity(0))
        record("estimates", rows, device, cores, options.results, note=options.note)


if __name__ == "__main__":
    main()

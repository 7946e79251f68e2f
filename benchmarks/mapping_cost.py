"""What the mapping "even" costs against "root": CPU seconds of all of a job's tasks, on the embedded executor.

    python benchmarks/mapping_cost.py [--runs N] [--jobs TEXT]

Both are rendered and encoded by turns; the least of the runs counts. The seed's payload has ten frames here, not fifty:
with fewer frames key views count for more. Encoding itself, a process of its own, is left out. "First frame" is what is
spent before the first frame of a job is there. Stills are made as the command makes them, within this process.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.record import add_option, record  # noqa: E402
from mandel.cli import still  # noqa: E402
from mandel.device.choose import choose  # noqa: E402
from mandel.driver.executors.embedded_executor import EmbeddedExecutor  # noqa: E402
from mandel.driver.jobs.job_run import JobRun  # noqa: E402
from mandel.driver.jobs.scheduler import Scheduler  # noqa: E402
from mandel.payload.payload import Payload, parse  # noqa: E402
from mandel.protocol import control  # noqa: E402
from mandel.protocol.strict_json import loads  # noqa: E402

SEED = json.loads((ROOT / "payload.json").read_text())
SMALL, WIDE = {"frame_width": 160, "frame_height": 90}, {"frame_width": 640, "frame_height": 360}
CASES = {
    "seed, 10 frames, exact": SEED | {"num_frames": 10},
    "seed, 10 frames, shared": SEED | {"num_frames": 10, "sampling": "shared"},
    "seed 640×360, exact": SEED | WIDE,
    "seed 640×360, shared": SEED | WIDE | {"sampling": "shared"},
    "seed 640×360, maxiter auto, exact": SEED | WIDE | {"maxiter": "auto"},
    "seed 160×90, exact": SEED | SMALL,
    "seed 160×90, shared": SEED | SMALL | {"sampling": "shared"},
    "to 1e-30, 640×360, auto, exact": SEED | WIDE | {"maxiter": "auto", "end_delta": "1e-30"},
    "to 1e-30, 640×360, auto, shared": SEED
    | WIDE
    | {"maxiter": "auto", "end_delta": "1e-30", "sampling": "shared"},
}


DEEP = json.loads((ROOT / "payloads/hd60-1e-100.json").read_text())["point"]
STILLS = {
    "still, whole set, 1000×1000": ["--point=-0.75,0", "--delta=2.5"],
    "still, the seed's last frame": [f"--point={SEED['point']}", "--delta=1e-4", "--maxiter=1000"],
    "still to 1e-30, 1000×1000": [f"--point={DEEP}", "--delta=1e-30"],
}


class Counted(EmbeddedExecutor):
    """Sums up what tasks take."""

    spent = 0.0

    def wait(self, timeout: float) -> list:
        outcomes = super().wait(timeout)
        self.spent += sum(outcome.info.get("cpu_seconds", 0.0) for outcome in outcomes)
        return outcomes


def cpu_seconds(executor: Counted, payload: Payload, folder: Path) -> tuple[float, float]:
    """CPU seconds of tasks and driver for one job, and until its first frame."""
    failure: list[str] = []
    first: list[float] = []

    def emit(event: control.Event) -> None:
        match event:
            case control.Segment():
                scheduler.adopted(event.job, event.index, Path(event.path))
            case control.Frame():
                first.append(executor.spent + time.process_time() - before)
            case control.Failed():
                failure.append(event.message)

    before = executor.spent + time.process_time()
    scheduler = Scheduler(executor, emit)
    scheduler.add(JobRun(payload.job_id(), payload, folder, {}))
    while scheduler.busy:
        scheduler.step(0.2)
    scheduler.close()
    if failure:
        sys.exit(failure[0])
    return executor.spent + time.process_time() - before, first[0]


def still_seconds(asked: list[str], mapping: str, folder: Path) -> float:
    """CPU seconds of a still, all threads."""
    before = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        if still.main([*asked, f"--mapping={mapping}", "--device=cpu", "-o", str(folder / "still.png")]):
            sys.exit("the still failed")
    return time.process_time() - before


def row(job: str, best: dict[str, float], **more: float) -> dict[str, object]:
    """What is told of a job."""
    found = {"job": job} | {f"{mapping}, CPU s": round(spent, 2) for mapping, spent in best.items()}
    found |= {"even / root": round(best["even"] / best["root"], 3)}
    found |= {name: round(spent, 3) for name, spent in more.items()}
    print(found, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--jobs", default="", metavar="TEXT", help="only those with TEXT in their names")
    add_option(parser)
    options = parser.parse_args()
    executor, rows = Counted("cpu"), []
    try:
        for name, fields in ((name, fields) for name, fields in CASES.items() if options.jobs in name):
            best = dict.fromkeys(("root", "even"), float("inf"))
            first = best.copy()
            for _ in range(options.runs + 1):  # the first also builds and warms up
                for mapping in best:
                    p = parse(loads(json.dumps(fields | {"mapping": mapping}).encode()))
                    with tempfile.TemporaryDirectory() as folder:
                        found = cpu_seconds(executor, p, Path(folder))
                    best[mapping], first[mapping] = map(min, (best[mapping], first[mapping]), found)
            rows.append(
                row(name, best, **{f"first frame, {mapping}": spent for mapping, spent in first.items()})
            )
    finally:
        executor.close()
    for name, asked in ((name, asked) for name, asked in STILLS.items() if options.jobs in name):
        best = dict.fromkeys(("root", "even"), float("inf"))
        for _ in range(4 * options.runs + 1):
            for mapping in best:
                with tempfile.TemporaryDirectory() as folder:
                    best[mapping] = min(best[mapping], still_seconds(asked, mapping, Path(folder)))
        rows.append(row(name, best))
    device = choose("cpu").device.name
    record("mapping_cost", rows, device, 2, options.results, note="other people computed beside it")


if __name__ == "__main__":
    main()

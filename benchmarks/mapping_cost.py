"""What the mapping "even" costs against "root": CPU seconds of all of a job's tasks, on the embedded executor.

    python benchmarks/mapping_cost.py [--runs N]

Both are rendered and encoded by turns; the least of the runs counts. The seed's payload has ten frames here, not fifty:
with fewer frames key views count for more. Encoding itself, a process of its own, is left out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.record import add_option, record  # noqa: E402
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


class Counted(EmbeddedExecutor):
    """Sums up what tasks take."""

    spent = 0.0

    def wait(self, timeout: float) -> list:
        outcomes = super().wait(timeout)
        self.spent += sum(outcome.info.get("cpu_seconds", 0.0) for outcome in outcomes)
        return outcomes


def cpu_seconds(executor: Counted, payload: Payload, folder: Path) -> float:
    """CPU seconds of tasks and driver for one job."""
    failure: list[str] = []

    def emit(event: control.Event) -> None:
        match event:
            case control.Segment():
                scheduler.adopted(event.job, event.index, Path(event.path))
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
    return executor.spent + time.process_time() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    add_option(parser)
    options = parser.parse_args()
    executor, rows = Counted("cpu"), []
    try:
        for name, fields in CASES.items():
            best = dict.fromkeys(("root", "even"), float("inf"))
            for _ in range(options.runs + 1):  # the first also builds and warms up
                for mapping in best:
                    p = parse(loads(json.dumps(fields | {"mapping": mapping}).encode()))
                    with tempfile.TemporaryDirectory() as folder:
                        best[mapping] = min(best[mapping], cpu_seconds(executor, p, Path(folder)))
            row = {"job": name} | {f"{mapping}, CPU s": round(spent, 2) for mapping, spent in best.items()}
            rows.append(row | {"even / root": round(best["even"] / best["root"], 3)})
            print(rows[-1], flush=True)
    finally:
        executor.close()
    device = choose("cpu").device.name
    record("mapping_cost", rows, device, 2, options.results, note="other people computed beside it")


if __name__ == "__main__":
    main()

"""The seed's payload end to end: the service against the straightforward program, in one run.

    python benchmarks/seed_payload.py [--peer PYTHON] [--runs N]

The service is warm: one small job goes before, so Ray's start-up is aside. Each
run asks for another maxiter (1000, 1001, ...), so that DB/ has no answer yet.
PYTHON is an interpreter with pyopencl and PoCL for the baseline
(benchmarks/requirements-peers.txt); without it only the service is timed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.service import Service  # noqa: E402  the same way to start it as the tests have

WARM_UP = ["--num-frames", "8", "--frame-width", "64", "--frame-height", "64"]


def service_seconds(folder: Path, maxiter: int, service: Service) -> float:
    """Wall time of client.py with the seed's payload; maxiter is varied so that DB/ has no answer."""
    started = time.perf_counter()
    run = service.client(str(ROOT / "payload.json"), "--maxiter", str(maxiter), "-o", str(folder / "own.mp4"))
    if run.returncode:
        sys.exit(run.stderr)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer", help="interpreter for the straightforward program")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        service = Service(folder / "DB", "--address", "local")
        try:
            service.client("--maxiter", "100", *WARM_UP, "-o", str(folder / "warm.mp4"))
            own = [service_seconds(folder, 1000 + k, service) for k in range(options.runs)]
        finally:
            service.stop()
        print(f"service, warm: {', '.join(f'{s:.2f}' for s in own)} s; median {statistics.median(own):.2f} s")
        if not options.peer:
            print("no --peer given: the straightforward program was not run")
            return
        command = [options.peer, str(ROOT / "benchmarks" / "straightforward.py"),
                   str(ROOT / "payload.json"), str(folder / "peer.mp4")]
        peer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(f"straightforward on {peer['device']}: frames {peer['frames']:.2f} s, video {peer['video']:.2f} s, "
              f"total {peer['total']:.2f} s")
        print(f"ratio: {peer['total'] / statistics.median(own):.1f} times faster")


if __name__ == "__main__":
    main()

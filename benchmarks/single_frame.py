"""Single frames against mandelbrot-explorer (PyPI), side by side: colours included.

    python benchmarks/single_frame.py [--peer PYTHON]

PYTHON is an interpreter with mandelbrot-explorer installed (a virtual
environment of its own: ``python -m venv /tmp/peer && /tmp/peer/bin/pip install
mandelbrot-explorer numpy``); without it, only this program is timed. Both
render 1000x1000, maxiter 1000, about the seed's point to 8-bit RGB in host
memory, in turns; the best and the median of each are printed.

What is unequal: the peer counts with bailout 2, colours by integer counts in
C threads and uses the counts only for that; this program uses bailout 1000,
smooth counts and averages in linear light.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.record import add_option, record
from mandel.colour.style import ColourStyle
from mandel.device.context import device_context
from mandel.plan.view import View
from mandel.render.frame import FrameRenderer

POINT, DELTAS, SIDE, MAXITER = ("-1.338238635", "-0.057237059"), ("2.5", "1e-2", "1e-4"), 1000, 1000

PEER = """
import sys, time, mandelbrot_explorer as me
side, maxiter, re, im = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
with me.Mandelbrot(side, side, max_iterations=maxiter) as m:
    for line in sys.stdin:
        m.set_view(4 / float(line), re, im)  # its zoom 1 shows an extent of 4
        started = time.perf_counter()
        m.render()
        print(time.perf_counter() - started, flush=True)
"""


class Peer:
    """mandelbrot-explorer in its own interpreter, one frame at a time."""

    def __init__(self, python: str):
        self.process = subprocess.Popen(
            [python, "-c", PEER, str(SIDE), str(MAXITER), *POINT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self, delta: str) -> float:
        self.process.stdin.write(delta + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the peer ended: is mandelbrot-explorer installed in that interpreter?")
        return float(line)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--device", default="auto")
    p.add_argument("--peer", metavar="PYTHON", help="interpreter that has mandelbrot-explorer")
    p.add_argument("--rounds", type=int, default=25)
    add_option(p)
    o = p.parse_args()
    ctx = device_context(o.device)
    own, peer = FrameRenderer(ctx), Peer(o.peer) if o.peer else None
    out = np.empty((SIDE, SIDE, 3), np.uint8)
    print(f"{datetime.date.today()}  {ctx.device.name}, {ctx.cores} cores; best (median) of {o.rounds} in ms")
    if peer is None:
        print("no --peer given: this program alone")
    print(f"{'delta':>6} {'mandel':>16} {'peer':>16} {'mandel/peer':>12}")
    rows = []
    for delta in DELTAS:
        view, ours, theirs = View(*POINT, delta, SIDE, SIDE), [], []
        for turn in range(o.rounds + 2):
            started = perf_counter()
            own.picture(view, MAXITER, 1000.0, ColourStyle(), 1, "rgb", out)
            seconds = perf_counter() - started
            other = peer.seconds(delta) if peer else float("nan")
            if turn >= 2:  # building and warming up
                ours.append(seconds * 1e3)
                theirs.append(other * 1e3)
        columns = [f"{min(t):8.1f} ({statistics.median(t):5.1f})" for t in (ours, theirs)]
        print(f"{delta:>6} {columns[0]:>16} {columns[1]:>16} {min(ours) / min(theirs):12.2f}")
        row = {"delta": delta, "mandel, ms": round(min(ours), 2)}
        if peer:
            row |= {
                "mandelbrot-explorer, ms": round(min(theirs), 2),
                "ratio": round(min(ours) / min(theirs), 2),
            }
        rows.append(row)
    if peer:
        peer.close()
    record("single_frame", rows, ctx.device.name, ctx.cores, o.results, "" if peer else "alone")
    return 0


if __name__ == "__main__":
    sys.exit(main())

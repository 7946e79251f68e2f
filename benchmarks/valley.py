"""Frames from 1e-7 to 1e-15, where perturbation takes over from plain doubles, beside programs in one run.

    python benchmarks/valley.py [--peer PYTHON] [--before FOLDER] [--side N] [--repeat N]

PYTHON is an interpreter with mandelbrot-explorer 0.6.0 (an environment of its own; see
benchmarks/requirements-peers.txt), which iterates plain doubles. FOLDER is another checkout of this program:
``git worktree add FOLDER COMMIT``. Without them this program is timed alone. All take turns, picture by
picture; the least CPU seconds of each count, of all its threads, so that other load matters little.

What is unequal: plain doubles miscount some samples at 1e-7 and most at 1e-15, where this program is exact; the peer
counts with bailout 2 and colours by integer counts, this program with bailout 1000 and by smooth counts.
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.record import add_option, record  # noqa: E402
from mandel.device.context import device_context  # noqa: E402

SEAHORSE = "-0.743643887037158704752191506114774", "0.131825904205311970493132056385139"
ZOOM = "-0.743643887035181186508583617", "0.131825904206262315911524294"  # payloads/hd60-1e-100.json
SPIRAL = "-1.338238635043279", "-0.057237059127183"
MINIBROT = "-1.7490812690053707442832620219208639942586460813548838", "0"
PLACES = (
    [("seahorse valley", SEAHORSE, delta, 3_000, 1.0) for delta in ("1e-7", "1e-8", "1e-9", "1e-11", "1e-12")]
    + [("interior in view", ZOOM, "1e-7", maxiter, 0.3) for maxiter in (3_000, 100_000)]
    + [("near a nucleus", MINIBROT, delta, 3_000, 1.0) for delta in ("1e-8", "1e-10", "1e-13")]
    + [("spiral", SPIRAL, delta, 3_000, 1.0) for delta in ("1e-8", "1e-10")]
)

OWN = """
import json, sys, time
import numpy as np
from mandel.colour.style import ColourStyle
from mandel.device.context import device_context
from mandel.plan.view import View
from mandel.render.frame import FrameRenderer
renderers = {}
for line in sys.stdin:
    re, im, delta, side, maxiter = json.loads(line)
    out = np.empty((side, side, 3), np.uint8)
    renderer = renderers.setdefault(re, FrameRenderer(device_context("cpu")))
    began = time.process_time()
    renderer.picture(View(re, im, delta, side, side), maxiter, 1000.0, ColourStyle(), 1, "rgb", out)
    print(time.process_time() - began, flush=True)
"""
PEER = """
import json, sys, time, mandelbrot_explorer as me
for line in sys.stdin:
    re, im, delta, side, maxiter = json.loads(line)
    with me.Mandelbrot(side, side, max_iterations=maxiter) as m:
        m.set_view(4 / float(delta), float(re), float(im))  # its zoom 1 shows an extent of 4
        began = time.process_time()
        m.render()
        print(time.process_time() - began, flush=True)
"""


class Program:
    """A program that renders pictures one by one, in a process of its own."""

    def __init__(self, name: str, command: list[str], folder: Path):
        self.name = name
        self._process = subprocess.Popen(
            command, text=True, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def seconds(self, *view: object) -> float:
        """CPU seconds of one picture."""
        self._process.stdin.write(json.dumps(view) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended; is it installed in that interpreter or folder?")
        return float(line)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--peer", metavar="PYTHON", help="interpreter that has mandelbrot-explorer")
    p.add_argument("--before", metavar="FOLDER", type=Path, help="another checkout of this program")
    p.add_argument("--side", type=int, default=1000)
    p.add_argument("--repeat", type=int, default=5)
    add_option(p)
    o = p.parse_args()
    programs = [Program("mandel", [sys.executable, "-c", OWN], ROOT)]
    if o.before:
        programs.append(Program("before", [sys.executable, "-c", OWN], o.before))
    if o.peer:
        programs.append(Program("mandelbrot-explorer", [o.peer, "-c", PEER], ROOT))
    else:
        print("mandelbrot-explorer is not timed: no --peer PYTHON was given")
    context = device_context("cpu")
    print(f"{datetime.date.today()}, {context.device.name}, {o.side} x {o.side}, CPU seconds")
    rows = []
    for name, (re, im), delta, maxiter, part in PLACES:
        view = re, im, delta, int(o.side * part), maxiter
        found = [[program.seconds(*view) for program in programs] for _ in range(o.repeat + 1)]
        best = [min(seconds) for seconds in zip(*found[1:], strict=True)]  # the first one builds
        row = {"place": name, "delta": delta, "maxiter": maxiter, "side": view[3]}
        row |= {f"{program.name}, s": round(s, 4) for program, s in zip(programs, best, strict=True)}
        row |= {
            f"mandel / {program.name}": round(best[0] / s, 2)
            for program, s in zip(programs[1:], best[1:], strict=True)
        }
        print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
        rows.append(row)
    for program in programs:
        program.close()
    note = "CPU seconds, least of each; other work on the machine"
    label = "" if o.peer else "alone"
    record("valley", rows, context.device.name, context.cores, o.results, label, note)


if __name__ == "__main__":
    main()

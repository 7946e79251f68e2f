"""Deep frames, reference orbit and table included, beside fractalshades (PyPI) in one run.

    python benchmarks/deep_frames.py [--peer PYTHON] [--side N] [--repeat N]

PYTHON is an interpreter with fractalshades 1.2.1 (an environment of its own,
numpy<2.4; see benchmarks/requirements-peers.txt); without it, only this program
is timed. Both render the two published views of tests/reference/ from nothing,
in turns, to an 8-bit picture; the best and the median are printed.

What is unequal: fractalshades ships an approximation radius of 1e-6 (about
2**-20) where this program keeps 2**-40 with second-order blocks; it runs in
numba and pays its compilation in a warm-up that is not timed, as this program
does for its kernels; its picture is a PNG file, ours RGB in host memory.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.record import add_option, record  # noqa: E402
from mandel.colour.style import ColourStyle  # noqa: E402
from mandel.device.context import device_context  # noqa: E402
from mandel.plan.view import View  # noqa: E402
from mandel.render.frame import FrameRenderer  # noqa: E402
from mandel.render.perturbed import PerturbedIterator  # noqa: E402
from mandel.render.samples import Outputs  # noqa: E402

MAXITER = {"Flake": 60_000, "e50": 263_010}

PEER = """
import json, os, sys, tempfile, time
import fractalshades as fs, fractalshades.models as fsm, fractalshades.colors as fscolors
from fractalshades.postproc import Postproc_batch, Continuous_iter_pp
from fractalshades.colors.layers import Color_layer
fs.settings.enable_multithreading = True
def render(re, im, delta, side, maxiter):
    with tempfile.TemporaryDirectory() as folder:
        f = fsm.Perturbation_mandelbrot(folder)
        digits = len(im) + 10
        f.zoom(precision=digits, x=re, y=im, dx=delta, nx=side, xy_ratio=1.0, theta_deg=0.0)
        f.calc_std_div(calc_name="div", subset=None, max_iter=maxiter, M_divergence=1e3,
                       epsilon_stationnary=1e-3, BLA_eps=1e-6, interior_detect=False, calc_dzndc=False)
        batch = Postproc_batch(f, "div")
        batch.add_postproc("cont_iter", Continuous_iter_pp())
        plotter = fs.Fractal_plotter(batch)
        plotter.add_layer(Color_layer("cont_iter", func="x", colormap=fscolors.cmap_register["classic"],
                                      probes_z=[0.0, 1.0], output=True))
        plotter.plot()
for line in sys.stdin:
    asked = json.loads(line)
    sys.stdout.flush()
    out = os.dup(1); os.dup2(2, 1)
    started = time.perf_counter()
    render(**asked)
    seconds = time.perf_counter() - started
    os.dup2(out, 1); os.close(out)
    print("seconds", seconds, flush=True)
"""


class Peer:
    """fractalshades in its own interpreter, one frame at a time."""

    def __init__(self, python: str):
        self.process = subprocess.Popen(
            [python, "-c", PEER],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def seconds(self, view: dict, side: int, maxiter: int) -> float:
        asked = {name: str(view[name]) for name in ("re", "im", "delta")} | {"side": side, "maxiter": maxiter}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("seconds "):
                return float(line.split()[1])
        raise SystemExit("the peer ended; does PYTHON have fractalshades 1.2.1?")

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def parts(view: View, maxiter: int, outputs: Outputs) -> dict[str, float]:
    """Seconds of reference, table and kernel, each from nothing, with bailout 2 and no colour."""
    ctx = device_context()
    iterator = PerturbedIterator(ctx)
    started = perf_counter()
    iterator.iterate(view.grid(), maxiter, 2.0, outputs)
    enqueued = perf_counter()
    ctx.queue.finish()
    return {
        "reference": iterator.timing.reference,
        "table": iterator.timing.table,
        "kernel": perf_counter() - enqueued,
        "all": perf_counter() - started,
    }


def picture(view: View, maxiter: int) -> float:
    """Seconds of a whole picture, RGB in host memory, by a renderer that knows nothing yet."""
    renderer = FrameRenderer(device_context())
    started = perf_counter()
    renderer.picture(view, maxiter, 1000.0, ColourStyle())
    return perf_counter() - started


def _line(name: str, seconds: list[float]) -> None:
    print(f"  {name:34} best {min(seconds):7.3f} s   median {statistics.median(seconds):7.3f} s", flush=True)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--peer", metavar="PYTHON", help="interpreter with fractalshades 1.2.1")
    p.add_argument("--side", type=int, default=1000)
    p.add_argument("--repeat", type=int, default=3)
    add_option(p)
    options = p.parse_args()
    views = json.loads((ROOT / "tests/reference/known_answers.json").read_text())["speed_views"]
    print(f"{datetime.date.today()}, {device_context().device.name}, {options.side} x {options.side}")
    peer = Peer(options.peer) if options.peer else None
    if peer is None:
        print("fractalshades is not timed: no --peer PYTHON was given")
    figures = []
    for number, found in enumerate(views):
        maxiter = MAXITER[found["name"]]
        view = View(found["re"], found["im"], str(found["delta"]), options.side, options.side)
        small = View(found["re"], found["im"], str(found["delta"]), 32, 32)
        for outputs in (Outputs(), Outputs(distance=True, slope=True)):
            parts(small, 1_000, outputs)
        picture(small, 1_000)
        if peer is not None and number == 0:
            peer.seconds(found, 32, maxiter)
        rows, whole, theirs = {}, [], []
        for _ in range(options.repeat):
            for name, outputs in (("", Outputs()), (", distance and slope", Outputs(True, True))):
                for part, seconds in parts(view, maxiter, outputs).items():
                    rows.setdefault(part + name, []).append(seconds)
            whole.append(picture(view, maxiter))
            if peer is not None:
                theirs.append(peer.seconds(found, options.side, maxiter))
        print(f"{found['name']}, delta {found['delta']}, maxiter {maxiter}")
        for name, seconds in rows.items():
            _line(name, seconds)
        _line("picture, everything", whole)
        if theirs:
            _line("fractalshades, everything", theirs)
        row = {
            "view": f"{found['name']}, {found['delta']}, maxiter {maxiter}",
            "counts, s": round(min(rows["all"]), 3),
            "picture, s": round(min(whole), 3),
        }
        figures.append(row | ({"fractalshades, s": round(min(theirs), 2)} if theirs else {}))
    if peer is not None:
        peer.close()
    context = device_context()
    record(
        "deep_frames", figures, context.device.name, context.cores, options.results, "" if peer else "alone"
    )


if __name__ == "__main__":
    main()

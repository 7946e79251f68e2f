"""Throughput of the direct kernel over the hardware's limit, on one device.

    python benchmarks/direct_throughput.py [--device cpu] [--width 1000 --height 1000] [--frames 50]

Over the frames of the seed's zoom (2.5 to 1e-4, maxiter 1000), kernel times
only. The limit is z^2 + c in fused multiply-adds without any bail-out test,
measured by a kernel on the same device between the frames. On CPUs time is CPU
time over the number of cores, so that what else runs on the machine weighs on
neither side; on GPUs it is the kernels' time by the GPU's clock. Counted are true
iterations: an escaped sample's count, maxiter for an interior sample that was
iterated; samples in the main bulbs count nothing. The proof that ends other
interior samples early is off for the throughput, and on for the times.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path
from time import process_time
from typing import ClassVar

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.record import add_option, record
from mandel.device.choose import choose
from mandel.device.context import DeviceContext
from mandel.plan.axes import axes, coordinates
from mandel.plan.view import View
from mandel.render.direct import DirectIterator

POINT, MAXITER, BAILOUT = ("-1.338238635", "-0.057237059"), 1000, 1000.0


class Profiled(DeviceContext):
    """A context that keeps the event of the last kernel, with its times."""

    def __init__(self, device):
        super().__init__(device)
        self.queue = self.cl.CommandQueue(
            self.context, properties=self.cl.command_queue_properties.PROFILING_ENABLE
        )

    def kernel(self, *names):
        kernel = super().kernel(*names)

        def launch(*arguments):
            self.event = kernel(*arguments)
            return self.event

        return launch

    def seconds(self, work) -> float:
        """Time of the kernel that ``work`` launches: CPU time per core, or the GPU's own clock."""
        started = process_time()
        work()
        self.queue.finish()
        if not self.device.is_gpu:
            return (process_time() - started) / self.cores
        return (self.event.profile.end - self.event.profile.start) * 1e-9


class Limit:
    """The no-test kernel in its best form for a device."""

    FORMS: ClassVar = {"cpu": [(4, 4), (8, 3), (8, 4), (16, 2)], "gpu": [(1, 1), (1, 2), (1, 4)]}

    def __init__(self, ctx: Profiled):
        self.ctx, gpu = ctx, ctx.device.is_gpu
        self.items = ctx.cores * (2048 if gpu else 16)
        self.iterations = 20_000 if gpu else 200_000  # some 10 ms
        self.out = ctx.empty(self.items * 128)
        forms = self.FORMS["gpu" if gpu else "cpu"]
        self.form = max(forms, key=lambda form: max(self.rate(form) for _ in range(3)))

    def rate(self, form: tuple[int, int] | None = None) -> float:
        """Iterations a second, of all lanes and chains together."""
        width, chains = form or self.form
        kernel = self.ctx.kernel(
            str(Path(__file__).resolve().parent / "kernels" / "limit.cl"),
            "limit",
            (("WIDTH", width), ("CHAINS", chains)),
        )
        seconds = self.ctx.seconds(
            lambda: kernel(
                self.ctx.queue,
                (self.items,),
                (1,) if width > 1 else (256,),
                np.int32(self.iterations),
                np.float64(-0.1),
                self.out,
            )
        )
        return self.items * width * chains * self.iterations / seconds


def best_of(iterator: DirectIterator, grid, repeats: int) -> tuple[float, np.ndarray]:
    """Best time of a frame's samples, and its counts."""
    ctx = iterator.ctx
    best = min(ctx.seconds(lambda: iterator.iterate(grid, MAXITER, BAILOUT)) for _ in range(repeats))
    samples = iterator.iterate(grid, MAXITER, BAILOUT)
    return best, ctx.download(samples.count, np.empty((grid.rows, grid.cols), np.int32))


def in_main_bulbs(c: np.ndarray) -> np.ndarray:
    """Which samples the kernel's cardioid and disc test skips."""
    p, b2 = c.real - 0.25, c.imag**2
    q = p * p + b2
    return (q * (q + p) < 0.25 * b2 - 1e-14) | ((c.real + 1) ** 2 + b2 < 0.0625 - 1e-14)


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--device", default="auto")
    p.add_argument("--width", type=int, default=1000)
    p.add_argument("--height", type=int, default=1000)
    p.add_argument("--frames", type=int, default=50, help="of the zoom, evenly spread")
    p.add_argument("--repeats", type=int, default=3, help="the best of so many counts")
    p.add_argument("--variant", help="a variant's name; default: the one the engine would use")
    add_option(p)
    o = p.parse_args()
    ctx = Profiled(choose(o.device).device)
    limit, rates = Limit(ctx), []
    full = DirectIterator(ctx, o.variant, prove_interior=False)
    quick = DirectIterator(ctx, o.variant)
    print(
        f"{datetime.date.today()}  {ctx.device.name}, {ctx.cores} cores, {quick.variant.name}; "
        f"{o.frames} frames {o.width}x{o.height}"
    )
    full.iterate(View(*POINT, "1", 64, 64).grid(), 10, BAILOUT)
    quick.iterate(View(*POINT, "1", 64, 64).grid(), 10, BAILOUT)
    by_delta, total = [], {"iterations": 0, "full": 0.0, "quick": 0.0}
    print(f"{'delta':>9} {'interior':>9} {'G it/s':>8} {'of limit':>9} {'ms':>8} {'ms with proof':>14}")
    for k in range(o.frames):
        delta = 2.5 * (1e-4 / 2.5) ** (k / max(o.frames - 1, 1))
        grid = View(*POINT, repr(delta), o.width, o.height).grid()
        rates.append(max(limit.rate() for _ in range(o.repeats)))
        whole, count = best_of(full, grid, o.repeats)
        proven, same = best_of(quick, grid, o.repeats)
        assert (count == same).all(), "the proof changed a count"
        skipped = in_main_bulbs(coordinates(axes(grid), grid.cols, grid.rows))
        done = int(np.minimum(count, MAXITER)[~skipped].sum())
        total["iterations"] += done
        total["full"] += whole
        total["quick"] += proven
        if k % max(o.frames // 10, 1) == 0 or k == o.frames - 1:
            by_delta.append(
                {"delta": f"{delta:.3g}", "of the limit, %": round(100 * done / whole / rates[-1], 1)}
            )
            print(
                f"{delta:9.2e} {np.mean(count > MAXITER):9.1%} {done / whole / 1e9:8.2f} "
                f"{done / whole / rates[-1]:9.1%} {whole * 1e3:8.2f} {proven * 1e3:14.2f}"
            )
    rate, top = total["iterations"] / total["full"], float(np.median(rates))
    print(f"limit without test: {top / 1e9:.2f} G it/s (median of {len(rates)}; form {limit.form})")
    print(
        f"all frames: {rate / 1e9:.2f} G it/s = {rate / top:.1%} of the limit; "
        f"{total['full']:.3f} s, with the interior proof {total['quick']:.3f} s"
    )
    row = {
        "device": f"{ctx.device.name}, {ctx.cores} cores, {o.frames} frames {o.width}×{o.height}",
        "limit, G iterations/s": round(top / 1e9, 2),
        "reached, G iterations/s": round(rate / 1e9, 2),
        "of the limit, %": round(100 * rate / top, 1),
        "all frames, s": round(total["full"], 3),
        "with the interior proof, s": round(total["quick"], 3),
    }
    for label, rows in (("all frames", [row]), ("by delta", by_delta)):
        record("direct_throughput", rows, ctx.device.name, ctx.cores, o.results, label)
    return 0


if __name__ == "__main__":
    sys.exit(main())

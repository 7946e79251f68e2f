"""Frames of several versions of this program on one device, in turns: kernels, iterating and whole pictures.

    python benchmarks/gpu_rounds.py NAME=TREE[,SWITCH...] ... [--device D] [--views FOLDER] [--size WxH]
                                    [--repeat N] [--seconds S] [--out FILE] [--results FOLDER]

TREE is a checkout (the folder that holds mandel/). Each version runs in a process of its own; they take turns
frame by frame, so that all see the same machine. The first one is what the others are compared with. Switches:
``single`` leaves rounds out (render/rounds.py), anything that begins with - is an option for the OpenCL compiler.

FOLDER holds more deep views, NAME.re and NAME.im each; those that are not there are left out. Counts are
compared too. On NVIDIA devices the registers of each kernel are printed, as the driver's compiler tells them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import statistics
import subprocess
import sys
import zlib
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).parents[1]
SEAHORSES = "-0.743643887037158704752191506114774,0.131825904205311970493132056385139"
# Of payloads/hd60-1e-100.json, then by the name of a file: delta, maxiter.
ZOOM = [(delta, 100_000) for delta in ("1e-8", "1e-10", "1e-15", "1e-20", "1e-50", "1e-99")]
DEEP = [
    ("minibrot-2e-667", "7.7867450767e-667", 61_400),
    ("minibrot-2e-667", "3e-500", 61_400),
    ("deepmin-5e-433", "2e-432", 200_000),
    ("f3-5.5e275", "5.5e-275", 60_000),
    ("kf-5e227", "5e-227", 200_000),
    ("f3-6e1105", "6e-1105", 1_000_000),
    ("fs10-1e105", "1e-90", 100_000),
]
SHADED = ("direct at 5e-6", "hd60 at 1e-15", "f3-5.5e275 at 5.5e-275")
DIRECT = [("2.5", 1_000), ("1e-4", 1_000), ("5e-6", 100_000)]
LONG = 8.0  # seconds of one view and way after which three turns are enough
WAYS = {
    "kernel": "iterating, device time of its kernels",
    "iterate": "iterating, wall time",
    "picture": "picture, wall time",
}


def views(folder: Path | None) -> list[tuple[str, str, str, str, int, bool]]:
    """(name, re, im, delta, maxiter, shaded) of each: the last ones with distance and slope too."""
    zoom = json.loads((ROOT / "payloads/hd60-1e-100.json").read_text())["point"]
    found = [(f"direct at {delta}", *SEAHORSES.split(","), delta, maxiter) for delta, maxiter in DIRECT]
    found += [(f"hd60 at {delta}", *zoom.split(","), delta, maxiter) for delta, maxiter in ZOOM]
    for name, delta, maxiter in DEEP:
        parts = [folder / f"{name}.{part}" for part in ("re", "im")] if folder else []
        if parts and all(part.exists() for part in parts):
            found.append(
                (f"{name} at {delta}", *(part.read_text().strip() for part in parts), delta, maxiter)
            )
    shaded = [view for view in found if view[0] in SHADED]
    return [(*view, False) for view in found] + [(f"{view[0]}, shaded", *view[1:], True) for view in shaded]


class Version:
    """One version in a process of its own."""

    def __init__(self, said: str, device: str):
        self.name, rest = said.split("=", 1)
        tree, *switches = rest.split(",")
        environment = dict(
            os.environ,
            PYOPENCL_NO_CACHE="1",
            CUDA_CACHE_DISABLE="1",
            PYTHONPATH=os.pathsep.join(
                [str(Path(tree).resolve()), *filter(None, [os.environ.get("PYTHONPATH")])]
            ),
        )
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", json.dumps([device, switches])],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )

    def ask(self, **what) -> None:
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"version {self.name} ended with code {self.process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def serve(device: str, switches: list[str]) -> None:  # noqa: C901, PLR0915 - one program, run by itself
    """Answers to what comes on stdin, a line each."""
    answers, sys.stdout = sys.stdout, sys.stderr
    import numpy as np

    from mandel.colour.style import ColourStyle
    from mandel.device.context import DeviceContext, device_context
    from mandel.plan.view import View
    from mandel.render.frame import FrameRenderer
    from mandel.render.samples import Outputs

    if "single" in switches:
        from mandel.render import rounds

        rounds.are_needed = lambda *_: False
    options, logs, events = [s for s in switches if s.startswith("-")], {}, []
    nvidia = "nvidia" in device_context(device).device.platform.lower()
    plain_build, plain_kernel = DeviceContext.build, DeviceContext.kernel

    def build(self, text, more=(), name=""):
        program = plain_build(self, text, [*more, *options, *(["-cl-nv-verbose"] if nvidia else [])], name)
        log = program.get_build_info(self.handle, self.cl.program_build_info.LOG)
        if found := re.search(r"Used (\d+) registers", log):
            spilled = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", log)
            key = " ".join(o[2:] for o in more if re.match(r"-D(?!WIDTH|TILE|GEOMETRY|SLOPE|PROOF|PAINT)", o))
            logs[f"{name} {key}"] = [int(found[1]), *(int(n) for n in (spilled.groups() if spilled else ()))]
        return program

    def kernel(self, file, name, defines=()):
        launch = plain_kernel(self, file, name, defines)

        def noted(*arguments):
            event = launch(*arguments)
            if name in ("perturb", "direct", "direct_tiles"):
                events.append(event)
            return event

        return noted

    DeviceContext.build, DeviceContext.kernel = build, kernel
    renderer = FrameRenderer(device_context(device))
    ctx = renderer.context
    usual = ctx.queue
    profiled = ctx.cl.CommandQueue(ctx.context, properties=ctx.cl.command_queue_properties.PROFILING_ENABLE)
    view = maxiter = out = wanted = style = None

    def measure(way: str) -> float:
        events.clear()
        ctx.queue.finish()
        ctx.queue = profiled if way == "kernel" else usual
        started = perf_counter()
        if way == "picture":
            renderer.picture(view, maxiter, 1000.0, style, layout="yuv420", out=out)
        else:
            renderer.samples(view.grid(), maxiter, 1000.0, wanted)
            ctx.queue.finish()
        seconds = perf_counter() - started
        if way == "kernel":
            seconds = sum(e.profile.end - e.profile.start for e in events) * 1e-9
        ctx.queue = usual
        return seconds

    for line in sys.stdin:
        asked = json.loads(line)
        if "view" in asked:
            re_, im, delta, maxiter, shaded, width, height = asked["view"]
            wanted, style = (
                Outputs(shaded, shaded),
                ColourStyle(relief=0.5, edge=0.5) if shaded else ColourStyle(),
            )
            view, out = View(re_, im, delta, width, height), np.empty((height * 3 // 2, width), np.uint8)
            samples, grid = renderer.samples(view.grid(), maxiter, 1000.0, wanted), view.grid()
            counts = ctx.download(samples.count, np.empty((grid.rows, grid.cols), np.int32))
            result = {
                "crc": zlib.crc32(counts.tobytes()),
                "mean": float(counts.mean()),
                "device": ctx.device.name,
            }
            for way in WAYS:
                measure(way)
        elif "way" in asked:
            result = {"seconds": measure(asked["way"]), "launches": len(events)}
        else:
            result = {"registers": logs}
        print(json.dumps(result), file=answers, flush=True)


def commit() -> str:
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
        )
        return said.stdout.strip() or "unknown"
    except OSError:
        return "unknown"


def main() -> None:  # noqa: C901, PLR0912, PLR0915 - a script, top to bottom
    sys.path.insert(0, str(ROOT))  # not where versions are served: they have their own
    from benchmarks.record import add_option, record

    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("versions", nargs="+", metavar="NAME=TREE[,SWITCH...]")
    p.add_argument("--device", default="auto")
    p.add_argument("--views", type=Path, metavar="FOLDER")
    p.add_argument("--size", default="1920x1080")
    p.add_argument("--repeat", type=int, default=11)
    p.add_argument("--seconds", type=float, default=1e9, help="begin no view after so many")
    p.add_argument("--commit", default=None, help="what to say where there is no git")
    p.add_argument("--out", type=Path)
    add_option(p)
    o = p.parse_args()
    width, height = map(int, o.size.split("x"))
    versions = [Version(said, o.device) for said in o.versions]
    lines, rows, device = [], [], ""

    def say(text: str) -> None:
        lines.append(text)
        print(text, flush=True)
        if o.out:
            o.out.write_text("\n".join(lines) + "\n")

    begun = perf_counter()
    ratios = {way: {v.name: [] for v in versions} for way in WAYS}
    for number, (name, re_, im, delta, maxiter, shaded) in enumerate(views(o.views)):
        if perf_counter() - begun > o.seconds:
            say(f"{name} and those after it are left out: {o.seconds} s are over")
            break
        for version in versions:
            version.ask(view=[re_, im, delta, maxiter, shaded, width, height])
        ready = [version.answer() for version in versions]
        rows.append({"view": name})
        if number == 0:
            device = ready[0]["device"]
            say(
                f"{datetime.datetime.now():%Y-%m-%d %H:%M}, commit {o.commit or commit()}, {device}, {o.size}, "
                f"median of {o.repeat}; ms of {versions[0].name}, then times that"
            )
            for said in o.versions:
                say(f"  {said}")
        alike = [v.name for v, r in zip(versions, ready, strict=True) if r["crc"] == ready[0]["crc"]]
        others = [v.name for v in versions if v.name not in alike]
        say(
            f"{name}, maxiter {maxiter}, mean count {ready[0]['mean']:.0f}"
            + (f"; counts differ: {', '.join(others)}" if others else "; the same counts")
        )
        for way in WAYS:
            seconds, launches = {v.name: [] for v in versions}, {}
            for turn in range(o.repeat):
                if turn >= 3 and sum(map(sum, seconds.values())) > LONG:
                    break
                for version in versions[turn % len(versions) :] + versions[: turn % len(versions)]:
                    version.ask(way=way)
                    answer = version.answer()
                    seconds[version.name].append(answer["seconds"])
                    launches[version.name] = answer["launches"]
            medians = {key: statistics.median(found) for key, found in seconds.items()}
            first = medians[versions[0].name]
            rows[-1][f"{way}, {versions[0].name}, ms"] = round(first * 1e3, 3)
            rows[-1] |= {f"{way}, {v.name}": round(medians[v.name] / first, 3) for v in versions[1:]}
            for version in versions:
                ratios[way][version.name].append(medians[version.name] / first)
            say(
                f"  {way:8} {first * 1e3:9.3f} ms "
                + "  ".join(f"{v.name} {medians[v.name] / first:.3f} ({launches[v.name]})" for v in versions)
            )
    say("geometric means; in brackets above: launches")
    for way, means in WAYS.items():
        say(
            f"  {means:40} "
            + "  ".join(f"{key} {statistics.geometric_mean(found):.3f}" for key, found in ratios[way].items())
        )
    for version in versions:
        version.ask(registers=True)
        for key, found in sorted(version.answer()["registers"].items()):
            say(f"  {version.name}: {key}: registers, spill stores and loads {found}")
        version.close()
    record("gpu_rounds", rows, device, os.cpu_count(), o.results, note=f"{o.size}, median of {o.repeat}.")


if __name__ == "__main__":
    main() if "--serve" not in sys.argv else serve(*json.loads(sys.argv[sys.argv.index("--serve") + 1]))

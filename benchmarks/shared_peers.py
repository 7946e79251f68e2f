"""One zoom as a finished mp4: shared sampling beside fractalshades and mandelbrot-explorer, in one run.

    python benchmarks/shared_peers.py [--fractalshades PYTHON] [--explorer PYTHON] [--repeat N]

150 frames 640x360 about the seed's point, 2.5 to 1e-4, maxiter 1000, 25 frames a
second. PYTHON are interpreters that have the peers (benchmarks/requirements-peers.txt);
those not given are left out. Wall and CPU time of each from the first sample to the
closed file, in turns, on all cores; a short zoom before it pays for kernels, numba's
compilation and caches. Imports are not timed, nor Ray: ours is one process.

What is unequal: fractalshades makes its map as its gallery does, 3 columns for a
pixel of the frame's width, but without its usual 2x2 supersampling; its frames hold
numba's and PIL's part, and its encoder is x264 at its defaults and crf 22.
mandelbrot-explorer iterates one sample a pixel of each frame; its video is encoded by
ffmpeg with the options that ours has, by one thread beside it. Ours has
the default quality, which docs/sampling.md measures to be that of 4 samples a pixel.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.record import add_option, record
from benchmarks.shared_quality import Maker
from benchmarks.shared_speed import Time
from mandel.device.context import device_context
from mandel.driver.recipes.recipe import FRAME, WorkItem
from mandel.payload.payload import SHARED, Payload, parse
from mandel.plan.segment_plan import cut
from mandel.protocol.strict_json import loads
from mandel.video import ffmpeg
from mandel.video.encode import Coding, encode_segment

ZOOM = {
    "re": "-1.338238635",
    "im": "-0.057237059",
    "start": 2.5,
    "end": 1e-4,
    "maxiter": 1000,
    "width": 640,
    "height": 360,
    "frames": 150,
    "fps": 25,
}
SHORT = ZOOM | {"end": 1.0, "frames": 10}

FRACTALSHADES = """
import json, math, os, sys, tempfile, time
import fractalshades as fs, fractalshades.models as fsm, fractalshades.colors as fscolors
import fractalshades.db, fractalshades.movie, fractalshades.projection
from fractalshades.postproc import Postproc_batch, Continuous_iter_pp
from fractalshades.colors.layers import Color_layer
fs.settings.enable_multithreading = True
def painted(folder, name, z, projection, dx, nx):
    f = fsm.Perturbation_mandelbrot(folder)  # its maps need it, however shallow they are
    f.zoom(precision=20, x=z["re"], y=z["im"], dx=repr(dx), nx=nx, xy_ratio=1.0, theta_deg=0.0,
           projection=projection)
    f.calc_std_div(calc_name="div", subset=None, max_iter=z["maxiter"], M_divergence=1e3,
                   epsilon_stationnary=1e-3, BLA_eps=1e-6, interior_detect=False, calc_dzndc=False)
    batch = Postproc_batch(f, "div")
    batch.add_postproc("cont_iter", Continuous_iter_pp())
    plotter = fs.Fractal_plotter(batch, final_render=True)
    plotter.add_layer(Color_layer("cont_iter", func="x", colormap=fscolors.cmap_register["classic"],
                                  probes_z=[0.0, 100.0], output=True))
    return plotter.save_db(relpath=name + ".postdb", postdb_layer="cont_iter")
def render(z, target):
    started = time.perf_counter()
    ratio = z["width"] / z["height"]
    span = math.log(z["start"] / z["end"])
    h = span + 0.5 * math.log(1 + ratio) + 0.1
    nt = 3 * z["width"]
    with tempfile.TemporaryDirectory() as folder:
        map_ = fs.projection.Expmap(hmin=0.0, hmax=h, rotates_df=False, orientation="vertical")
        width = z["end"] * ratio
        strip = painted(folder, "map", z, map_, width, int(nt / (2 * math.pi) * h + 0.5))
        final = painted(folder, "final", z, fs.projection.Cartesian(), 2 * width, 2 * z["width"])
        mapped = time.perf_counter() - started
        movie = fs.movie.Movie(size=(z["width"], z["height"]), fps=z["fps"])
        seconds = z["frames"] / z["fps"]
        movie.add_sequence(fs.movie.Camera_zoom(fs.db.Exp_db(strip, final), ([0.0, seconds], [span, 0.0])))
        movie.make(target)
    return {"seconds": time.perf_counter() - started, "map": mapped}
"""

EXPLORER = """
import json, os, subprocess, sys, time
import mandelbrot_explorer as me
def render(z, target):
    started = time.perf_counter()
    encoder = subprocess.Popen(z["encoder"] + [target], stdin=subprocess.PIPE)
    with me.Mandelbrot(z["width"], z["height"], max_iterations=z["maxiter"]) as m:
        for k in range(z["frames"]):
            delta = z["start"] * (z["end"] / z["start"]) ** (k / (z["frames"] - 1))
            m.set_view(4 / delta, float(z["re"]), float(z["im"]))  # its zoom 1 shows an extent of 4
            encoder.stdin.write(m.render().tobytes())
    encoder.stdin.close()
    encoder.wait()
    return {"seconds": time.perf_counter() - started}
"""

LOOP = """
import resource
def spent():
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
for line in sys.stdin:
    asked = json.loads(line)
    out = os.dup(1); os.dup2(2, 1)
    began = spent()
    found = render(asked, asked["target"])
    found["cpu"] = spent() - began
    os.dup2(out, 1); os.close(out)
    print("found", json.dumps(found), flush=True)
"""


class Peer:
    """A peer in its own interpreter, one video at a time."""

    def __init__(self, python: str, program: str):
        self.process = subprocess.Popen(
            [python, "-c", program + LOOP], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def __call__(self, zoom: dict, target: Path) -> dict[str, float]:
        self.process.stdin.write(json.dumps(zoom | {"target": str(target), "encoder": encoder(zoom)}) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("found "):
                return json.loads(line[6:])
        raise SystemExit("a peer ended; is everything of benchmarks/requirements-peers.txt installed there?")

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def encoder(zoom: dict) -> list[str]:
    """ffmpeg for 8-bit RGB frames on its standard input, with this program's choice of quality."""
    coding = Coding()
    return [
        ffmpeg.executable(), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24",
        "-video_size", f"{zoom['width']}x{zoom['height']}", "-framerate", str(zoom["fps"]), "-i", "pipe:0",
        "-c:v", "libx264", "-preset", coding.preset, "-crf", str(coding.crf), "-pix_fmt", "yuv420p",
        "-threads", "1", "-bf", "0", "-g", str(coding.key_interval), "-x264-params", coding.options,
    ]  # fmt: skip


def payload(zoom: dict) -> Payload:
    fields = {
        "point": f"{zoom['re']},{zoom['im']}",
        "start_delta": zoom["start"],
        "end_delta": zoom["end"],
        "maxiter": zoom["maxiter"],
        "num_frames": zoom["frames"],
        "fps": zoom["fps"],
        "frame_width": zoom["width"],
        "frame_height": zoom["height"],
        "sampling": SHARED,
    }
    return parse(loads(json.dumps(fields).encode()))


def own(zoom: dict, target: Path) -> dict[str, float]:
    """The same by this program: strips and frames in turn, each on all cores; encoders beside them."""
    began, strips, segments = Time.now(), 0.0, []
    p = payload(zoom)
    maker = Maker(p)
    with ThreadPoolExecutor(device_context().cores) as encoders:
        for segment in cut(p.num_frames):
            pictures = []
            for frame in segment.frames:
                item, started = WorkItem(FRAME, frame), time.perf_counter()
                for need in maker.recipe.needs(item):
                    maker.make(need)
                strips += time.perf_counter() - started
                pictures.append(maker.make(item))
                del maker.made[item]
            segments.append(encoders.submit(encode_segment, pictures, p.frame_width, p.frame_height, p.fps))
        stream = b"".join(segment.result() for segment in segments)
    join = ["-r", p.fps, "-f", "h264", "-i", "pipe:0", "-c", "copy", str(target)]
    subprocess.run([ffmpeg.executable(), "-v", "error", "-y", *join], input=stream, check=True)
    spent = Time.now().since(began)
    return {"seconds": spent.wall, "cpu": spent.cpu, "map": strips}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fractalshades", metavar="PYTHON", help="interpreter with fractalshades")
    parser.add_argument("--explorer", metavar="PYTHON", help="interpreter with mandelbrot-explorer")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each; fractalshades gets one")
    add_option(parser)
    options = parser.parse_args()
    print(f"{datetime.date.today()}, {device_context().device.name}, {device_context().cores} cores")
    ways = {"shared": own}
    if options.explorer:
        ways["mandelbrot-explorer"] = Peer(options.explorer, EXPLORER)
    if options.fractalshades:
        ways["fractalshades"] = Peer(options.fractalshades, FRACTALSHADES)
    for name in {"fractalshades", "mandelbrot-explorer"} - set(ways):
        print(f"{name} is not timed: no interpreter was given")
    with tempfile.TemporaryDirectory() as folder:
        found = {name: [] for name in ways}
        for way in ways.values():
            way(SHORT, Path(folder) / "short.mp4")
        for turn in range(options.repeat):
            for name, way in ways.items():
                if turn == 0 or name != "fractalshades":
                    target = Path(folder) / f"{name}.mp4"
                    found[name].append(way(ZOOM, target) | {"bytes": target.stat().st_size})
    rows = []
    for name, way in ways.items():
        seconds = [run["seconds"] for run in found[name]]
        first = found[name][0]
        parts = f", of this {first['map']:.2f} s for the map" if "map" in first else ""
        print(
            f"{name:20} best {min(seconds):6.2f} s   median {statistics.median(seconds):6.2f} s{parts}; "
            f"CPU {min(run['cpu'] for run in found[name]):6.2f} s; {first['bytes'] / 1e6:.1f} MB"
        )
        rows.append(
            {
                "program": name,
                "best, s": round(min(seconds), 2),
                "median, s": round(statistics.median(seconds), 2),
                "CPU, s": round(min(run["cpu"] for run in found[name]), 1),
            }
        )
        if isinstance(way, Peer):
            way.close()
    context = device_context()
    record(
        "shared_peers",
        rows,
        context.device.name,
        context.cores,
        options.results,
        "" if len(ways) == 3 else "some",
    )


if __name__ == "__main__":
    main()

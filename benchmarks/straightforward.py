"""The straightforward program: what one writes in an afternoon, as a baseline.

One pixel per work item, the bail-out tested at every iteration, each frame
coloured by a table and saved as a PNG, one frame after another, then the PNGs
read back and written as mp4 by imageio with its defaults. Stands alone: needs
pyopencl with any CPU runtime (here PoCL from pip), numpy, Pillow, imageio.

    python benchmarks/straightforward.py payload.json OUT.mp4
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import imageio
import numpy as np
import pyopencl as cl
from PIL import Image

KERNEL = """
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
__kernel void mandelbrot(__global int *out, double left, double top, double step, int width, int maxiter) {
    int i = get_global_id(0), j = get_global_id(1);
    double a = left + i * step, b = top - j * step, x = 0, y = 0;
    int n = 0;
    while (n < maxiter && x * x + y * y <= 4.0) {
        double t = x * x - y * y + a;
        y = 2 * x * y + b;
        x = t;
        n++;
    }
    out[j * width + i] = n;
}
"""


def main(payload: str, target: str) -> None:
    p = json.loads(Path(payload).read_text())
    re, im = map(float, p["point"].split(","))
    width, height, frames, maxiter = p["frame_width"], p["frame_height"], p["num_frames"], p["maxiter"]
    device = cl.get_platforms()[0].get_devices()[0]
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    kernel = cl.Kernel(cl.Program(context, KERNEL).build(), "mandelbrot")
    counts = np.empty((height, width), np.int32)
    buffer = cl.Buffer(context, cl.mem_flags.WRITE_ONLY, counts.nbytes)
    table = (np.sin(np.arange(maxiter + 1)[:, None] * 0.1 + [0, 2, 4]) * 127 + 128).astype(np.uint8)
    table[maxiter] = 0
    started, folder = time.perf_counter(), Path(tempfile.mkdtemp())
    for k in range(frames):
        delta = p["start_delta"] * (p["end_delta"] / p["start_delta"]) ** (k / max(frames - 1, 1))
        step = delta / min(width, height)
        kernel(
            queue,
            (width, height),
            None,
            buffer,
            np.float64(re - step * (width - 1) / 2),
            np.float64(im + step * (height - 1) / 2),
            np.float64(step),
            np.int32(width),
            np.int32(maxiter),
        )
        cl.enqueue_copy(queue, counts, buffer)
        Image.fromarray(table[counts]).save(folder / f"{k:05d}.png")
    rendered = time.perf_counter()
    with imageio.get_writer(target, fps=p["fps"]) as writer:
        for k in range(frames):
            writer.append_data(np.asarray(Image.open(folder / f"{k:05d}.png")))
    ended = time.perf_counter()
    print(
        json.dumps(
            {
                "device": f"{device.name} ({device.platform.name})",
                "frames": rendered - started,
                "video": ended - rendered,
                "total": ended - started,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

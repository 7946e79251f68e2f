"""Where the time of a worker's frames goes outside of kernels, stage by stage, for frames whose kernels take little.

    python -m benchmarks.frame_overhead [WORD ...] [--device D] [--cores N] [--calls N] [--batch N] [--processes N]
                                        [--no-encoding] [--profile] [--record] [--results FOLDER]

A call goes over a line to an embedded worker's code in this process and its results come back, as between driver and
worker. On a CPU device host stages are in CPU time of the worker's thread, so that other work on the machine counts
little; on a GPU in wall time. "kernels" are the device's own times of all commands, taken in calls of their own. With
several processes the same frames are made in all of them at once: "frames/s" is of all together.

To measure another checkout, copy this file into its benchmarks/ and run it there.
"""

from __future__ import annotations

import argparse
import cProfile
import functools
import os
import pstats
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from multiprocessing import Pipe
from typing import Any

from benchmarks.record import add_option, record
from mandel.device import context as device_context_module
from mandel.device.context import DeviceContext
from mandel.driver.recipes.choose import recipe_of
from mandel.driver.recipes.recipe import FRAME, LEARNED, SEGMENT, Recipe, WorkItem
from mandel.payload.payload import Payload, parse
from mandel.render import coordinates, frame, perturbed, resampler, tally
from mandel.tasks.calls import Call, CalledTask, Ended
from mandel.tasks.shared_values import Line, SharedValue
from mandel.tasks.units import SegmentUnit
from mandel.worker import embedded, functions

_HD = {"frame_width": 1920, "frame_height": 1080, "num_frames": 600, "fps": 60}
_SMALL = {"frame_width": 640, "frame_height": 360, "num_frames": 600, "fps": 60}
_DEEP = {"point": "-1.7490812690236999985413285076229387764859494526526714273291187711383,0", "maxiter": 3000}
_HOME = {"point": "-1.338238635,-0.057237059", "maxiter": 50, "end_delta": "0.5"}
# Name: payload, first frame. Frames of no more than one octave.
CASES: dict[str, tuple[dict[str, Any], int]] = {
    "exact, 1920x1080": (_HD | _HOME, 0),
    "exact, 640x360": (_SMALL | _HOME, 0),
    "exact, deep, 640x360": (_SMALL | _DEEP | {"start_delta": "1e-12", "end_delta": "1e-13"}, 0),
    "shared, 1920x1080": (_HD | _HOME | {"end_delta": "1e-3", "sampling": "shared"}, 300),
    "shared, 640x360": (_SMALL | _HOME | {"end_delta": "1e-3", "sampling": "shared"}, 300),
}
_FIRST_CALLS = 2  # that build kernels and fill buffers
# By stage: owner, name of what is called. Those that a checkout lacks are passed over.
_STAGES: dict[str, list[tuple[Any, str]]] = {
    "arguments": [(Line, "receive"), (SharedValue, "value")],
    "planning": [
        (coordinates, "axes"),
        (perturbed, "precision"),
        (frame, "arithmetic"),
        (getattr(resampler, "TexelWindows", resampler.Resampler), "arrange"),
        (resampler.Resampler, "_arrange"),
    ],
    "reference": [
        (frame.FrameRenderer, "keep_reference"),
        (perturbed.PerturbedIterator, "_tables"),
        (perturbed.PerturbedIterator, "_common_start"),
    ],
    "texels": [(resampler.Resampler, "_fill")],
    "buffers": [(DeviceContext, "empty")],
    "uploads": [(DeviceContext, "upload")],
    "launches": [(device_context_module, "_launcher")],
    "waiting": [(DeviceContext, "wait"), (DeviceContext, "finish_queue")],
    "download": [(DeviceContext, "download")],
    "tally": [(tally.Tally, "read"), (tally.Tally, "slots")],
    "looks": [(functions, "is_flat"), (functions, "black_share")],
    "result": [(SharedValue, "of"), (Line, "send")],
}


class Stages:
    """Exclusive seconds of each stage on one thread, within ``counting``."""

    def __init__(self) -> None:
        self.clock: Callable[[], float] = time.thread_time
        self._open: list[str] = []
        self._thread = threading.get_ident()
        self._since = 0.0
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def counting(self) -> Iterator[None]:
        self._since = self.clock()
        self._open.append("rest")
        try:
            yield
        finally:
            self._change()
            self._open.pop()

    def _change(self) -> None:
        now = self.clock()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def wrapped(self, stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def timed(*arguments: Any, **more: Any) -> Any:
            if not self._open or threading.get_ident() != self._thread:
                return call(*arguments, **more)
            self._change()
            self._open.append(stage)
            try:
                return call(*arguments, **more)
            finally:
                self._change()
                self._open.pop()

        return timed

    def install(self) -> None:
        """Wraps what the stages name, in this process, for good."""
        for stage, names in _STAGES.items():
            for owner, name in names:
                found = vars(owner).get(name)
                if name == "_launcher":
                    setattr(owner, name, lambda kernel, make=found: self.wrapped("launches", make(kernel)))
                elif isinstance(found, classmethod):
                    setattr(owner, name, classmethod(self.wrapped(stage, found.__func__)))
                elif found is not None:
                    setattr(owner, name, self.wrapped(stage, found))


class Worker:
    """An embedded worker's code, and the driver's end of its line."""

    def __init__(self, slot: functions.Slot):
        ours, theirs = Pipe()
        self._line, self._far = Line(ours), Line(theirs)
        self._driver = ThreadPoolExecutor(1)  # a message may be larger than what a line takes at once
        self._worker = embedded.EmbeddedWorker(self._far, slot)
        self.counting: Callable[[], Any] = nullcontext

    def call(self, function: str, units: list[Any], inputs: list[list[SharedValue]]) -> list[SharedValue]:
        """The results of one call."""
        shared = list({id(value): value for own in inputs for value in own}.values())
        places = {id(value): place for place, value in enumerate(shared)}
        tasks = [
            CalledTask(1, function, unit, tuple(places[id(value)] for value in own), "overhead", 0, 1e9)
            for unit, own in zip(units, inputs, strict=True)
        ]
        sent = self._driver.submit(self._line.send, Call(tuple(tasks)), shared)
        heard = self._driver.submit(self._hear)
        with self.counting():
            self._far.send(*self._worker._ended(*self._far.receive()))
        sent.result()
        ended, results = heard.result()
        if errors := [facts["error"] for facts in ended.facts if "error" in facts]:
            raise RuntimeError(errors)
        return list(results)

    def _hear(self) -> tuple[Ended, list[SharedValue]]:
        while True:
            message, values = self._line.receive()
            if isinstance(message, Ended):  # others say how far it is
                return message, values


class Maker:
    """Makes what frames of a payload need, by the worker."""

    def __init__(self, payload: Payload, worker: Worker):
        self.payload, self._worker = payload, worker
        self.recipe: Recipe = recipe_of(payload)
        self._made: dict[WorkItem, SharedValue] = {}

    def made(self, item: WorkItem) -> SharedValue:
        if item not in self._made:
            inputs = self.inputs(item)  # the recipe learns from them what the unit says
            [self._made[item]] = self._worker.call(item.kind, [self.recipe.unit(item)], [inputs])
        return self._made[item]

    def inputs(self, item: WorkItem) -> list[SharedValue]:
        found = []
        for need in self.recipe.needs(item):
            if need.kind in LEARNED:
                self.recipe.learn(need, self.made(need).value())
            else:
                found.append(self.made(need))
        return found

    def calls(
        self, first: int, options: argparse.Namespace
    ) -> list[tuple[list[Any], list[list[SharedValue]]]]:
        """Units and inputs of one worker's calls, if another one makes every second call."""
        found = []
        for number in range(_FIRST_CALLS + options.calls):
            begin = first + 2 * number * options.batch
            items = [WorkItem(FRAME, begin + place) for place in range(options.batch)]
            inputs = [self.inputs(item) for item in items]
            found.append(([self.recipe.unit(item) for item in items], inputs))
        return found


def measure(name: str, options: argparse.Namespace, stages: Stages) -> dict[str, Any]:
    """A case's row: milliseconds of one frame."""
    fields, first = CASES[name]
    worker = Worker(functions.Slot(options.device, options.cores))
    maker = Maker(parse(fields), worker)
    calls = maker.calls(first, options)
    context = functions.worker_context(functions.Slot(options.device, options.cores)).context
    is_gpu = context.device.is_gpu
    for call in calls[:_FIRST_CALLS]:
        frames = worker.call(FRAME, *call)

    def make_frames() -> None:
        for call in calls[_FIRST_CALLS:]:
            worker.call(FRAME, *call)

    def frame_milliseconds(seconds: float) -> float:
        return round(1e3 * seconds / options.calls / options.batch, 3)

    stages.clock = time.perf_counter if is_gpu else time.thread_time
    stages.seconds.clear()
    everyone = _others(name, options)
    worker.counting = stages.counting
    began, cpu = time.perf_counter(), time.process_time()
    make_frames()
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    rate = sum(everyone()) + options.calls * options.batch / wall
    worker.counting = nullcontext
    if options.profile:
        with cProfile.Profile() as profile:
            make_frames()
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
    kernels = _kernel_seconds(context, make_frames)
    p, encoding = maker.payload, None
    if options.encoding:
        segment = SegmentUnit(p.frame_width, p.frame_height, p.fps, p.coding)
        before = sum(os.times()[:4])
        worker.call(SEGMENT, [segment], [(frames * 24)[:24]])
        encoding = round(1e3 * (sum(os.times()[:4]) - before) / 24, 2)
    host = sum(value for stage, value in stages.seconds.items() if stage != "waiting")
    return {
        "frame": name,
        "frames/s": round(rate, 1),
        "wall": frame_milliseconds(wall),
        "CPU": frame_milliseconds(cpu),
        "kernels and copies": frame_milliseconds(kernels),
        "host": frame_milliseconds(host),
        **{stage: frame_milliseconds(stages.seconds[stage]) for stage in [*_STAGES, "rest"]},
        "encoding, CPU": encoding,
    }


def _others(name: str, options: argparse.Namespace) -> Callable[[], list[float]]:
    """Starts the other processes' frames; waits until all are ready. What is returned gives their frames/s."""
    command = [
        *(sys.executable, "-m", "benchmarks.frame_overhead", "--serve", "--device", options.device),
        *("--calls", str(options.calls), "--batch", str(options.batch), name),
        *(["--cores", str(options.cores)] if options.cores else []),
    ]
    pipes = {"text": True, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    others = [subprocess.Popen(command, **pipes) for _ in range(options.processes - 1)]
    for other in others:
        assert other.stdout.readline() == "ready\n"
    for other in others:
        other.stdin.write("go\n")
        other.stdin.flush()
    return lambda: [float(other.communicate()[0]) for other in others]


def serve(name: str, options: argparse.Namespace) -> None:
    """The same frames, in a process beside the one that measures."""
    fields, first = CASES[name]
    worker = Worker(functions.Slot(options.device, options.cores))
    maker = Maker(parse(fields), worker)
    calls = maker.calls(first, options)
    for call in calls[:_FIRST_CALLS]:
        worker.call(FRAME, *call)
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.perf_counter()
    for call in calls[_FIRST_CALLS:]:
        worker.call(FRAME, *call)
    print(options.calls * options.batch / (time.perf_counter() - began))


def _kernel_seconds(context: DeviceContext, work: Callable[[], object]) -> float:
    """Device seconds of all commands that ``work`` enqueues."""
    cl, events = context.cl, []
    usual = context.queue
    context.queue = cl.CommandQueue(context.context, properties=cl.command_queue_properties.PROFILING_ENABLE)

    def noted(enqueue: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(enqueue)
        def enqueued(*arguments: Any, **more: Any) -> Any:
            events.append(event := enqueue(*arguments, **more))
            return event

        return enqueued

    launched, copied = cl.Kernel.__call__, cl.enqueue_copy
    cl.Kernel.__call__ = noted(launched)
    cl.enqueue_copy = noted(copied)
    try:
        work()
        context.queue.finish()
    finally:
        cl.Kernel.__call__ = launched
        cl.enqueue_copy = copied
        context.queue = usual
    return sum((event.profile.end - event.profile.start) * 1e-9 for event in events)


def main() -> None:
    """Measures the cases whose names contain a word of the command line, all without one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--cores", type=int, help="of a CPU device; default all")
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--batch", type=int, default=4, help="frames in a call (default 4)")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument(
        "--no-encoding", dest="encoding", action="store_false", help="where there is no ffmpeg"
    )
    parser.add_argument("--profile", action="store_true", help="also print what cProfile finds")
    parser.add_argument("--record", action="store_true", help="write a result file")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    add_option(parser)
    options = parser.parse_args()
    if options.serve:
        serve(options.words[0], options)
        return
    stages, rows = Stages(), []
    stages.install()
    for name in CASES:
        if not options.words or any(word in name for word in options.words):
            rows.append(measure(name, options, stages))
            print(rows[-1], flush=True)
    if options.record:
        device = functions.worker_context(functions.Slot(options.device, options.cores)).context.device
        record("frame_overhead", rows, device.name, len(os.sched_getaffinity(0)), options.results)


if __name__ == "__main__":
    main()

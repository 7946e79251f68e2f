"""The functions that workers run: (unit, slot, *inputs) -> (result, facts about the run).

They know nothing of Ray. An OpenCL context and its programs are costly: they are made on first use and live as long as
the worker process.
"""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np

from mandel.device import machine
from mandel.device.context import device_context
from mandel.errors import MandelError, RenderError
from mandel.plan.cost import Costs, KeyCost
from mandel.plan.grid import Grid
from mandel.plan.iteration_limit import IterationLimit
from mandel.plan.reference import Reference, reference_orbit
from mandel.plan.view import SCALE, View
from mandel.render import cost
from mandel.render.frame import FrameRenderer
from mandel.render.iteration_limit import counts_of, view_limit
from mandel.render.perturbed import orbit_room
from mandel.render.raw_strip import RawStrip, RawStripWriter
from mandel.render.resampler import Resampler
from mandel.render.strip import StripRenderer
from mandel.render.tally import black_share, is_flat
from mandel.tasks.results import check_result
from mandel.tasks.units import (
    CostsUnit,
    FrameUnit,
    LimitUnit,
    MipsUnit,
    ReferenceUnit,
    RepaintUnit,
    ResampleUnit,
    SegmentUnit,
    StripUnit,
)
from mandel.video import encode
from mandel.video.h264 import picture_bytes
from mandel.video.probe import packet_bytes
from mandel.worker import injected_faults
from mandel.worker.interrupt import held_back

Facts = dict[str, Any]  # what a task function says of its run


@dataclass(frozen=True)
class Slot:
    """What a task may use of its worker's machine.

    Attributes:
        device: as ``mandel.device.choose`` takes it.
        cores: cores of a CPU device; None for all.
    """

    device: str = "auto"
    cores: int | None = None


class WorkerContext:
    """The renderers that a thread keeps for a slot."""

    def __init__(self, slot: Slot):
        self.context = device_context(slot.device, slot.cores)
        self.frames = FrameRenderer(self.context, workers=machine.cores())

    @cached_property
    def strips(self) -> StripRenderer:
        return StripRenderer(self.frames)

    @cached_property
    def resampler(self) -> Resampler:
        return Resampler(self.context)

    @property
    def facts(self) -> Facts:
        return {"device": self.context.device.name}


_own = threading.local()
_first = threading.Lock()  # only one thread at a time looks for devices and makes contexts


def worker_context(slot: Slot) -> WorkerContext:
    """What this thread keeps for a slot; made on first use."""
    kept: dict[Slot, WorkerContext] = _own.__dict__.setdefault("contexts", {})
    if slot not in kept:
        with _first, held_back():
            kept[slot] = WorkerContext(slot)
    return kept[slot]


def _forget() -> None:
    """Drops what this thread keeps, which an interrupt may have left half made: the next task makes new ones."""
    _own.__dict__.clear()
    device_context.cache_clear()


def render_frame(unit: FrameUnit | ResampleUnit, slot: Slot, *inputs: Any) -> tuple[np.ndarray, Facts]:
    """One frame, uint8, its bytes as the unit's layout has them.

    The fact ``found`` says whether the picture is ``flat``; also, for an iterated one, how many samples reached the
    limit, and for one made from strips, the share of pixels that is ``black``.

    Args:
        inputs: the reference orbit, if the frame is deep; or the strips that ``unit`` names.
    """
    own = worker_context(slot)
    if isinstance(unit, ResampleUnit):
        picture = own.resampler.picture(unit, inputs)
        return picture, own.facts | {"found": {"flat": is_flat(picture), "black": black_share(picture)}}
    for reference in inputs:
        own.frames.keep_reference(unit.view.re, unit.view.im, reference)
    picture = own.frames.picture(
        unit.view,
        unit.maxiter,
        unit.bailout,
        unit.style,
        unit.supersampling,
        layout=unit.layout,
        adaptive=unit.adaptive,
    )
    return picture, own.facts | {"found": {"flat": is_flat(picture), **asdict(own.frames.reached)}}


def render_strip(unit: StripUnit | RepaintUnit, slot: Slot, *inputs: Any) -> tuple[np.ndarray, Facts]:
    """A strip of the exponential map with all its levels, uint32, flat.

    The fact ``raw`` holds its samples, uint8, as ``render.raw_strip`` packs them, if they are worth keeping. The fact
    ``found`` says how many samples reached the limit.

    Args:
        inputs: the reference orbit, if the strip is deep; for a ``RepaintUnit`` the packed samples.
    """
    own = worker_context(slot)
    if isinstance(unit, RepaintUnit):
        strip = own.strips.repaint(unit.layout, unit.base, RawStrip(inputs[0]), unit.style)
        return strip, own.facts | {"found": asdict(own.strips.reached)}
    for reference in inputs:
        own.frames.keep_reference(unit.re, unit.im, reference)
    writer = RawStripWriter(unit.maxiter, unit.bailout, unit.pace)
    strip = own.strips.render(unit.layout, unit.blocks, unit.maxiter, unit.bailout, unit.style, writer)
    raw, facts = writer.data(), own.facts | {"found": asdict(own.strips.reached)}
    return strip, facts if raw is None else facts | {"raw": np.frombuffer(raw, np.uint8)}


def keep_mips(unit: MipsUnit, slot: Slot, strip: np.ndarray) -> tuple[np.ndarray, Facts]:
    """A copy of a strip's coarse levels, so that the rest of the strip can be freed."""
    return strip[unit.layout.offset(unit.level) :].copy(), {}


def compute_reference(unit: ReferenceUnit, slot: Slot) -> tuple[Reference, Facts]:
    """The reference orbit that all deep frames of a job share."""
    reference = reference_orbit(
        unit.re,
        unit.im,
        unit.bits,
        unit.limit,
        report,
        unit.radius,
        unit.gives_up,
        orbit_room(machine.cores()),
    )
    return reference, {"iterations": reference.last}


def find_limit(
    unit: LimitUnit, slot: Slot, reference: Reference | None = None
) -> tuple[IterationLimit, Facts]:
    """The iteration limit that a key view needs, or the quantiles of a view's counts."""
    own = worker_context(slot)
    if unit.counts_alone:
        return counts_of(own.frames, unit.view.grid(), unit.given, reference), own.facts
    return view_limit(own.frames, unit.view, reference), own.facts


def measure_costs(unit: CostsUnit, slot: Slot, *inputs: Reference) -> tuple[Costs, Facts]:
    """What samples of some views take, and pixels of them, encoded.

    Args:
        inputs: the reference orbits of deep views.
    """
    own, found = worker_context(slot), []
    for view, maxiter, place, orbit in zip(unit.views, unit.maxiters, unit.places, unit.orbits, strict=True):
        if orbit is not None:
            own.frames.keep_reference(view.re, view.im, inputs[orbit])
        seconds, fixed = cost.sample_seconds(
            own.frames, view, unit.supersampling, maxiter, unit.bailout, unit.style, unit.enough
        )
        size = _pixel_bytes(own.frames, unit, view, maxiter, seconds) if unit.coding is not None else None
        found.append(KeyCost(place, seconds, fixed, *(size or ())))
    return Costs(tuple(found), own.context.device.is_gpu), own.facts


_TILED = 3  # consecutive frames


def _pixel_bytes(
    renderer: FrameRenderer, unit: CostsUnit, view: View, maxiter: int, seconds: float
) -> tuple[float, float] | None:
    """Encoded bytes of a pixel of a key picture and of one that follows; None if frames' tiles are too dear."""
    n, coding = unit.encoded_supersampling, unit.coding
    across, side = cost.tiling(view, n, seconds, _TILED)
    if coding is None or not across:
        return None

    def draw(whole: Grid, part: Grid) -> np.ndarray:
        return renderer.part(whole, part, maxiter, unit.bailout, unit.style, n, coding.layout)

    frames = []
    for number in range(_TILED):  # wider and wider: the view's orbit and limit may not serve deeper ones
        widened = unit.step**number
        shown = replace(view, delta=str(SCALE.multiply(Decimal(view.delta), Decimal(widened))))
        frames.append(cost.tiles(draw, shown, n, coding.layout, across, side, widened))
    whole = across * side
    segment = encode.encode_segment(frames[:: -1 if unit.inwards else 1], whole, whole, unit.fps, coding)
    sizes = picture_bytes(segment) if coding.is_stream else packet_bytes(segment)
    return sizes[0] / whole**2, sum(sizes[1:]) / (_TILED - 1) / whole**2


def encode_segment(unit: SegmentUnit, slot: Slot, *frames: np.ndarray) -> tuple[np.ndarray, Facts]:
    """Frames, in order, as the bytes of one segment: uint8, as only arrays travel without being copied."""
    segment = encode.encode_segment(frames, unit.width, unit.height, unit.fps, unit.coding)
    return np.frombuffer(segment, np.uint8), {"frames": len(frames)}


FUNCTIONS: dict[str, Callable[..., tuple[Any, Facts]]] = {
    "frame": render_frame,
    "segment": encode_segment,
    "reference": compute_reference,
    "limit": find_limit,
    "costs": measure_costs,
    "strip": render_strip,
    "mips": keep_mips,
}

_reporter: ContextVar[Callable[[int, int], object] | None] = ContextVar("reporter", default=None)


def report(done: int, total: int) -> None:
    """Tells how far a long task is, if the caller of ``run`` gave ``tell``."""
    if (tell := _reporter.get()) is not None:
        tell(done, total)


def _cpu_seconds() -> float:
    """CPU time of this process, and of those that it started and that have ended: ffmpeg encodes."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


# By job, the ``failures`` of the latest task that failed in this process.
_failed: dict[str, int] = {}


def run(
    function: str,
    unit: Any,
    slot: Slot,
    *inputs: Any,
    label: str = "",
    failures: int = 0,
    in_time: bool = True,
    tell: Callable[[int, int], object] | None = None,
) -> tuple[Any, Facts]:
    """Calls a task function; an error becomes part of the facts, never an exception.

    A broken worker fails at once, and would get and fail all waiting tasks of a job before the driver could send them
    elsewhere. So after a failure it hands back, untried, the tasks that were submitted before the driver knew of it.

    Args:
        label: the task's name; its first word is the job's.
        failures: failed attempts, of any job, known of when the task was submitted.
        in_time: whether its call may begin it still.
        tell: called now and then as ``tell(done, total)`` by tasks that take long.

    Returns:
        The result (None after an error) and a dict with ``host``, ``pid``,
        ``seconds``, ``cpu_seconds``, and ``error`` (code, message) if there was one.
    """
    started, cpu = time.monotonic(), _cpu_seconds()
    result: Any = None
    facts: Facts = {}
    _reporter.set(tell)
    job = label.partition(" ")[0]
    try:
        if failures <= _failed.get(job, -1):
            raise RenderError("RETURNED_UNTRIED", "this worker failed another task of the job meanwhile")
        if not in_time:
            raise RenderError("RETURNED_UNTRIED", "its call has lasted long enough")
        injected_faults.strike(label)
        result, facts = FUNCTIONS[function](unit, slot, *inputs)
        check_result(function, result)
    except MandelError as error:
        result, facts = None, {"error": {"code": error.code, "message": error.message}}
    except Exception as error:  # the worker must live on; the scheduler counts the attempt
        traceback.print_exc()
        facts = {"error": {"code": "INTERNAL", "message": f"{type(error).__name__}: {error}"}}
    except BaseException:  # it is cancelled
        _forget()
        raise
    if facts.get("error", {}).get("code", "RETURNED_UNTRIED") != "RETURNED_UNTRIED":
        _failed[job] = max(failures, _failed.get(job, -1))
    facts |= {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "seconds": time.monotonic() - started,
        "cpu_seconds": _cpu_seconds() - cpu,
    }
    return result, facts

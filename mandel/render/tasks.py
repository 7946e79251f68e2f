"""The functions that workers run: (unit, slot, *inputs) -> (result, facts about the run).

They know nothing of Ray. What is costly to make, an OpenCL context and its
programs, is made on first use and lives as long as the worker process.
"""

from __future__ import annotations

import os
import socket
import time
import traceback
from dataclasses import dataclass
from functools import cache

import numpy as np

from mandel.errors import MandelError
from mandel.render.unit import FrameUnit, SegmentUnit


@dataclass(frozen=True)
class Slot:
    """What a task may use of its worker's machine.

    Attributes:
        device: as ``mandel.device.choose`` takes it.
        cores: cores of a CPU device; None for all.
    """

    device: str = "auto"
    cores: int | None = None


@cache
def renderer(slot: Slot):
    """This process's frame renderer for a slot."""
    from mandel.device.context import device_context
    from mandel.render.frame import FrameRenderer

    return FrameRenderer(device_context(slot.device, slot.cores))


def render_frame(unit: FrameUnit, slot: Slot) -> tuple[np.ndarray, dict]:
    """One frame as planar YUV 4:2:0, uint8, shape (height * 3 // 2, width)."""
    own = renderer(slot)
    picture = own.picture(
        unit.view, unit.maxiter, unit.bailout, unit.look, unit.supersampling, layout="yuv420"
    )
    return picture, {"device": own.context.device.name}


def encode_segment(unit: SegmentUnit, slot: Slot, *frames: np.ndarray) -> tuple[bytes, dict]:
    """Frames, in order, as the bytes of one segment."""
    from mandel.video.encode import encode_segment as encode

    return encode(frames, unit.width, unit.height, unit.fps), {"frames": len(frames)}


FUNCTIONS = {"frame": render_frame, "segment": encode_segment}


def run(function: str, unit, slot: Slot, *inputs):
    """Calls a task function; an error becomes part of the facts, never an exception.

    Returns:
        The result (None after an error) and a dict with ``host``, ``pid``,
        ``seconds``, ``cpu_seconds``, and ``error`` (code, message) if there was one.
    """
    started, cpu = time.monotonic(), time.process_time()
    result, facts = None, {}
    try:
        result, facts = FUNCTIONS[function](unit, slot, *inputs)
    except MandelError as error:
        facts = {"error": {"code": error.code, "message": error.message}}
    except Exception as error:  # the worker must live on; the scheduler counts the attempt
        traceback.print_exc()
        facts = {"error": {"code": "INTERNAL", "message": f"{type(error).__name__}: {error}"}}
    facts |= {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "seconds": time.monotonic() - started,
        "cpu_seconds": time.process_time() - cpu,
    }
    return result, facts

"""Checks of what workers return, before anything uses it: a result of a wrong type fails its task and nothing else."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mandel import plain_file
from mandel.errors import MandelError, RenderError
from mandel.plan.cost import Costs
from mandel.plan.iteration_limit import IterationLimit
from mandel.plan.reference import Reference
from mandel.tasks.executor import Outcome
from mandel.video import ffmpeg
from mandel.video.coding import DEFAULT, Coding
from mandel.video.h264 import count_frames

# By task function: the type of its result, and the dtype of arrays.
_RESULTS: dict[str, tuple[type, type | None]] = {
    "frame": (np.ndarray, np.uint8),
    "segment": (np.ndarray, np.uint8),
    "reference": (Reference, None),
    "limit": (IterationLimit, None),
    "costs": (Costs, None),
    "strip": (np.ndarray, np.uint32),
    "mips": (np.ndarray, np.uint32),
}
# An encoded segment is smaller than its pictures; its headers may take this much more.
_HEADERS = 1 << 16


def bad_result(why: str) -> RenderError:
    """The error of a worker that returned something it was not asked for."""
    return RenderError("BAD_RESULT", f"a worker returned what it was not asked for: {why}")


def as_told(error: Exception) -> dict[str, Any]:
    """An exception raised while a result was checked, as an outcome's error."""
    return (
        error if isinstance(error, MandelError) else bad_result(f"{type(error).__name__}: {error}")
    ).as_dict()


def check_result(function: str, result: Any) -> None:
    """Raises RenderError BAD_RESULT unless ``result`` has the type that the task function makes."""
    kind, dtype = _RESULTS.get(function, (object, None))
    if not isinstance(result, kind):
        raise bad_result(f"{type(result).__name__} as {function}")
    if isinstance(result, IterationLimit) and not (
        isinstance(result.maxiter, (int, np.integer))
        and result.maxiter >= 0
        and isinstance(result.resolved, (bool, np.bool_))
        and isinstance(result.reason, str)
    ):
        raise bad_result(f"{str(result)[:100]} as {function}")
    if isinstance(result, Costs) and not (
        result.views
        and all(
            isinstance(value, (int, float)) and 0 <= value < math.inf
            for view in result.views
            for value in (view.seconds, view.fixed, view.key_bytes or 0.0, view.next_bytes or 0.0)
        )
    ):
        raise bad_result(f"{str(result)[:100]} as {function}")
    if isinstance(result, np.ndarray) and dtype is not None and (result.dtype != dtype or not result.size):
        raise bad_result(f"{result.size} of {result.dtype} as {function}")


def sound(outcome: Outcome) -> Outcome:
    """The outcome, or a failed one in its place if its facts or its error are not what a worker gives."""
    info, error = outcome.info, outcome.error
    try:
        if error is not None:
            good = all(isinstance(error[field], str) for field in ("code", "message"))
        else:
            good = (
                all(isinstance(info[field], str) for field in ("node", "host"))
                and all(
                    isinstance(info[field], (int, float)) and 0 <= info[field] < math.inf
                    for field in ("seconds", "cpu_seconds")
                )
                and isinstance(info.get("device", ""), str)
            )
            raw = info.get("raw")
            good = good and (raw is None or (isinstance(raw, np.ndarray) and raw.dtype == np.uint8))
    except (KeyError, TypeError, AttributeError):
        good = False
    return (
        outcome
        if good
        else replace(outcome, handle=None, info={}, error=bad_result("facts of another kind").as_dict())
    )


def segment_bytes(value: Any, frames: int, frame_bytes: int) -> memoryview:
    """The bytes of an encoded segment.

    Raises:
        RenderError: BAD_RESULT when it is no array of bytes, or too large for so many frames.
    """
    if isinstance(value, np.ndarray):
        check_result("segment", value)
        value = np.ascontiguousarray(value).data
    elif not isinstance(value, bytes):
        raise bad_result(f"{type(value).__name__} as segment")
    data = memoryview(value).cast("B")
    if len(data) > 2 * frames * frame_bytes + _HEADERS:
        raise bad_result(f"{len(data)} bytes as a segment of {frames} frames")
    return data


def check_segment(path: Path, frames: int, width: int, height: int, coding: Coding = DEFAULT) -> None:
    """Decodes a segment's file and counts its frames.

    Raises:
        RenderError: BAD_SEGMENT unless it holds exactly ``frames`` frames of this size; NO_FFMPEG, FFMPEG_STALLED.
        OSError: it cannot be read.
    """
    data = plain_file.content(path)
    begun = count_frames(data) if coding.is_stream else frames
    try:
        told = (
            ffmpeg.run(
                [
                    *("-threads", "1", "-xerror", "-err_detect", "explode"),
                    *("-f", "h264" if coding.is_stream else "matroska", "-i", "pipe:0", "-map", "0:v:0"),
                    *("-fps_mode", "passthrough", "-pix_fmt", "gray", "-f", "framecrc", "pipe:1"),
                ],
                data,
            ).decode(errors="replace")
            if begun == frames
            else ""
        )
    except RenderError as error:
        if error.code != "FFMPEG_FAILED":
            raise
        raise RenderError("BAD_SEGMENT", f"a segment cannot be decoded: {error.message}") from error
    sizes = [line.split(",")[4].strip() for line in told.splitlines() if line and not line.startswith("#")]
    if begun != frames or sizes != frames * [str(width * height)]:
        raise RenderError(
            "BAD_SEGMENT",
            f"a segment holds {begun} pictures, of which {len(sizes)} decode, instead of {frames} of "
            f"{width}x{height}",
        )

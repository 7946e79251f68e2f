"""What is worth a slot's while: CPUs beside GPUs iterate, render, encode, or had better wait; and how many
frames make a call."""

from __future__ import annotations

from collections.abc import Mapping

from mandel.cluster.job import Job
from mandel.cluster.recipe import FRAME, SEGMENT, STRIP, Grade

# A call of frames that take less is worth filling up.
_CALL_SECONDS = 0.15
_MOST_TOGETHER = 8
# CPUs that add a smaller share than this to what GPUs render leave all of it to them.
_WORTH_IT = 0.1
# What encoding a frame is taken to need, a byte of it, until a segment was encoded (docs/benchmarks.md).
_ENCODING = 8e-9


def unwise(job: Job, kind: str, slots: Mapping[str, int], running: Mapping[str, int]) -> frozenset[Grade]:
    """The grades of items that slots of ``kind`` had better leave to other slots.

    Args:
        slots: how many there are of each kind.
        running: how many of the job's tasks run on slots of this kind, by the kind of item.
    """
    if len(slots) == 1:
        return frozenset()
    wise = {FRAME: job.frames_left, STRIP: job.needs_ahead}
    grades = ((Grade(item, deep), ahead) for item, ahead in wise.items() for deep in (False, True))
    return frozenset(
        grade for grade, ahead in grades if not _is_wise(job, grade, kind, slots, running, ahead)
    )


def _is_wise(
    job: Job, grade: Grade, kind: str, slots: Mapping[str, int], running: Mapping[str, int], ahead: int
) -> bool:
    """Whether a slot ends an item before the others have made all ``ahead`` that are wanted before it."""
    paces = {other: job.pace[grade, other] for other in slots if (grade, other) in job.pace}
    if (own := paces.pop(kind, None)) is None:
        # How long a CPU takes shows in one item; GPUs begin at once.
        return kind == "gpu" or not running.get(grade.kind)
    if not paces:
        return kind == "gpu"
    if own <= min(paces.values()):
        return True  # whatever the others do: there must be one that takes it
    if grade.kind == FRAME and kind == "cpu" and _delays_encoding(job, grade, slots, running):
        return False
    return own <= min(max(pace, ahead * pace / slots[other]) for other, pace in paces.items())


def _delays_encoding(job: Job, grade: Grade, slots: Mapping[str, int], running: Mapping[str, int]) -> bool:
    """Whether CPUs that render one frame more encode fewer than are rendered: only they can encode.

    Or nearly so: a frame that takes a core long holds its segment up, for little.
    """
    # What GPUs take seems more when CPUs are busy: those would then render, and be busier still.
    own, gpu = job.pace.get((grade, "cpu")), job.least_pace(grade, "gpu")
    if not own or not gpu:
        return False
    encoding = job.pace.get((Grade(SEGMENT), "cpu"), _ENCODING * job.frame_bytes)
    rate = slots["gpu"] / gpu
    left = slots["cpu"] - encoding * rate  # CPUs that do not encode what GPUs render
    more = left / (own + encoding)  # frames a second that they render and encode
    return more < _WORTH_IT * rate or running.get(FRAME, 0) >= more * own


def frames_together(job: Job, kind: str, slots: Mapping[str, int]) -> int:
    """How many of the next frames one call renders.

    Each call costs the driver, the raylet and the worker some 10 ms; towards the job's end fewer frames
    together leave less to wait for.
    """
    if not (seconds := job.pace.get((job.next_grade, kind))):
        return 1
    return max(1, min(int(_CALL_SECONDS / seconds), job.frames_left // (2 * slots[kind]), _MOST_TOGETHER))

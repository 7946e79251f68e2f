"""Decides which items CPU slots take beside GPUs, and how many frames make one call."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mandel.driver.jobs.job_run import JobRun
from mandel.driver.recipes.recipe import COSTS, FRAME, REFERENCE, SEGMENT, STRIP, CostClass, WorkItem
from mandel.driver.recipes.shared import MIPS


def left_to_others(
    job: JobRun, kind: str, slots: Mapping[str, int], running: Mapping[str, int]
) -> frozenset[CostClass]:
    """The grades of items that slots of ``kind`` had better leave to other slots.

    Args:
        slots: how many there are of each kind.
        running: how many of the job's tasks run on slots of this kind, by the kind of item.
    """
    if len(slots) == 1:
        return frozenset()
    wise = {FRAME: job.frontier.frames_left, STRIP: job.frontier.needs_ahead}
    cost_classes = ((CostClass(item, deep), ahead) for item, ahead in wise.items() for deep in (False, True))
    return frozenset(
        cost_class
        for cost_class, ahead in cost_classes
        if not _should_take(job, cost_class, kind, slots, running, ahead)
    )


def _should_take(
    job: JobRun,
    cost_class: CostClass,
    kind: str,
    slots: Mapping[str, int],
    running: Mapping[str, int],
    ahead: int,
) -> bool:
    """Whether a slot ends an item before the others have made all ``ahead`` that are wanted before it."""
    means = job.timings.by_kind(cost_class, slots)
    if (own := means.pop(kind, None)) is None:
        # How long a CPU takes shows in one item; GPUs begin at once.
        return kind == "gpu" or not running.get(cost_class.kind)
    if not means:
        return kind == "gpu"
    if own <= min(means.values()):
        return True  # whatever the others do: there must be one that takes it
    if cost_class.kind == FRAME and kind == "cpu" and _delays_encoding(job, cost_class, slots, running):
        return False
    return own <= min(max(mean, ahead * mean / slots[other]) for other, mean in means.items())


def _delays_encoding(
    job: JobRun, cost_class: CostClass, slots: Mapping[str, int], running: Mapping[str, int]
) -> bool:
    """Whether CPUs that render one frame more encode fewer than are rendered: only they can encode.

    Or nearly so: a frame that takes a core long holds its segment up, for little.
    """
    # What GPUs take seems more when CPUs are busy: those would then render, and be busier still.
    own, gpu = job.timings.mean(cost_class, "cpu"), job.timings.least(cost_class, "gpu")
    if not own or not gpu:
        return False
    encoding = job.timings.mean(CostClass(SEGMENT), "cpu")
    if encoding is None:
        encoding = job.policy.encoding_seconds_per_byte * job.frame_bytes
    rate = slots["gpu"] / gpu
    left = slots["cpu"] - encoding * rate  # CPUs that do not encode what GPUs render
    more = left / (own + encoding)  # frames a second that they render and encode
    return more < job.policy.worthwhile_share * rate or running.get(FRAME, 0) >= more * own


def items_per_batch(job: JobRun, item: WorkItem, kind: str, free: int) -> int:
    """How many items like ``item``, of which more may be ready, one call makes.

    Each call costs the driver, the raylet and the worker some 10 ms, where slots are full half a second; towards the
    job's end fewer frames together leave less to wait for.

    Args:
        free: slots of this kind that are not held by long calls.
    """
    seconds = job.timings.mean(job.cost_class(item), kind) or (1e-3 if item.kind == MIPS else math.inf)
    ahead = job.frontier.frames_left if item.kind == FRAME else job.frontier.needs_ahead
    most = 1 if item.kind in (REFERENCE, COSTS) else job.policy.max_batch
    return max(1, min(int(job.policy.call_seconds / seconds), ahead // (2 * free), most))

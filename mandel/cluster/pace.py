"""Which kinds of slots are worth a job's while: CPUs beside GPUs render, encode, or had better wait; and how many frames
make a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mandel.cluster.executor import Task
from mandel.cluster.job import Job
from mandel.cluster.recipe import SEGMENT

# A call of frames that take less is worth filling up.
_CALL_SECONDS = 0.15
_MOST_TOGETHER = 8


def pays(job: Job, kind: str, slots: Mapping[str, int], running: Sequence[Task]) -> bool:
    """Whether a slot of a kind ends a frame before the others have done all that is left.

    Args:
        slots: how many there are of each kind.
        running: the job's tasks on slots of this kind.
    """
    if len(slots) == 1:
        return True
    if kind == "cpu" and 2 * sum(task.function == SEGMENT for task in running) >= slots[kind]:
        return False  # only CPUs encode: where that is the bottleneck they do nothing else
    own = job.pace.get(kind)
    if own is None:
        # How long a CPU takes shows in one frame; GPUs begin at once.
        return kind == "gpu" or all(task.function == SEGMENT for task in running)
    others = [job.pace[other] / count for other, count in slots.items() if other != kind and other in job.pace]
    if not others:
        return kind == "gpu"
    return own <= job.frames_left * min(others) + max(others)


def frames_together(job: Job, kind: str, slots: Mapping[str, int]) -> int:
    """How many of the next frames one call renders.

    Each call costs the driver, the raylet and the worker some 10 ms; towards the job's end fewer frames
    together leave less to wait for.
    """
    if not (seconds := job.pace.get(kind)):
        return 1
    return max(1, min(int(_CALL_SECONDS / seconds), job.frames_left // (2 * slots[kind]), _MOST_TOGETHER))

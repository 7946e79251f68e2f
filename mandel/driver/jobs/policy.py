"""All tuning constants of the driver's decisions in one object, and the type of its clock.

Tests pass another policy or another clock; they need to replace nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

Clock = Callable[[], float]
"""Seconds that only grow, as ``time.monotonic`` gives them."""


@dataclass(frozen=True)
class SchedulingPolicy:
    """Numbers that decide what is started, where, and how often.

    Attributes:
        max_attempts: after so many failed attempts at one item its job fails.
        max_losses: after so many attempts that died with their node, or hung, its job fails. The item is not to blame,
            but it must not be tried for ever.
        blocklist_failures: a node that failed so many of a job's attempts in a row gets no more of its tasks.
        blocklist_seconds: a node that failed one attempt gets none of the job's tasks for so long.
        queued_calls: calls that are submitted for each slot, by kind. More than one, so that a worker never waits
            for the driver's loop; GPUs need more, as their tasks may take 2 ms. Where a call holds its slot
            for long and other slots are free there is one: a newcomer's tasks come after all that was submitted.
        held_seconds: that is so long.
        frames_ahead: frames after the next one that are looked at one by one. Beyond them only inputs are made.
        large_task_bytes: tasks that take more memory ask for it beforehand.
        timing_weight: weight of the newest measurement in the mean of seconds per item.
        timing_count: of so many last measurements the least tells how fast a slot is.
        call_seconds: calls of items that take less are filled up with more of these.
        max_batch: most items in one call.
        worthwhile_share: CPUs render only if they add at least this share to what GPUs render.
        encoding_seconds_per_byte: taken for encoding a frame until a segment was encoded (docs/benchmarks.md).
        take_over_factor: an idle slot copies a task that another kind has been at for so many times what the idle
            slot would need,
        take_over_seconds: and for at least so many seconds.
        late_when_idle: a silent task is late after so many times what its like takes, and at least so many seconds,
            while a slot is idle.
        late_when_busy: the same for tasks that are heard of, or while no slot is idle.
        unknown_seconds: what a task is taken to need until one like it has ended.
        late_decay: the longest time of its like shrinks by this factor with each task that ends.
        late_look_seconds: how often late tasks are looked for.
        silent_seconds: a task that gave no sign of life for so long is silent.
        copy_patience: each further copy multiplies the patience by this: a slow task is copied a few times at most.
        express_wait_seconds: a client that waited so long for a slot gets a place beside the slots.
        express_wait_limit: no more seconds of waiting than these count.
        express_turn_seconds: a task beside the slots makes way after so long. Its work is then lost.
        express_doublings: a job that had to make way keeps its next place twice as long, before others that had to;
            so many times.
        express_call_seconds: a call beside the slots begins no further task after so long.
        express_batch: most tasks in such a call, of those that make what frames need.
        express_look_seconds: how often waiting clients are looked for.
        store_share: share of the object store for pictures and strips together.
        prefetch_share: of the store, for strips that are needed later, so that all slots have something to do.
        newcomer_share: of the store, kept for jobs that have nothing yet.
        newcomer_job_share: of the store, the most that such a job takes of it.
        max_unadopted: a job of which so many segments are not durable yet begins no further one: the head stores
            them more slowly than they are made.
        max_disk_work: a job of which so many files wait to be read or written begins nothing further.
        disk_seconds: what the disk has not answered within this is late: nothing is held up for it any more.
        disk_look_seconds: how often the answers of the disk are looked for that are due.
        hung_seconds: it is told of a job whose file is not read, written or decoded after so long.
        checkpoint_seconds: results that took longer are kept at once.
        checkpoint_seconds_at_stop: pictures that took longer are kept when the driver stops.
        checkpoint_bytes_per_second: of pictures kept at once, at most: many slots make many of them in a second.
        checkpoint_queue: most pictures that wait to be written.
        stage_seconds: how often the progress of long tasks is told.
        forecast_seconds: worker seconds that a job has taken when it is measured what its samples take.
        estimate_seconds: after so long an estimate tells what is known by then.
        poster_position: the poster shows this part of the video: far enough in to be worth a look, not its end.
        segment_check_share: segments that are decoded at a time, at most, for each core of the driver's machine; two
            in any case. Decoding takes half as long as the fastest encoding.
        decoding_seconds: nothing waits longer than this for others that decode, or hang: they may never end.
    """

    max_attempts: int = 3
    max_losses: int = 30
    blocklist_failures: int = 2
    blocklist_seconds: float = 15.0
    queued_calls: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({"cpu": 2, "gpu": 4}))
    held_seconds: float = 2.0
    frames_ahead: int = 64
    large_task_bytes: int = 1 << 30

    timing_weight: float = 0.3
    timing_count: int = 16
    call_seconds: float = 0.15
    max_batch: int = 8
    worthwhile_share: float = 0.1
    encoding_seconds_per_byte: float = 8e-9

    take_over_factor: float = 2.0
    take_over_seconds: float = 1.0
    late_when_idle: tuple[float, float] = (5.0, 10.0)
    late_when_busy: tuple[float, float] = (30.0, 60.0)
    unknown_seconds: float = 24.0
    late_decay: float = 0.9
    late_look_seconds: float = 1.0
    silent_seconds: float = 10.0
    copy_patience: int = 4

    express_wait_seconds: float = 1.0
    express_wait_limit: float = 2.0
    express_turn_seconds: float = 2.0
    express_doublings: int = 6
    express_call_seconds: float = 1.0
    express_batch: int = 16
    express_look_seconds: float = 0.1

    store_share: float = 0.4
    prefetch_share: float = 0.15
    newcomer_share: float = 0.1
    newcomer_job_share: float = 0.05

    max_unadopted: int = 64
    max_disk_work: int = 8
    disk_seconds: float = 1.0
    disk_look_seconds: float = 0.02
    hung_seconds: float = 30.0

    checkpoint_seconds: float = 1.0
    checkpoint_seconds_at_stop: float = 0.05
    checkpoint_bytes_per_second: float = 32e6
    checkpoint_queue: int = 2

    stage_seconds: float = 1.0
    forecast_seconds: float = 0.1
    estimate_seconds: float = 150.0
    poster_position: float = 0.8
    segment_check_share: float = 0.5
    decoding_seconds: float = 10.0


DEFAULT_POLICY = SchedulingPolicy()

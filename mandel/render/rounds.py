"""Cuts long work into rounds, one launch each, so that no launch lasts longer than about a second.

Between launches Python notices an interrupt, so a cancelled job soon leaves its device. And a graphics driver that ends
long launches finds none. In a round each work item may take a number of steps. One that has more to do keeps its state,
and goes on in the next round (kernels/rounds.h). Results do not depend on where rounds end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from mandel.device.context import Argument, Buffer, DeviceContext, Launch
from mandel.kernels import contract

# A launch should take this long. The first ones are shorter, since the device's pace is not known yet.
TARGET_SECONDS = 0.4
# Kernels multiply a budget by the length of a block, in ints. With less than two steps perturb.cl might not advance.
_LEAST_STEPS, _MOST_STEPS = 2, 10_000_000
_GROWTH = 8
# Work of fewer iterations takes less than a second everywhere, and is done in one launch.
_SHORT_ON_A_CORE, _SHORT_ON_A_GPU = 1e9, 2e10
# The most that a sample keeps between rounds.
KEPT_BYTES = 8 * max(contract.PERTURBED_STATE, contract.DIRECT_DERIVATIVE_STATE, contract.TILE_SAMPLE_STATE)
# The same for one sample alone: each of its iterations waits for the one before.
_SHORT_SAMPLE_ON_A_CORE, _SHORT_SAMPLE_ON_A_GPU = 100_000_000, 1_000_000


@dataclass
class Pace:
    """How fast a device goes, learned from round to round.

    Attributes:
        parallel: work items that run at once.
        steps: steps that one work item does in a second, never overestimated by much.
    """

    parallel: int
    steps: float

    def budget(self, items: int) -> int:
        """Steps that ``items`` work items can each do in the target time."""
        turns = max(items / self.parallel, 1.0)
        return int(min(max(self.steps * TARGET_SECONDS / turns, _LEAST_STEPS), _MOST_STEPS))

    def learn(self, items: int, budget: int, seconds: float) -> None:
        """Notes that ``items`` work items, of which some ended sooner, did ``budget`` steps each in ``seconds``."""
        turns = max(items / self.parallel, 1.0)
        found = budget * turns / max(seconds, 1e-4)
        self.steps = min(max(found, self.steps / _GROWTH), self.steps * _GROWTH)


def are_needed(ctx: DeviceContext, samples: int, maxiter: int) -> bool:
    """Whether a single launch might take too long on a device if no sample escaped."""
    if ctx.device.is_gpu:
        return samples * maxiter > _SHORT_ON_A_GPU or maxiter > _SHORT_SAMPLE_ON_A_GPU
    return samples * maxiter > _SHORT_ON_A_CORE * ctx.cores or maxiter > _SHORT_SAMPLE_ON_A_CORE


class Rounds:
    """Launches kernels that have ROUND_PARAMETERS on one device, in one launch or in rounds.

    Args:
        steps: steps that one work item does in a second on every CPU core.
        pace: always work in rounds, of this pace (for tests).
    """

    def __init__(self, ctx: DeviceContext, steps: float, pace: Pace | None = None):
        self._ctx = ctx
        self._always = pace is not None
        if pace is None:
            pace = Pace(256 * ctx.device.cores, steps / 20) if ctx.device.is_gpu else Pace(ctx.cores, steps)
        self._pace = pace
        self._counter: Buffer | None = None  # on the device, 0 between rounds

    def launch(
        self,
        build: Callable[[int], Launch],
        size: tuple[int, ...],
        group: tuple[int, ...] | None,
        arguments: tuple[Argument, ...],
        samples: int,
        maxiter: int,
        kept_bytes: int,
        then: Callable[[], object],
    ) -> None:
        """Enqueues the work and what follows it; waits for the work if it is done in rounds.

        Args:
            build: takes the define ROUNDS, 0 or 1, and returns ``DeviceContext.kernel``'s result.
            size, group: work items, and work items of a group.
            arguments: the kernel's arguments without ROUND_PARAMETERS.
            kept_bytes: what a work item keeps between rounds.
            then: enqueues what follows. On GPUs it is called after each round: mostly the first round is the last one,
                and then the GPU need not wait for the host. So it must cope with samples that are not written yet, and
                count samples only once however often it is called.
        """
        if self._always or are_needed(self._ctx, samples, maxiter):
            kernel = build(1)
            self._run(
                math.prod(size),
                kept_bytes,
                then,
                lambda *more: kernel(self._ctx.queue, size, group, *arguments, *more),
            )
        else:
            build(0)(self._ctx.queue, size, group, *arguments)
            then()

    def _run(
        self, items: int, kept_bytes: int, then: Callable[[], object], launch: Callable[..., object]
    ) -> None:
        ctx, pace, again, left = self._ctx, self._pace, 0, items
        kept, found = ctx.empty(kept_bytes * items), np.empty(1, np.int32)
        # After an exception the counter's value is unknown: the next call makes a new one.
        counter, self._counter = self._counter, None
        if counter is None:
            counter = self._zeroed(ctx.empty(4))
        while left:
            budget, begun = pace.budget(left), perf_counter()
            launch(np.int32(budget), np.int32(again), counter, kept)
            if ctx.device.is_gpu:
                then()
            ctx.download(counter, found)
            again, left = 1, int(found[0])
            if left:
                self._zeroed(counter)
                pace.learn(left, budget, perf_counter() - begun)
        self._counter = counter
        if not ctx.device.is_gpu:
            then()

    def _zeroed(self, counter: Buffer) -> Buffer:
        self._ctx.cl.enqueue_fill_buffer(self._ctx.queue, counter, np.int32(0), 0, 4)
        return counter

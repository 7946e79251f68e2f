"""Long work in rounds: no launch lasts longer than about a second, whatever is asked.

Between launches an interrupt is noticed, so that a cancelled job leaves its device at once, and a graphics
driver that ends long launches has nothing to end. Work items have a budget of steps; those that do not get
through keep their state, and the next round goes on from there (kernels/rounds.h). Results do not depend
on where rounds end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from mandel.device.context import Argument, Buffer, DeviceContext, Launch
from mandel.kernels import contract

# A launch is meant to take this long; the first ones are shorter, since the device's pace is not known yet.
TARGET_SECONDS = 0.4
# Budgets are ints that kernels multiply with the length of a block. With less than two perturb.cl might get nowhere.
_LEAST_STEPS, _MOST_STEPS = 2, 10_000_000
_GROWTH = 8
# Iterations that surely take no longer than a second: such work is done in one launch.
_SHORT_ON_A_CORE, _SHORT_ON_A_GPU = 1e9, 2e10
# The most that a sample keeps between rounds.
KEPT_BYTES = 8 * max(contract.PERTURBED_STATE, contract.DIRECT_DERIVATIVE_STATE, contract.TILE_SAMPLE_STATE)
# One sample alone waits for each of its iterations.
_SHORT_SAMPLE_ON_A_CORE, _SHORT_SAMPLE_ON_A_GPU = 100_000_000, 1_000_000


@dataclass
class Pace:
    """How fast a device goes, learned from round to round.

    Attributes:
        parallel: work items that run at once.
        steps: steps of one work item in a second, or fewer.
    """

    parallel: int
    steps: float

    def budget(self, items: int) -> int:
        """Steps that ``items`` work items can each do in the target time."""
        turns = max(items / self.parallel, 1.0)
        return int(min(max(self.steps * TARGET_SECONDS / turns, _LEAST_STEPS), _MOST_STEPS))

    def learn(self, items: int, budget: int, seconds: float) -> None:
        """``items`` work items used up ``budget`` within a round of ``seconds``, which others took part in."""
        turns = max(items / self.parallel, 1.0)
        found = budget * turns / max(seconds, 1e-4)
        self.steps = min(max(found, self.steps / _GROWTH), self.steps * _GROWTH)


def are_needed(ctx: DeviceContext, samples: int, maxiter: int) -> bool:
    """Whether one launch might take too long on a device, were no sample to escape."""
    if ctx.device.is_gpu:
        return samples * maxiter > _SHORT_ON_A_GPU or maxiter > _SHORT_SAMPLE_ON_A_GPU
    return samples * maxiter > _SHORT_ON_A_CORE * ctx.cores or maxiter > _SHORT_SAMPLE_ON_A_CORE


class Rounds:
    """Launches kernels that have ROUND_PARAMETERS, in one go or in rounds, on one device.

    Args:
        steps: what one work item surely does in a second on a CPU core.
        pace: work in rounds of this pace, however short the work is (for tests).
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
        """Enqueues the work, and what follows; waits for the work if it is done in rounds.

        Args:
            build: takes the kernel's ROUNDS, 0 or 1, and gives the launcher of ``DeviceContext.kernel``.
            size, group: work items, and of one group.
            arguments: the kernel's, without those of the rounds.
            kept_bytes: what a work item keeps between rounds.
            then: enqueues what follows. GPUs get it after each round, since most often the first one is the last, and
                then nothing waits for the host: so it must bear samples that are not there yet, and count once.
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
        # After an exception it may be anything: then there is none.
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

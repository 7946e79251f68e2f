"""Makes tiles for people who look around. A worker of its own keeps compiled programs and the last orbit for it."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from mandel.errors import MandelError
from mandel.plan.grid import Grid
from mandel.plan.iteration_limit import FIRST_LIMIT
from mandel.plan.reference import Reference
from mandel.plan.tile import Anchor, tile_head
from mandel.render.iteration_limit import counts_of, grid_limit
from mandel.worker.functions import Slot, WorkerContext, worker_context

# Ahead of workers that render films, which Ray starts at 15. Films still get a tenth of each core.
_NICE = 5
_FARTHEST = 60_000.0  # spacings: more than a tile is wide, and within a half float
_WARM = Anchor(8, -1, 0), Anchor(60, -(1 << 52), 1), 200

Outcome = tuple[Any, dict[str, object] | None]  # the result, or the error


class TileMaker:
    """One for each of a few machines; not thread-safe.

    Args:
        device: as ``Slot`` has it. All of its cores are used.
    """

    def __init__(self, device: str):
        self._slot = Slot(device)
        try:  # before the device starts threads
            os.setpriority(os.PRIO_PROCESS, 0, min(_NICE, os.getpriority(os.PRIO_PROCESS, 0)))
        except OSError:
            pass  # only root may: then films and tiles share evenly

    @property
    def _own(self) -> WorkerContext:
        return worker_context(self._slot)

    def warm_up(self) -> Outcome:
        """Builds the programs that most tiles need."""
        shallow, deep, maxiter = _WARM
        for anchor in (shallow, deep):
            _, error = self.tile(anchor.grid(0, 0, 0, 8), maxiter)
            if error is not None:
                return None, error
        return self._own.facts, None

    def tile(
        self, grid: Grid, maxiter: int, shaded: bool = False, reference: Reference | None = None
    ) -> Outcome:
        """The body of a tile as docs/web.md has it, uint8.

        Args:
            shaded: with distances and slopes.
        """
        try:
            frames = self._own.frames
            if reference is not None:
                frames.keep_reference(grid.re, grid.im, reference)
            shading: list[np.ndarray] = []
            if shaded:
                smooth, distance, slope = frames.shading_of(grid, maxiter)
                shading = [
                    np.clip(distance, 0, _FARTHEST).astype("<f2").ravel(),
                    np.rint(slope * 127).astype(np.int8).ravel(),
                ]
            else:
                _, smooth = frames.raw_of(grid, maxiter)
            if uniform := bool((smooth == smooth.flat[0]).all()):
                shading = []
            head = tile_head(grid.cols, grid.rows, maxiter, uniform, bool(shading))
            values = smooth.ravel()[: 1 if uniform else None].astype("<f4", copy=False)
            found = [np.frombuffer(head, np.uint8), *(each.view(np.uint8) for each in (values, *shading))]
            return np.concatenate(found), None
        except MandelError as error:
            return None, error.as_dict()

    def limit(self, grid: Grid, middle: list[int], reference: Reference | None = None) -> Outcome:
        """The iteration limit of a view that ``grid`` shows small.

        Args:
            middle: row-major indices of the samples in its middle.
        """
        try:
            found = grid_limit(self._own.frames, grid, np.array(middle, int), reference)
        except MandelError as error:
            return None, error.as_dict()
        return {
            "maxiter": found.maxiter or FIRST_LIMIT, "resolved": found.resolved, "reason": found.reason,
        }, None  # fmt: skip

    def counts(self, grid: Grid, given: int | None, reference: Reference | None = None) -> Outcome:
        """How the counts of a small grid are distributed, as ``render.iteration_limit.counts_of`` finds it."""
        try:
            return {"counts": counts_of(self._own.frames, grid, given, reference).counts}, None
        except MandelError as error:
            return None, error.as_dict()

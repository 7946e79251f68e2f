"""The interface that the direct and the perturbed iterator have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mandel.plan.grid import Grid
from mandel.render.coordinates import SampleCoordinates
from mandel.render.samples import Outputs, Samples
from mandel.render.tally import Tally


class SampleIterator(Protocol):
    """Iterates the samples of grids on one device."""

    @property
    def list_width(self) -> int:
        """Samples in a row of listed pixels that suits this device."""

    def iterate(
        self,
        grid: Grid,
        maxiter: int,
        bailout: float,
        outputs: Outputs = ...,
        place: SampleCoordinates | None = None,
        whole: Grid | None = None,
        tally: Tally | None = None,
        then: Callable[[Samples], object] | None = None,
    ) -> Samples:
        """Raw samples of ``grid``, enqueued on the context's queue; waited for only where they may take long.

        Args:
            maxiter: the iteration limit.
            bailout: escape radius.
            place: other samples of the grid, in place of all of them; in rows of a multiple of ``list_width``.
            whole: the grid that ``grid`` is a part of, if it is one: all parts are iterated alike.
            tally: counts the samples.
            then: enqueues what else follows; may be called before all samples are there, and then again.
        """

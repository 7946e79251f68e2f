"""Chooses the views in which a job measures how long its samples take."""

from __future__ import annotations

import math
from decimal import Decimal
from functools import lru_cache

import numpy as np

from mandel.colour.style import ColourStyle
from mandel.driver.recipes.iteration_limits import IterationLimits
from mandel.driver.recipes.recipe import REFERENCE, VIDEO_BAILOUT, WorkItem
from mandel.payload.payload import SHARED, Payload
from mandel.plan.arithmetic import PERTURBED, arithmetic, log2_of
from mandel.plan.cost import MOST_KEYS, deltas_to_measure
from mandel.plan.view import View
from mandel.plan.zoom import Zoom
from mandel.tasks.units import CostsUnit

# Strips show their places as finely as frames of so many samples along a pixel; frames made from them, which all show
# the same samples, take as many bytes as frames of so many.
_SHARED_SAMPLES, _SHARED_LOOK = 2, 3
# Strips within the deepest frame, down to this part of it, are worth measuring. They are so much finer there.
_WITHIN, _FINER, _LEAST_SIDE = 8, 2, 16


def frame_places(payload: Payload) -> np.ndarray:
    """Where each frame lies among the views, in octaves: -log2 of its delta, or how far along its path; float64."""
    camera = payload.camera
    if not isinstance(camera, Zoom):
        return np.array([camera.way(frame) / math.log(2) for frame in range(payload.num_frames)])
    start, end = (-log2_of(Decimal(delta)) for delta in (camera.start_delta, camera.end_delta))
    return np.array([start + (end - start) * camera.share(frame) for frame in range(camera.num_frames)])


class CostViews:
    """Views between a frame and the last one; items of kind COSTS have that frame's number."""

    def __init__(self, payload: Payload, limits: IterationLimits):
        self._payload, self._limits, self._camera = payload, limits, payload.camera
        self._samples = _SHARED_SAMPLES if payload.sampling == SHARED else payload.supersampling
        self._views = lru_cache(4)(self._find_views)

    def needs(self, first: int) -> tuple[WorkItem, ...]:
        """The small views that decide the limits and the colours of the views, and the orbits of deep ones."""
        views = self._views(first)
        limits = {
            need
            for view, reference_point, _ in views
            for need in self._limits.needs(view.delta, reference_point)
        }
        orbits = [WorkItem(REFERENCE, reference_point) for reference_point in self._orbits(first)]
        return (*sorted(limits | set(self._limits.curve_needs())), *orbits)

    def _orbits(self, first: int) -> list[int]:
        deep = (arithmetic(view.grid(self._samples)).engine == PERTURBED for view, _, _ in self._views(first))
        return sorted(
            {
                reference_point
                for (_, reference_point, _), is_deep in zip(self._views(first), deep, strict=True)
                if is_deep
            }
        )

    def unit(self, first: int) -> CostsUnit:
        """The unit of work that measures them."""
        p, camera = self._payload, self._camera
        views, reference_points, places = zip(*self._views(first), strict=True)
        orbits = self._orbits(first)
        return CostsUnit(
            views,
            tuple(
                self._limits.of(view.delta, reference_point)
                for view, reference_point in zip(views, reference_points, strict=True)
            ),
            places,
            tuple(
                orbits.index(reference_point) if reference_point in orbits else None
                for reference_point in reference_points
            ),
            VIDEO_BAILOUT,
            ColourStyle.of(p, self._limits.curve()),
            self._samples,
            encoded_supersampling=_SHARED_LOOK if p.sampling == SHARED else p.supersampling,
            step=2 ** min(self._octaves_a_frame(), 1.0),
            inwards=not (
                isinstance(camera, Zoom) and Decimal(camera.end_delta) > Decimal(camera.start_delta)
            ),
        )

    def _octaves_a_frame(self) -> float:
        """How far the camera goes from one frame to the next, while it moves."""
        moved = np.abs(np.diff(frame_places(self._payload)))
        return float(moved[moved > 0].mean()) if moved.any() else 0.0

    def _find_views(self, first: int) -> tuple[tuple[View, int, float], ...]:
        """Each view, its reference point, and its place."""
        p, camera = self._payload, self._camera
        if not isinstance(camera, Zoom):
            frames = np.unique(np.linspace(first, p.num_frames - 1, MOST_KEYS).round().astype(int)).tolist()
            places = frame_places(p)
            return tuple((camera.view(it), camera.reference_point(it), float(places[it])) for it in frames)
        depths = frame_places(p)[first:]
        widest, deepest = (camera.delta(first + int(at)) for at in (depths.argmin(), depths.argmax()))
        # Strips go on within the deepest frame, with a few times the samples that it has there.
        inmost = Decimal(deepest) / (_WITHIN if p.sampling == SHARED else 1)
        found = []
        for delta in deltas_to_measure(widest, str(inmost)):
            share = float(min(_FINER * Decimal(delta) / Decimal(deepest), Decimal(1)))
            sides = (max(round(side * share), _LEAST_SIDE) for side in (camera.width, camera.height))
            view = View(camera.re, camera.im, delta, *(sides if share < 1 else (camera.width, camera.height)))
            found.append((view, 0, -log2_of(Decimal(delta))))
        return tuple(found)

"""Collects what people should know of a job's frames, until their segments are encoded."""

from __future__ import annotations

from decimal import Decimal
from functools import reduce
from typing import Any

from mandel import notes
from mandel.colour import palettes
from mandel.driver.recipes.recipe import Recipe
from mandel.payload.fields import BY_NAME
from mandel.payload.payload import AUTO, Payload

Facts = dict[str, Any]
_DIGITS = 4  # of what is told: nobody needs more


def _share(seen: list[tuple[float, Facts]], name: str) -> float:
    """The share of samples that are ``name``, of strips and the areas that show them."""
    return float(sum(area * it[name] / it["samples"] for area, it in seen))


class Findings:
    """Collects the facts ``found`` of tasks.

    Args:
        recipe: the job's.
    """

    def __init__(self, payload: Payload, recipe: Recipe):
        self._payload, self._recipe, self._camera = payload, recipe, payload.camera
        self._strips: dict[int, Facts] = {}
        self._frames: dict[int, Facts] = {}

    def strip(self, strip: int, found: Facts) -> None:
        """Takes what is known of a strip: ``samples``, ``reached``, ``late``, ``maxiter``."""
        self._strips[strip] = found

    def frame(self, frame: int, found: Facts) -> None:
        """Takes what is known of a frame: ``flat``, and the same of its samples or which share is ``black``."""
        told = {"flat": found["flat"], "auto": self._payload.maxiter == AUTO}
        if "samples" in found:
            told |= {
                "reached": found["reached"] / found["samples"],
                "late": found["late"] / found["samples"],
                "maxiter": found["maxiter"],
            }
        elif seen := self._seen(frame):
            # Strips show more than a frame does: they tell what its black is from, but not how much of it there is.
            told |= {
                "reached": found["black"] if self._only_the_set_is_black() else _share(seen, "reached"),
                "late": _share(seen, "late"),
                "maxiter": max(seen, key=lambda part: (part[0] * part[1]["reached"], part[1]["maxiter"]))[1][
                    "maxiter"
                ],
            }
        told |= {name: round(told[name], _DIGITS) for name in ("reached", "late") if name in told}
        if found["flat"]:
            view = self._camera.view(frame)
            told["delta"] = f"{Decimal(view.delta):.2e}"
            told["decimals"] = notes.decimals(view.re, view.im)
        self._frames[frame] = told

    def _only_the_set_is_black(self) -> bool:
        p = self._payload
        as_usual = all(getattr(p, name) == BY_NAME[name].default for name in ("interior", "edge", "relief"))
        return as_usual and p.palette in palettes.NAMES

    def _seen(self, frame: int) -> list[tuple[float, Facts]]:
        """What is known of the strips that a frame is made from, and which part of its area shows each."""
        areas = self._recipe.strips_shown(frame).items()
        known = [(area, self._strips[strip]) for strip, area in areas if strip in self._strips]
        return [(area, it) for area, it in known if it["samples"]]

    def restored(self, frame: int, told: Facts | None) -> None:
        """Takes what ``frame`` gave to an earlier driver."""
        if told:
            self._frames[frame] = told

    def of(self, frame: int) -> Facts | None:
        """What ``frame`` gave, if it is known."""
        return self._frames.get(frame)

    def given_up(self) -> Facts:
        """The notes on limits that were given up."""
        views = self._recipe.given_up()
        if not views:
            return {}
        delta, limit = views[0]
        most = max(view.maxiter for _, view in views)
        told = {
            "views": len(views),
            "delta": f"{Decimal(delta):.2e}",
            "maxiter": most,
            "reason": limit.reason,
        }
        return {"gave_up": told}

    def notes(self, frames: range) -> Facts:
        """The notes on some frames."""
        known = [notes.of_frame(frame, self._frames[frame]) for frame in frames if frame in self._frames]
        return reduce(notes.merged, known, self.given_up())

    def forget(self, frames: range) -> None:
        """Their segment is encoded."""
        for frame in frames:
            self._frames.pop(frame, None)

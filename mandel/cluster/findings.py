"""What is known of a job's frames that people should know, until their segments are encoded."""

from __future__ import annotations

from decimal import Decimal
from functools import reduce

from mandel import notes
from mandel.cluster.recipe import Recipe
from mandel.payload import AUTO, Payload
from mandel.plan.zoom import Zoom

_DIGITS = 4  # of what is told: nobody needs more


class Findings:
    """Collects the facts ``found`` of tasks.

    Args:
        recipe: the job's.
    """

    def __init__(self, payload: Payload, recipe: Recipe):
        self._payload, self._recipe, self._zoom = payload, recipe, Zoom.of(payload)
        self._strips: dict[int, dict] = {}
        self._frames: dict[int, dict] = {}

    def strip(self, strip: int, found: dict) -> None:
        """Takes what is known of a strip: ``samples``, ``reached``, ``late``, ``maxiter``."""
        self._strips[strip] = found

    def frame(self, frame: int, found: dict) -> dict:
        """Takes what is known of a frame, ``flat`` and, if it was iterated, the same; it as ``notes.of_frame`` wants it."""
        told = {"flat": found["flat"], "auto": self._payload.maxiter == AUTO}
        parts = self._recipe.strips_shown(frame)
        sources = [(1.0, found)] if "samples" in found else [
            (share, self._strips[strip]) for strip, share in parts.items() if strip in self._strips
        ]
        seen = [(share, it) for share, it in sources if it["samples"]]
        if whole := sum(share for share, _ in seen):
            for name in ("reached", "late"):
                told[name] = round(sum(share * it[name] / it["samples"] for share, it in seen) / whole, _DIGITS)
            # Of several limits, the one of what reached it.
            told["maxiter"] = max(seen, key=lambda part: (part[0] * part[1]["reached"], part[1]["maxiter"]))[1]["maxiter"]
        if found["flat"]:
            told["delta"] = f"{Decimal(self._zoom.delta(frame)):.2e}"
            told["decimals"] = notes.decimals(self._payload.re, self._payload.im)
        self._frames[frame] = told
        return told

    def recalled(self, frame: int, told: dict | None) -> None:
        """Takes what ``frame`` gave to an earlier driver."""
        if told:
            self._frames[frame] = told

    def of(self, frame: int) -> dict | None:
        """What ``frame`` gave, if it is known."""
        return self._frames.get(frame)

    def given_up(self) -> dict:
        """The notes on limits that were given up."""
        views = self._recipe.given_up()
        if not views:
            return {}
        delta, limit = views[0]
        most = max(view.maxiter for _, view in views)
        told = {"views": len(views), "delta": f"{Decimal(delta):.2e}", "maxiter": most, "reason": limit.reason}
        return {"gave_up": told}

    def notes(self, frames: range) -> dict:
        """The notes on some frames."""
        known = [notes.of_frame(frame, self._frames[frame]) for frame in frames if frame in self._frames]
        return reduce(notes.merged, known, self.given_up())

    def forget(self, frames: range) -> None:
        """Their segment is encoded."""
        for frame in frames:
            self._frames.pop(frame, None)

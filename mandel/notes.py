"""What rendering found out that people should know of a video: notes, as JSON has them.

``reached``: ``frame``, ``share``, ``maxiter``: the frame of whose samples the largest share reached the limit.
``short``: frames whose limit seems too low: how many ``frames``, ``first``, ``last``; of the worst of them
``frame``, ``share`` (that reached ``maxiter``), ``missing`` (about as many would escape, or more); ``auto``:
whether that limit was found, not given.
``flat``: frames of one colour: ``frames``, ``first``, ``last``, the ``deltas`` of these two, how many are
``inside`` (no sample escaped), ``maxiter``, ``auto``, the point's ``decimals``.
``gave_up``: maxiter "auto" was given up: of how many ``views``, the shallowest one's ``delta`` and ``reason``,
the largest ``maxiter`` that was found for them all the same, or 0.

What is not there did not happen, or is not known yet.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

Notes = dict[str, Any]  # JSON

# Share of a picture's samples that may be black for lack of iterations without a word.
LEAST_MISSING = 0.01


def missing(share: float, late: float) -> float:
    """The share of samples that would escape if the limit were higher, roughly.

    Where it is far too low this is less than the truth, but seldom little (docs/depth.md).

    Args:
        share: of samples that reached the limit.
        late: of samples that escaped after more than half of it; twice the limit would let as many escape.
    """
    return min(share, late)


def decimals(re: str, im: str) -> int:
    """Decimals of a point, of the coordinate that has more of them."""
    exponents = (Decimal(it).as_tuple().exponent for it in (re, im))
    return max(0, *(-exponent for exponent in exponents if isinstance(exponent, int)))


def of_frame(frame: int, found: Notes) -> Notes:
    """The notes on one frame.

    Args:
        found: ``flat``; where that is known ``reached`` and ``late``, shares of its samples, and ``maxiter``;
            ``auto``; of a flat frame ``delta`` and ``decimals``.
    """
    notes: Notes = {}
    share, late, maxiter = (found.get(name) for name in ("reached", "late", "maxiter"))
    limit, run = (
        {"maxiter": maxiter, "auto": found.get("auto", False)},
        {"frames": 1, "first": frame, "last": frame},
    )
    if share is not None and late is not None and maxiter is not None:
        notes["reached"] = {"frame": frame, "share": share, "maxiter": maxiter}
        if (lacking := missing(share, late)) >= LEAST_MISSING:
            notes["short"] = {**run, "frame": frame, "share": share, "missing": lacking, **limit}
    if found["flat"]:
        delta, decimals = found.get("delta") or "", found.get("decimals") or 0
        notes["flat"] = {
            **run,
            "deltas": [delta] * 2,
            "inside": int(share == 1),
            **limit,
            "decimals": decimals,
        }
    return notes


def merged(a: Notes, b: Notes) -> Notes:
    """The notes on all frames that either is about; none is about a frame of the other."""
    both = {**a, **b}
    for name in a.keys() & b.keys():
        one, other = a[name], b[name]
        if name == "reached":
            both[name] = max(one, other, key=lambda notes: notes["share"])
        elif name == "gave_up":
            both[name] = max(one, other, key=lambda notes: notes["views"])
        else:
            worst = max(one, other, key=lambda notes: notes["missing"]) if name == "short" else one
            low, high = sorted((one, other), key=lambda notes: notes["first"])
            last = max(low, high, key=lambda notes: notes["last"])
            both[name] = {
                **worst,
                "frames": one["frames"] + other["frames"],
                "first": low["first"],
                "last": last["last"],
            }
            if name == "flat":
                both[name] |= {
                    "deltas": [low["deltas"][0], last["deltas"][1]],
                    "inside": one["inside"] + other["inside"],
                    "maxiter": max(one["maxiter"] or 0, other["maxiter"] or 0) or None,
                }
    return both

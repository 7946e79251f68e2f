"""Long work for the explorer, in a process of its own: reference orbits, minibrots."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mandel.device import machine
from mandel.errors import MandelError
from mandel.plan.nucleus import locate
from mandel.plan.reference import Reference, reference_orbit
from mandel.render.perturbed import orbit_room

_TELL_SECONDS = 0.3
Said = tuple[dict[str, Any], dict[str, object] | None]  # facts, or the error


def _seldom(tell: Callable[[int, int], object]) -> Callable[[int, int], None]:
    last = time.monotonic()

    def told(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > _TELL_SECONDS:
            last = time.monotonic()
            tell(done, total)

    return told


def find_orbit(
    re: str,
    im: str,
    bits: int,
    limit: int,
    radius: str,
    gives_up: bool,
    tell: Callable[[int, int], object],
) -> tuple[Reference | None, Said]:
    """A reference orbit, whether it is ``complete``, which ``limit`` it serves and its ``bytes``; or the error."""
    try:
        room = orbit_room(machine.cores())
        found = reference_orbit(re, im, bits, limit, _seldom(tell), radius, gives_up, room)
    except MandelError as error:
        return None, ({}, error.as_dict())
    size = sum(part.nbytes for part in vars(found).values() if isinstance(part, np.ndarray))
    return found, ({"complete": found.complete, "limit": found.limit, "bytes": size}, None)


def find_nucleus(
    re: str, im: str, delta: str, max_period: int, tell: Callable[[int, int], object]
) -> tuple[None, Said]:
    """The minibrot in a view: what ``python -m mandel locate --json`` says, ``re`` and ``im`` apart; or the error."""
    try:
        found = locate(re, im, delta, max_period, _seldom(tell))
    except MandelError as error:
        return None, ({}, error.as_dict())
    facts = {
        "re": found.re,
        "im": found.im,
        "period": found.period,
        "size": f"{found.size:.6e}",
        "turn_degrees": round(math.degrees(found.angle), 3),
        "minibrot_delta": found.minibrot_delta,
        "julia_delta": found.julia_delta,
    }
    return None, (facts, None)

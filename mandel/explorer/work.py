"""Long work for the explorer, on a worker: reference orbits, minibrots. They tell how far they are in Ray's store."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from ray.experimental import internal_kv

from mandel.device import machine
from mandel.errors import MandelError
from mandel.plan.nucleus import locate
from mandel.plan.reference import Reference, reference_orbit
from mandel.render.perturbed import orbit_room

_TELL_SECONDS = 0.3
Told = tuple[dict[str, Any], dict[str, object] | None]  # facts, or the error


def _teller(key: str) -> Callable[[int, int], None]:
    last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > _TELL_SECONDS:
            last = time.monotonic()
            internal_kv._internal_kv_put(key.encode(), f"{done} {total}".encode())

    return tell


def find_orbit(
    re: str, im: str, bits: int, limit: int, radius: str, gives_up: bool, key: str
) -> tuple[Reference | None, Told]:
    """A reference orbit, and whether it is ``complete`` and which ``limit`` it serves; or the error."""
    try:
        room = orbit_room(machine.cores())
        found = reference_orbit(re, im, bits, limit, _teller(key), radius, gives_up, room)
    except MandelError as error:
        return None, ({}, error.as_dict())
    return found, ({"complete": found.complete, "limit": found.limit}, None)


def find_nucleus(re: str, im: str, delta: str, max_period: int, key: str) -> Told:
    """The minibrot in a view: what ``python -m mandel locate --json`` says, ``re`` and ``im`` apart; or the error."""
    try:
        found = locate(re, im, delta, max_period, _teller(key))
    except MandelError as error:
        return {}, error.as_dict()
    return {
        "re": found.re,
        "im": found.im,
        "period": found.period,
        "size": f"{found.size:.6e}",
        "turn_degrees": round(math.degrees(found.angle), 3),
        "minibrot_delta": found.minibrot_delta,
        "julia_delta": found.julia_delta,
    }, None

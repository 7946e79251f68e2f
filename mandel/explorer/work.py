"""Long work for the explorer, in a process of its own: reference orbits, minibrots, what has many digits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from mandel.device import machine
from mandel.errors import MandelError
from mandel.plan.colour_views import WHOLE_SET, squares
from mandel.plan.nucleus import locate
from mandel.plan.reference import Reference, reference_orbit
from mandel.plan.tile import SIZE, Anchor
from mandel.plan.view import View
from mandel.render.perturbed import orbit_room

_TELL_SECONDS = 0.3
Interval = tuple[float, float]
SquareName = tuple[int, int, int]  # x, y, octave
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
        "turn_degrees": round(math.degrees(found.angle), 3) + 0.0,  # no -0.0
        "minibrot_delta": found.minibrot_delta,
        "julia_delta": found.julia_delta,
    }
    return None, (facts, None)


def found_by(
    function: Callable[..., Any], arguments: tuple[Any, ...], _: Callable[[int, int], object]
) -> tuple[None, Said]:
    """What a function has ``found``; or the error."""
    try:
        return None, ({"found": function(*arguments)}, None)
    except MandelError as error:
        return None, ({}, error.as_dict())


def middle_of(level: int, x: int, y: int) -> tuple[str, str]:
    """The middle of an anchor."""
    return Anchor(level, x, y).middle


def squares_about(
    places: Sequence[tuple[Anchor, int, Interval, Interval]],
) -> list[tuple[SquareName, View, int]]:
    """The squares about views, with their names, and for each the number of its view.

    Args:
        places: anchor, dlevel, and the interval of tiles along each axis.
    """
    points = []
    for anchor, dlevel, x, y in places:
        re, im = anchor.point(dlevel, *((Fraction(low) + Fraction(high)) / 2 for low, high in (x, y)))
        depth = anchor.level + dlevel - math.log2(SIZE * min(high - low for low, high in (x, y)))
        points.append((re, im, depth))
    found = [
        ((square.x, square.y, square.octave), square.view(*places[number][0].middle), number)
        for square, number in squares(points)
    ]
    return [((0, 0, -1), WHOLE_SET, 0), *found]

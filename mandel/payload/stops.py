"""The stops of a path: checks the field ``path``, and derives the fields that follow from it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from mandel.errors import PayloadError
from mandel.payload import checks
from mandel.payload.decimal_text import Number
from mandel.settings import PayloadLimits

if TYPE_CHECKING:  # the client loads the table of fields and calls no check: it starts sooner without
    from fractions import Fraction

# A request has at most 1,000 brackets, commas and quotes; a stop takes 32 of them.
FEWEST, MOST = 2, 20
# Fields of a payload that follow from its path, and those whose work its stops do.
FOLLOWING = ("num_frames", "point", "start_delta", "end_delta")
OWN = ("rotation", "easing", "ease_start", "ease_end", "hold_start", "hold_end")


class Stop(NamedTuple):
    """Where the camera comes to. All are texts in their one form.

    Attributes:
        point, delta: the view, as of a payload.
        time: seconds from the stop before.
        hold: seconds that it is held.
        rotation: degrees that the view is turned counter-clockwise.
        easing: share of half of the time on each side of it that goes into slowing down and speeding up.
    """

    point: str
    delta: str
    time: str
    hold: str
    rotation: str
    easing: str

    @property
    def re(self) -> str:
        return self.point.partition(",")[0]

    @property
    def im(self) -> str:
        return self.point.partition(",")[2]


_CHECKS = {
    "point": checks.point,
    "delta": checks.delta,
    "time": checks.between("0.1", "36000"),
    "hold": checks.between("0", "3600"),
    "rotation": checks.between("-36000", "36000"),
    "easing": checks.between("0", "1"),
}
_EXAMPLE = '[{"point": "-0.5,0", "delta": "2.5"}, {"point": "-0.75,0.1", "delta": "1e-3", "time": 10}]'


def path(value: object, limits: PayloadLimits) -> tuple[Stop, ...]:
    """A list of stops, or a text that holds one as JSON; () is no path."""
    if isinstance(value, str):
        value = _read(value) if value else []
    if not isinstance(value, (list, tuple)):
        raise _wrong("WRONG_TYPE", f"must be a list of stops, such as {_EXAMPLE}")
    if value and not FEWEST <= len(value) <= MOST:
        raise _wrong(
            "OUT_OF_RANGE",
            f"a path has {FEWEST} to {MOST} stops, not {len(value)}",
            {"min": FEWEST, "max": MOST},
        )
    stops: list[Stop] = []
    for number, given in enumerate(value, 1):
        try:
            stops.append(_stop(given, stops[-1] if stops else None, limits))
        except PayloadError as error:
            raise _wrong(error.code, f"stop {number}: {error.message}", error.limit) from None
    return tuple(stops)


def _read(text: str) -> object:
    try:
        return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=Number)
    except (ValueError, RecursionError):
        raise _wrong("WRONG_TYPE", f"is no JSON list of stops, such as {_EXAMPLE}") from None


def _stop(given: Any, before: Stop | None, limits: PayloadLimits) -> Stop:
    if not isinstance(given, dict):
        raise _wrong("WRONG_TYPE", f"must be an object with {', '.join(_CHECKS)}")
    if unknown := sorted(set(given) - set(_CHECKS)):
        raise _wrong(
            "UNKNOWN_FIELD",
            f"has no {str(unknown[0])[:60]!r}; a stop has {', '.join(_CHECKS)}",
            list(_CHECKS),
        )
    if before is None:
        usual = {"time": "0", "hold": "0", "rotation": "0", "easing": "0.5"}
        given = _without_time(given, limits)
    else:
        usual = {**before._asdict(), "hold": "0", "easing": "0.5"}
        del usual["time"]
    found = dict(usual)
    for name, check in _CHECKS.items():
        if name not in given:
            if name not in usual:
                needed = "the first stop needs a" if before is None else "each stop but the first needs a"
                raise _wrong("CONFLICT", f"{needed} {name}")
            continue
        try:
            found[name] = str(check(given[name], limits))
        except PayloadError as error:
            raise _wrong(error.code, f"{name}: {error.message}", error.limit) from None
    stop = Stop(**found)
    if stop.easing == "0" and stop.hold != "0":
        raise _wrong("CONFLICT", "it is held, so the camera must slow down: easing must be above 0")
    return stop


def _without_time(first: dict[str, Any], limits: PayloadLimits) -> dict[str, Any]:
    try:
        checks.between("0", "0")(first.get("time", "0"), limits)
    except PayloadError:
        raise _wrong("CONFLICT", "the film begins there; leave its time out") from None
    return {name: value for name, value in first.items() if name != "time"}


def frames_of(path: tuple[Stop, ...], fps: Fraction) -> list[tuple[int, int]]:
    """The frames at which the camera reaches and leaves each stop; the last frame is the last one's second."""
    from fractions import Fraction

    seconds, found = Fraction(0), []
    for stop in path:
        reached = seconds + Fraction(stop.time)
        seconds = reached + Fraction(stop.hold)
        found.append((round(reached * fps), round(seconds * fps)))
    return found


def is_one_zoom(path: tuple[Stop, ...]) -> bool:
    """Whether it stays at one point and goes all the way in, or all the way out."""
    from decimal import Decimal

    deltas = [Decimal(stop.delta) for stop in path]
    inwards = sorted(deltas, reverse=True)
    return len({stop.point for stop in path}) == 1 and deltas in (inwards, inwards[::-1])


def follow(path: tuple[Stop, ...], fps: Fraction) -> dict[str, int | str]:
    """The fields of a payload that follow from its path."""
    return {
        "num_frames": frames_of(path, fps)[-1][1] + 1,
        "point": path[-1].point,
        "start_delta": path[0].delta,
        "end_delta": path[-1].delta,
    }


def _wrong(code: str, message: str, limit: object = None) -> PayloadError:
    return PayloadError(code, message, limit=limit)

"""Palettes: rings of colours, made from the colour stops that files have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mandel.places.text import FileError

Rgb = tuple[int, int, int]
ColourStop = tuple[float, Rgb]

# Colours beyond it are no palette that somebody made.
MOST_COLOURS = 1024
# Two colours at one position make a hard edge; they are put this far apart.
_EDGE = 0.0025


@dataclass(frozen=True)
class Palette:
    """A ring of colours.

    Attributes:
        colours: (position, (red, green, blue)): positions rise from 0 to below 1, the first is 0; sRGB, 0 to 255.
            After the last colour comes the first.
        name: what the file calls it, or "".
    """

    colours: tuple[ColourStop, ...]
    name: str = ""

    def text(self, most: int, step: float) -> str:
        """The colours as ``POSITION:rrggbb`` with commas between them: those that are missed most.

        Colours go that lie nearest to the straight line between their neighbours, until there are few enough.

        Args:
            most: so many colours at most, 2 or more.
            step: how far two positions must be apart.
        """
        stops = list(self.colours)
        for i in range(len(stops) - 1, 0, -1):
            following = stops[i + 1][0] if i + 1 < len(stops) else 1.0
            if following - stops[i][0] < step or stops[i][0] < step:
                del stops[i]
        costs = [_missed(stops, i) for i in range(len(stops))]
        while len(stops) > most:
            i = min(range(1, len(stops)), key=costs.__getitem__)
            del stops[i], costs[i]
            costs[i - 1] = _missed(stops, i - 1)
            costs[i % len(stops)] = _missed(stops, i % len(stops))
        return ",".join(f"{at:.6f}".rstrip("0").rstrip(".") + f":{bytes(rgb).hex()}" for at, rgb in stops)


def _missed(stops: list[ColourStop], i: int) -> float:
    """How far a colour is from the one that would be there without it."""
    before, (at, colour) = stops[i - 1], stops[i]
    following = stops[(i + 1) % len(stops)]
    start = before[0] - (before[0] > at or len(stops) == 1)
    gap = (following[0] + (following[0] <= at)) - start
    share = (at - start) / gap
    mixed = (a + (b - a) * share for a, b in zip(before[1], following[1], strict=True))
    return max(abs(value - channel) for value, channel in zip(mixed, colour, strict=True))


def ring(stops: Iterable[ColourStop], name: str = "") -> Palette | None:
    """A palette of colours at positions from 0 to 1, in any order; None, if there are no colours.

    Two colours at one position are a hard edge, and so are different ones at 0 and at 1.

    Raises:
        FileError: more than MOST_COLOURS.
    """
    found = sorted(stops, key=lambda stop: stop[0])
    if not found:
        return None
    if len(found) > MOST_COLOURS:
        raise FileError(f"a palette of {len(found)} colours; {MOST_COLOURS} are allowed")
    rising: list[ColourStop] = []
    for position, colour in found:
        if not rising or position - rising[-1][0] >= _EDGE / 2:
            rising.append((position, colour))
        elif colour != rising[-1][1]:
            rising.append((rising[-1][0] + _EDGE, colour))
    last = rising[-1][1]
    closed = [stop for stop in rising if stop[0] < 1 - _EDGE]
    if len(closed) < len(rising) and (not closed or last != closed[0][1]):
        closed.append((1 - _EDGE if closed else 0.0, last))
    if closed[0][0] > 0:
        closed.insert(0, (0.0, _between(closed[-1], closed[0])))
    return Palette(tuple(closed), name)


def _between(last: ColourStop, first: ColourStop) -> Rgb:
    """The colour at 0, between the last of a ring and the first."""
    gap = 1 - last[0] + first[0]
    share = (1 - last[0]) / gap if gap > 0 else 0.0
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(last[1], first[1], strict=True))
    return red, green, blue


def evenly(colours: list[Rgb], name: str = "") -> Palette | None:
    """A palette of colours that are spread evenly over the ring."""
    return ring(((i / len(colours), colour) for i, colour in enumerate(colours)), name)

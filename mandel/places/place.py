"""What a file gives: a place, a palette, and what is to be said about both."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from mandel.places.numbers import SCALES, text_of
from mandel.places.palette import Palette


@dataclass(frozen=True)
class Place:
    """A view as another program frames it.

    Attributes:
        re, im: the centre, decimal numbers as texts of any length.
        height: extent of its picture from bottom to top.
        width: where set, the least extent from left to right: the picture grows until it holds both.
        between_centres: the height counts from the centre of the first row of pixels to that of the last.
        rotation: degrees, as the payload's field: the last frame of a zoom is turned by it.
        maxiter: iteration limit, if the file has one.
        mirrored: their picture has the imaginary axis downwards, so that it is the mirror image of ours.
    """

    re: str
    im: str
    height: Decimal
    width: Decimal | None = None
    between_centres: bool = False
    rotation: str = "0"
    maxiter: int | None = None
    mirrored: bool = False

    def delta(self, width: int, height: int) -> str:
        """Our delta for a frame of so many pixels: what the program shows along the shorter side. 40 digits."""
        extent = self.height
        if self.between_centres and height > 1:
            extent = SCALES.divide(SCALES.multiply(extent, Decimal(height)), Decimal(height - 1))
        if self.width is not None:
            shape = SCALES.divide(Decimal(height), Decimal(width))
            extent = max(extent, SCALES.multiply(self.width, shape))
        if width < height:
            extent = SCALES.divide(SCALES.multiply(extent, Decimal(width)), Decimal(height))
        return text_of(extent)


@dataclass(frozen=True)
class Found:
    """What was found in a file.

    Attributes:
        program: whose file it is.
        place: where the file leads, if it says so.
        palette: its colours, if it has any.
        refused: why the place is none of ours, "" if it is one; the palette may be used all the same.
        ignored: what the file says and we do not do, in words.
        notes: what else the person must know, one sentence each.
    """

    program: str
    place: Place | None = None
    palette: Palette | None = None
    refused: str = ""
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

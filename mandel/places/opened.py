"""What is in a file that was opened or sent: the fields of a payload, or a place and a palette of another program."""

from __future__ import annotations

from mandel.colour import palettes
from mandel.errors import RequestError
from mandel.payload.fields import JsonObject
from mandel.places import text
from mandel.places.palette import Palette
from mandel.places.place import Found, Place
from mandel.protocol import strict_json
from mandel.terminal.format import printable

_LONGEST = 1_000  # characters of a message
_JSON_STARTS = ("{", "[", '"')


def opened(data: bytes, name: str, entry: str | None = None) -> tuple[JsonObject, Found | None]:
    """What a file holds: our JSON, or what is in another program's file.

    Args:
        data: its bytes, in any encoding.
        name: the file's name.
        entry: which entry to take of a file that has several.

    Raises:
        RequestError: nothing that is known is in it, or it is damaged.
    """
    try:
        read = text.decoded(data)
        if not read.lstrip().startswith("{"):
            from mandel.places.read import found_in  # the readers are loaded where they are needed

            if (found := found_in(read, name, entry)) is not None:
                return {}, found
        return _json(read), None
    except RequestError as error:
        raise RequestError(error.code, printable(f"{name}: {error.message}", _LONGEST)) from None


def _json(read: str) -> JsonObject:
    try:
        value = strict_json.loads(text.joined(read).encode(), max_marks=strict_json.FEW_MARKS)
    except RequestError as error:
        if error.code != "BAD_JSON" or read.lstrip().startswith(_JSON_STARTS):
            raise
        from mandel.places.read import known_formats

        raise RequestError("BAD_JSON", f"{error.message}; files that are read: {known_formats()}") from None
    if not isinstance(value, dict):
        raise RequestError("NOT_OBJECT", "a payload is one JSON object, { ... }")
    return value


def place_of(found: Found, name: str, hint: str = "") -> Place:
    """The place of a file.

    Args:
        name: the file, as it was named.
        hint: how its colours are taken, if it has some.

    Raises:
        RequestError: BAD_FILE: it has none of ours.
    """
    if found.refused:
        why = f"{name}: {found.refused}; only z^2 + c, the Mandelbrot set, is rendered here"
        why += f" ({hint})" if hint and found.palette is not None else ""
        raise RequestError("BAD_FILE", printable(why, _LONGEST))
    if found.place is None:
        what = (
            f"a palette of {len(found.palette.colours)} colours" if found.palette else "nothing of a picture"
        )
        raise RequestError("BAD_FILE", f"{name} ({found.program}) holds {what} and no place to render")
    return found.place


def payload_palette(palette: Palette) -> str:
    """A file's palette as the payload's field takes it."""
    return palette.text(palettes.MOST, palettes.LEAST_STEP)

"""The file that a person names: our JSON in any encoding, a film or picture that carries it, or a place or palette of
another program.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mandel.colour import palettes
from mandel.errors import RequestError
from mandel.payload import fields, in_file
from mandel.payload.decimal_text import Number, exact
from mandel.payload.fields import JsonObject
from mandel.places import text

if (
    TYPE_CHECKING
):  # modules of mandel.places are loaded where they are needed: the client starts sooner without
    from mandel.places.palette import Palette
    from mandel.places.place import Found, Place


def content(name: str) -> tuple[JsonObject, Found | None]:
    """What a file holds or carries: the fields of a payload, or what is in another program's file.

    Args:
        name: the file; ``-`` is standard input; ``FILE#NAME`` takes one entry of a file that has several.

    Raises:
        RequestError: no such file, nothing that is known in it, or damaged.
    """
    file, entry = name, None
    if "#" in name and not Path(name).exists():
        file, _, entry = name.rpartition("#")
    from mandel.places.opened import opened

    carries = file != "-" and in_file.may_carry(_begin(Path(file)))
    data = in_file.read(Path(file)) if carries else text.read(file)
    found = opened(data, "stdin" if file == "-" else file, entry)
    return (fields.of_before(found[0]), None) if carries else found


def _begin(path: Path) -> bytes:
    """The first bytes of a file; none, if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError:
        return b""


def zoom_fields(found: Found, name: str, given: JsonObject) -> tuple[JsonObject, list[str]]:
    """The fields of a zoom that ends at a file's place, and what to say about it.

    The file's iteration limit was made for the last frame alone, so that it is told and not taken.

    Args:
        name: the file, as it was named.
        given: the fields that options give; the frame's shape decides how the place is framed.

    Raises:
        RequestError: BAD_FILE: its formula is none of ours, or it has no place.
    """
    from decimal import Decimal

    from mandel.places.report import sentences

    asked: JsonObject = {}
    if found.palette is not None and "palette" not in given:
        asked["palette"] = payload_palette(found.palette)
        if found.place is None and not found.refused:
            return asked, sentences(found, name, taken=tuple(asked))
    place = place_of(found, name)
    delta = place.delta(_side(given, "frame_width"), _side(given, "frame_height"))
    asked |= {"point": f"{place.re},{place.im}", "end_delta": delta}
    if place.rotation != "0":
        asked["rotation"] = Number(place.rotation)
    told = sentences(found, name, delta, tuple(asked))
    if place.maxiter is not None and "maxiter" not in given:
        told.append(
            f"note: maxiter {place.maxiter} was made for the last frame; the service finds a limit for each "
            f"(--maxiter {place.maxiter} keeps it)"
        )
    start = given.get("start_delta", fields.BY_NAME["start_delta"].default)
    start = exact(start.text if isinstance(start, Number) else str(start))
    if start is not None and Decimal(start.text()) <= Decimal(delta):
        told.append(
            "note: the file shows more than the zoom's first frame, so that the zoom leads outwards; "
            "--start-delta or --end-delta change that"
        )
    if place.rotation != "0":
        told.append("note: the view turns along the zoom; its last frame is turned as the file says")
    return asked, told


def place_of(found: Found, name: str) -> Place:
    """The place of a file.

    Raises:
        RequestError: BAD_FILE: it has none of ours.
    """
    from mandel.places import opened

    return opened.place_of(found, name, f"its colours: --palette {name}")


def _side(given: JsonObject, name: str) -> int:
    """Pixels along a side; the default where the service will refuse what is given."""
    value = given.get(name)
    number = exact(value.text) if isinstance(value, Number) else None
    default = int(str(fields.BY_NAME[name].default))
    if number is None or number.negative or number.exponent < 0 or not 0 <= number.magnitude < 6:
        return default
    return int(number.text()) or default


def tidied(asked: JsonObject) -> JsonObject:
    """The fields with their numbers as the service wants them: what was pasted is put into its one form.

    Raises:
        PayloadError: BAD_NUMBER: the point is none; the message says what to change.
    """
    found = dict(asked)
    point = found.get("point")
    if isinstance(point, str) and not _is_plain(point):
        from mandel.places import pasted

        found["point"] = pasted.point(point)
    if isinstance(found.get("palette"), str):
        found["palette"] = _of_palette_file(found["palette"])
    for field in fields.TABLE:
        value = found.get(field.name)
        if field.kind == fields.DECIMAL and isinstance(value, str) and exact(value) is None:
            from mandel.places import pasted

            found[field.name] = pasted.number(value)
    return found


def _is_plain(point: str) -> bool:
    parts = point.split(",")
    return len(parts) == 2 and all(exact(part.strip(" ")) is not None for part in parts)


def payload_palette(palette: Palette) -> str:
    """A file's palette as the payload's field takes it."""
    from mandel.places import opened

    return opened.payload_palette(palette)


def _of_palette_file(palette: str) -> str:
    """What the payload's field takes: of a file's name its colours; whatever else it is stays.

    Raises:
        RequestError: BAD_FILE: the file has no palette.
    """
    if palettes.ring_of(palette) is not None or not Path(palette.partition("#")[0]).is_file():
        return palette
    _, found = content(palette)
    if found is None or found.palette is None:
        raise RequestError("BAD_FILE", f"{palette} holds no palette that can be read")
    return payload_palette(found.palette)

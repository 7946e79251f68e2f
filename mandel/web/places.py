"""Places as people bring them: files of other programs, dropped onto the page, and coordinates that they paste."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from aiohttp import web

from mandel.errors import PayloadError, RequestError
from mandel.payload import in_file
from mandel.payload.decimal_text import Number, exact
from mandel.payload.fields import LOOK, JsonObject, of_before, without_look
from mandel.payload.payload import parse
from mandel.places import pasted, report
from mandel.places.opened import opened, payload_palette, place_of
from mandel.places.text import MOST_BYTES
from mandel.settings import PayloadLimits
from mandel.web.answers import OffLoop, answer, fields, text, whole

_MOST_BODY = (MOST_BYTES // 3 + 1) * 4 + 1_000  # base64
_MOST_SIDE = 100_000
_MOST_WAITING = 16  # files and texts; one is read at a time
_EXTENTS = ("end_delta", "delta", "minibrot_delta")  # of a payload, and of what ``locate`` says


class Places:
    """The handler for ``/api/place``.

    Args:
        limits: what payloads may ask for: a place beyond it could not be rendered.
    """

    def __init__(self, limits: PayloadLimits):
        # The largest file takes a second of the interpreter, which all threads of the head share.
        self._off_loop, self._limits = OffLoop(1, _MOST_WAITING), limits

    async def close(self, _: web.Application) -> None:
        """Reads nothing more."""
        self._off_loop.close()

    async def read(self, asked: web.Request) -> web.Response:
        """``POST /api/place``."""
        given = await fields(asked, (), ("name", "data", "text", "width", "height"), most=_MOST_BODY)
        width, height = (
            whole(given.get(name, Number("1000")), name, 1, _MOST_SIDE) for name in ("width", "height")
        )
        if "text" in given:
            return answer(await self._off_loop(self._checked, _in_text, text(given, "text"), width, height))
        name = text(given, "name") if "name" in given else "the file"
        return answer(await self._off_loop(self._checked, _in_file, _data(given), name[:200], width, height))

    def _checked(self, read: Callable[..., dict[str, Any]], *what: object) -> dict[str, Any]:
        """What is read, if a payload could have it."""
        told = read(*what)
        told["film"] = self._film(told)
        turned = _degrees(told.pop("rotation"))
        if turned and told["film"] is None:
            told["said"].append(
                f"note: the place is turned by {turned} degrees, and this page shows all places upright; with Turn, "
                f"degrees {turned} in the form of a film its last picture is turned so"
            )
        asked = dict(told["look"])
        if (place := told["place"]) is not None:
            asked["point"] = f"{place['re']},{place['im']}"
            if (extent := place["extent"]) is not None:
                asked["end_delta"] = extent
                place["extent"] = extent.text if isinstance(extent, Number) else extent
        try:
            payload = parse(asked, self._limits)
        except PayloadError as error:
            raise PayloadError(error.code, error.message.removeprefix("end_"), limit=error.limit) from None
        return told | {"look": {name: getattr(payload, name) for name in told["look"]}}

    def _film(self, told: dict[str, Any]) -> JsonObject | None:
        """The whole payload, if what was read is one of a film."""
        given = told["film"]
        if given is None:
            return None
        try:
            payload = parse(given, self._limits)
        except PayloadError as error:
            told["said"].append(f"Its film cannot be ordered here: {error.message}.")
            return None
        return payload.canonical() if payload.num_frames > 1 else None  # a still is its place alone


def _data(given: JsonObject) -> bytes:
    if "data" not in given:
        raise RequestError("MISSING_FIELD", "either text or data is needed", field="data")
    try:
        data = base64.b64decode(text(given, "data"), validate=True)
    except (binascii.Error, ValueError):
        raise RequestError("WRONG_TYPE", "data is a file in base64", field="data") from None
    if len(data) > MOST_BYTES:
        raise RequestError(
            "TOO_LARGE", f"a file may have {MOST_BYTES >> 20} MiB here at most", limit=MOST_BYTES
        )
    return data


def _in_text(pasted_text: str, width: int, height: int) -> dict[str, Any]:
    """The place in a text: RE,IM or RE,IM,EXTENT in the forms that ``pasted`` knows, or the text of a file.

    Raises:
        RequestError: there is none; the message says what to change.
    """
    if "{" in pasted_text or "=" in pasted_text or pasted_text.count(":") > 1:
        try:
            return _in_file(pasted_text.encode(), "this text", width, height)
        except RequestError:
            if pasted_text.lstrip().startswith("{") or len(pasted_text.splitlines()) > 3:
                raise
    parts = pasted_text.split("," if "," in pasted_text else "\n")
    parts = [part for part in parts if part.strip()]
    if len(parts) != 3:
        return _told(pasted.point(pasted_text), None)
    return _told(pasted.point(",".join(parts[:2])), pasted.number(parts[2]))


def _in_file(data: bytes, name: str, width: int, height: int) -> dict[str, Any]:
    """The place in a file, for a picture of this shape.

    Raises:
        RequestError: as ``opened``; BAD_FILE: no place of the Mandelbrot set.
    """
    carried = in_file.inside(data)
    if carried is None and in_file.may_carry(data):
        raise in_file.without_payload(name)
    given, found = opened(carried or data, name)
    if found is None:
        given = of_before(given) if carried else given
        stops = given.get("path")
        last = stops[-1] if isinstance(stops, list) and stops and isinstance(stops[-1], dict) else given
        if not isinstance(last.get("point"), str):
            raise RequestError("BAD_FILE", f"{name} is JSON without a point, so that it names no place")
        extent = next((_plain(last[field]) for field in _EXTENTS if field in last), None)
        look = without_look({name: given[name] for name in LOOK if name in given})
        is_film = "num_frames" in given or last is not given
        film = given if is_film else None
        return _told(pasted.point(last["point"]), extent, look, film=film, rotation=last.get("rotation"))
    if found.place is None and found.palette is not None and not found.refused:
        look = {"palette": payload_palette(found.palette)}
        return {
            "place": None,
            "film": None,
            "rotation": None,
            "look": look,
            "said": report.sentences(found, name, taken=tuple(look)),
        }
    place = place_of(found, name)
    look = {} if found.palette is None else {"palette": payload_palette(found.palette)}
    extent = place.delta(width, height)
    said = report.sentences(found, name, extent, tuple(look))
    return _told(f"{place.re},{place.im}", extent, look, said, rotation=place.rotation)


def _plain(value: object) -> object:
    return pasted.number(value) if isinstance(value, str) else value


def _told(
    point: str,
    extent: object,
    look: JsonObject | None = None,
    said: list[str] | None = None,
    film: JsonObject | None = None,
    rotation: object = None,
) -> dict[str, Any]:
    re, im = point.split(",")
    place = {"re": re, "im": im, "extent": extent}
    return {"place": place, "look": look or {}, "said": said or [], "film": film, "rotation": rotation}


def _degrees(rotation: object) -> str:
    """A rotation's number as text; "" if it is none, or nothing is turned."""
    found = exact(rotation.text if isinstance(rotation, Number) else str(rotation))
    return found.text() if found is not None and found.digits else ""

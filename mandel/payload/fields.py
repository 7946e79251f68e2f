"""The fields of a payload: names, defaults (the seed's payload, but for its maxiter) and help.

The one table that the service, the client's options and the documentation
share. What each field may hold is said by the checks of mandel/payload/payload.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mandel.errors import RequestError

# What strict_json.loads gives of an object: values are str, bool, None, Number, lists and objects.
JsonObject = dict[str, Any]

WHOLE = "whole"
DECIMAL = "decimal"
TEXT = "text"
FLAG = "flag"


@dataclass(frozen=True)
class Field:
    """One field of a payload.

    Attributes:
        name: its key in the JSON object.
        kind: WHOLE (JSON number), DECIMAL (number or string of one), TEXT or FLAG (true or false).
        default: what a payload without the field means, canonical.
        help: one line for people.
        in_original_payload: whether the field is part of the original payload; the others
            are left out of the job id while they have their default, so that
            adding one changes no id.
    """

    name: str
    kind: str
    default: int | str | bool
    help: str
    in_original_payload: bool = False


TABLE = (
    Field("point", TEXT, "-1.338238635,-0.057237059", 'centre of the zoom, "RE,IM", any digits', True),
    Field("num_frames", WHOLE, 50, "frames of the sequence", True),
    Field("frame_width", WHOLE, 1000, "pixels, even", True),
    Field("frame_height", WHOLE, 1000, "pixels, even", True),
    Field(
        "maxiter",
        WHOLE,
        "auto",
        'iteration limit of a sample, or "auto": found along the zoom by small renderings',
        True,
    ),
    Field("fps", DECIMAL, "20", "frames per second, such as 29.97 or 30000/1001", True),
    Field("start_delta", DECIMAL, "2.5", "extent of the first frame's shorter side", True),
    Field("end_delta", DECIMAL, "0.0001", "extent of the last frame's shorter side, such as 1e-1000", True),
    Field("palette", TEXT, "dusk", "colours, by name"),
    Field("supersampling", WHOLE, 1, "n by n samples for each pixel, 1 to 4"),
    Field(
        "supersampling_mode",
        TEXT,
        "full",
        "full: every pixel; adaptive: only pixels that differ from a neighbour",
    ),
    Field("sampling", TEXT, "exact", "exact: each frame on its own; shared: all from one exponential map"),
    Field("strip_density", DECIMAL, "1.1", "of shared sampling: samples along a pixel at a corner, 0.5 to 4"),
    Field("easing", DECIMAL, "0", "share of the time spent speeding up and slowing down, 0 to 1"),
    Field("rotation", DECIMAL, "0", "degrees that the view turns counter-clockwise along the zoom"),
    Field(
        "keep_strips",
        FLAG,
        False,
        "of shared sampling: true keeps what recolour needs, about 2 bytes a sample",
    ),
)

BY_NAME = {field.name: field for field in TABLE}


def unknown_field(name: str, known: Iterable[str]) -> RequestError:
    """UNKNOWN_FIELD with the nearest known name, if one is near."""
    import difflib  # for mistakes only: the client starts sooner without

    known = sorted(known)
    near = difflib.get_close_matches(name[:60], known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return RequestError(
        "UNKNOWN_FIELD",
        f"there is no field {name[:60]!r}{hint} Known fields: {', '.join(known)}",
        field=name[:60],
        limit=known,
    )

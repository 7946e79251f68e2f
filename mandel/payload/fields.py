"""The fields of a payload: one row each. A row says all that the program knows of its field.

The service, the client's options, the checks and the job id follow from these rows. The defaults are the original
payload, but for its maxiter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from mandel.colour import looks, mappings, palettes
from mandel.errors import RequestError
from mandel.payload import checks, stops
from mandel.payload.checks import Check
from mandel.payload.stops import Stop
from mandel.settings import PayloadLimits
from mandel.video import coding

Value = checks.Value | tuple[Stop, ...]

# What strict_json.loads gives of an object: values are str, bool, None, Number, lists and objects.
JsonObject = dict[str, Any]

WHOLE = "whole"
DECIMAL = "decimal"
TEXT = "text"
FLAG = "flag"

AUTO = "auto"
EXACT, SHARED = "exact", "shared"
FULL, ADAPTIVE = "full", "adaptive"


class Field(NamedTuple):
    """One field of a payload.

    Attributes:
        name: its key in the JSON object.
        kind: WHOLE (JSON number), DECIMAL (number or string of one), TEXT or FLAG (true or false).
        default: what a payload without the field means, canonical.
        help: one line for people.
        check: gives the canonical value, or raises PayloadError.
        original: whether the field is part of the original payload; the others are left out of the job id
            while they have their first default, so that adding one changes no id.
        recolour: whether another video of the same strips may have it otherwise.
        film_only: whether no single picture shows it: a preview leaves it out.
        before: its first default, which a payload means that was stored before there was the field. Ids leave it
            out for ever: when ``default`` becomes another one, every job keeps its id.
    """

    name: str
    kind: str
    default: Value
    help: str
    check: Check | Callable[[object, PayloadLimits], tuple[Stop, ...]]
    original: bool
    recolour: bool
    film_only: bool
    before: Value


def _row(
    kind: str,
    default: Value,
    text: str,
    check: Check | Callable[[object, PayloadLimits], tuple[Stop, ...]],
    *,
    original: bool = False,
    recolour: bool = False,
    film_only: bool = False,
    before: Value | None = None,
) -> Any:
    about = {
        "kind": kind,
        "default": default,
        "help": text,
        "check": check,
        "original": original,
        "recolour": recolour,
        "film_only": film_only,
        "before": default if before is None else before,
    }
    return dataclasses.field(default=default, metadata=about)


@dataclass(
    frozen=True, init=False, repr=False, eq=False
)  # Payload has these; the client starts sooner without
class PayloadFields:
    """The rows. Whole numbers are ints; decimal numbers are texts of any length, in their one form."""

    point: str = _row(
        TEXT,
        "-1.338238635,-0.057237059",
        'centre of the zoom, "RE,IM", any digits',
        checks.point,
        original=True,
    )
    num_frames: int = _row(
        WHOLE,
        50,
        "frames of the film",
        checks.whole(1, checks.LARGEST_WHOLE),
        original=True,
        recolour=True,
        film_only=True,
    )
    frame_width: int = _row(
        WHOLE, 1000, "pixels, even", checks.whole(2, "max_side", step=2), original=True, recolour=True
    )
    frame_height: int = _row(
        WHOLE, 1000, "pixels, even", checks.whole(2, "max_side", step=2), original=True, recolour=True
    )
    maxiter: int | str = _row(
        WHOLE,
        AUTO,
        'iteration limit of a sample, or "auto": found along the zoom by small renderings',
        checks.whole(1, "max_maxiter", word=AUTO),
        original=True,
    )
    fps: str = _row(
        DECIMAL,
        "20",
        "frames per second, such as 29.97 or 30000/1001",
        checks.fps,
        original=True,
        recolour=True,
        film_only=True,
    )
    start_delta: str = _row(
        DECIMAL, "2.5", "extent of the first frame's shorter side", checks.delta, original=True, recolour=True
    )
    end_delta: str = _row(
        DECIMAL,
        "0.0001",
        "extent of the last frame's shorter side, such as 1e-1000",
        checks.delta,
        original=True,
        recolour=True,
    )
    look: str = _row(
        TEXT,
        "",
        f"all fields of the colours at once: {', '.join(looks.NAMES)}; what is said of them besides wins",
        checks.one_of("", *looks.NAMES),
        recolour=True,
    )
    palette: str = _row(
        TEXT,
        palettes.DEFAULT,
        f"{', '.join(palettes.NAMES)}; or own colours: 070b2b,4fa3dc,ffd27a or 0:070b2b,0.3:4fa3dc,0.6:ffd27a",
        checks.palette,
        recolour=True,
    )
    mapping: str = _row(
        TEXT,
        mappings.EVEN,
        "how colours follow the iteration count: even (a curve learned along the zoom), root, linear, log",
        checks.one_of(*mappings.NAMES),
        recolour=True,
        before=mappings.ROOT,
    )
    density: str = _row(
        DECIMAL,
        "1",
        "how fast colours follow each other, 0.01 to 100; 1 is the usual speed",
        checks.between("0.01", "100"),
        recolour=True,
    )
    offset: str = _row(
        DECIMAL,
        "0",
        "turns around the palette by which all colours are shifted, -1000 to 1000",
        checks.between("-1000", "1000"),
        recolour=True,
    )
    relief: str = _row(
        DECIMAL,
        "0",
        "strength of the light that falls on the slopes, 0 (none) to 1",
        checks.between("0", "1"),
        recolour=True,
    )
    relief_angle: str = _row(
        DECIMAL,
        "135",
        "where the light comes from, degrees counter-clockwise from the right, -360 to 360",
        checks.between("-360", "360"),
        recolour=True,
    )
    edge: str = _row(
        DECIMAL,
        "0",
        "pixels from the set within which colours darken, 0 (none) to 100; of shared sampling at a frame's corner",
        checks.between("0", "100"),
        recolour=True,
    )
    interior: str = _row(
        TEXT,
        "000000",
        "colour of the set itself, six hex digits",
        checks.colour,
        recolour=True,
    )
    supersampling: int = _row(
        WHOLE, 1, "of exact sampling: n by n samples for each pixel, 1 to 4", checks.whole(1, 4)
    )
    supersampling_mode: str = _row(
        TEXT,
        FULL,
        "full: every pixel; adaptive: only pixels that differ from a neighbour",
        checks.one_of(FULL, ADAPTIVE),
    )
    sampling: str = _row(
        TEXT,
        EXACT,
        "exact: each frame on its own; shared: all from one exponential map",
        checks.one_of(EXACT, SHARED),
        film_only=True,
    )
    strip_density: str = _row(
        DECIMAL,
        "1.1",
        "of shared sampling: samples along a pixel at a corner, 0.5 to 4",
        checks.between("0.5", "4"),
        film_only=True,
    )
    easing: str = _row(
        DECIMAL,
        "0",
        "share of the time spent speeding up and slowing down, 0 to 1",
        checks.between("0", "1"),
        recolour=True,
        film_only=True,
    )
    ease_start: str = _row(
        DECIMAL,
        AUTO,
        'share of the time spent speeding up at the start, or "auto": half of easing',
        checks.between("0", "1", word=AUTO),
        recolour=True,
        film_only=True,
    )
    ease_end: str = _row(
        DECIMAL,
        AUTO,
        'share of the time spent slowing down at the end, or "auto": half of easing',
        checks.between("0", "1", word=AUTO),
        recolour=True,
        film_only=True,
    )
    hold_start: str = _row(
        DECIMAL,
        "0",
        "seconds, of the film's own, that the first frame is held",
        checks.between("0", "3600"),
        recolour=True,
        film_only=True,
    )
    hold_end: str = _row(
        DECIMAL,
        "0",
        "seconds, of the film's own, that the last frame is held",
        checks.between("0", "3600"),
        recolour=True,
        film_only=True,
    )
    rotation: str = _row(
        DECIMAL,
        "0",
        "degrees that the view turns counter-clockwise along the zoom",
        checks.between("-36000", "36000"),
        recolour=True,
    )
    path: tuple[Stop, ...] = _row(
        TEXT,
        (),
        "stops of the camera, a JSON list; each has point, delta, time, hold, rotation, easing (docs/protocol.md)",
        stops.path,
    )
    codec: str = _row(
        TEXT,
        coding.H264,
        f"how the film is encoded: {', '.join(coding.CODECS)}",
        checks.one_of(*coding.CODECS),
        recolour=True,
        film_only=True,
    )
    quality: str = _row(
        TEXT,
        coding.GOOD,
        f"of the film: {', '.join(coding.QUALITIES)}; lossless is RGB",
        checks.one_of(*coding.QUALITIES),
        recolour=True,
        film_only=True,
    )
    container: str = _row(
        TEXT,
        AUTO,
        f"the film's file: {', '.join(coding.CONTAINERS)}, or \"auto\": the codec's own",
        checks.one_of(AUTO, *coding.CONTAINERS),
        recolour=True,
        film_only=True,
    )
    bits: int | str = _row(
        WHOLE,
        AUTO,
        'of each channel of the film, 8 or 10, or "auto": 10 with hevc, av1 and prores',
        checks.whole(8, 10, step=2, word=AUTO),
        recolour=True,
        film_only=True,
    )
    crf: int | str = _row(
        WHOLE,
        AUTO,
        'rate factor of h264, hevc and av1, smaller is better, or "auto": by quality',
        checks.whole(0, 63, word=AUTO),
        recolour=True,
        film_only=True,
    )
    max_bitrate: str = _row(
        DECIMAL,
        "0",
        "ceiling of h264, hevc and av1 in Mbit/s, 0 for none",
        checks.between("0", "1000"),
        recolour=True,
        film_only=True,
    )
    subtitles: bool = _row(
        FLAG,
        False,
        "true adds a soft subtitle track with the magnification, once a second",
        checks.flag,
        recolour=True,
        film_only=True,
    )
    keep_strips: bool = _row(
        FLAG,
        False,
        "of shared sampling: true keeps what recolour needs, about 2 bytes a sample",
        checks.flag,
        film_only=True,
    )


TABLE = tuple(Field(f.name, **f.metadata) for f in dataclasses.fields(PayloadFields))
BY_NAME = {field.name: field for field in TABLE}
# Fields whose default is another one than at first.
_BEFORE = {field.name: field.before for field in TABLE if field.before != field.default}
# How samples become colours.
LOOK = ("look", *looks.FIELDS)
RECOLOURED = tuple(field.name for field in TABLE if field.recolour)


def without_look(obj: JsonObject) -> JsonObject:
    """A payload, or changes of one, with the fields of its look written out, and no ``look``.

    A look that is none stays, and is refused with the other fields.
    """
    look = obj.get("look", "")
    if not isinstance(look, str) or (look and look not in looks.LOOKS):
        return obj
    return looks.LOOKS.get(look, {}) | {name: value for name, value in obj.items() if name != "look"}


def of_before(obj: JsonObject) -> JsonObject:
    """A payload that was stored, or that a film carries, with what it meant by fields that it does not have.

    What is stored has all fields of its time.
    """
    return _BEFORE | without_look(obj)


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

"""What may be asked: a payload, validated, canonical and hashable.

Numbers are judged by their text: digits and exponents are bounded before
anything is converted, and nothing passes through a float. Equal payloads have
one canonical form, so one job id, however they were written.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError

from mandel.colour import palettes
from mandel.errors import PayloadError
from mandel.protocol import fields
from mandel.protocol.number import Exact, Number, exact
from mandel.protocol.operation import unknown_field
from mandel.settings import Limits
from mandel.version import ENGINE

AUTO = "auto"
EXACT, SHARED = "exact", "shared"
FULL, ADAPTIVE = "full", "adaptive"

# Coordinates and deltas beyond this show nothing: the set lies within radius 2.
_EXTENT_MAGNITUDE = 6
_MAX_EXTENT = 10**_EXTENT_MAGNITUDE
# Digits of a coordinate beyond the deepest delta's own.
_SPARE_DIGITS = 1_000
_LARGEST_WHOLE = 2**63 - 1
# Zooms beyond this have maxiter "auto" unless they say otherwise.
_DEEP = Decimal("1e-8")
_DOUBLE_MAGNITUDE = 308
_FPS_DIGITS = _SHORT_DIGITS = 12
_MIN_FPS = Decimal("0.01")


def _wrong(code: str, message: str, limit=None) -> PydanticCustomError:
    # The message is a context value, not the template: user text may hold braces.
    return PydanticCustomError(code, "{message}", {"message": message, "limit": limit})


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:30] + "...")


def _number(text: str, limits: Limits) -> Exact:
    """The exact value of a number's text, with digits and exponent bounded."""
    if text in ("NaN", "Infinity", "-Infinity"):
        raise _wrong("NOT_FINITE", f"{text} is not a number that can be rendered")
    room = limits.max_depth + _SPARE_DIGITS
    if len(text) > room + 32:
        raise _wrong("OUT_OF_RANGE", f"a number of {len(text)} characters; {room} digits are allowed", room)
    value = exact(text)
    if value is None:
        raise _wrong(
            "BAD_NUMBER",
            f"{_shown(text)} is not a decimal number; write digits, a point, an exponent: -1.25e-30",
        )
    if value.scientific and value.magnitude > _DOUBLE_MAGNITUDE:
        raise _wrong("NOT_FINITE", f"{_shown(text)} is too large to be finite", "1e308")
    return value


def _beyond(value: Exact) -> bool:
    """Whether |value| > 10**_EXTENT_MAGNITUDE, told from its first digits."""
    if value.magnitude != _EXTENT_MAGNITUDE:
        return value.magnitude > _EXTENT_MAGNITUDE
    return value.digits > "1"


def _coordinate(text: str, limits: Limits) -> str:
    """The canonical text of a coordinate: within the extent, no digit beyond the depth."""
    value = _number(text, limits)
    if _beyond(value):
        raise _wrong("OUT_OF_RANGE", f"{_shown(text)} is beyond {_MAX_EXTENT}", _MAX_EXTENT)
    if value.digits and value.exponent < -(limits.max_depth + _SPARE_DIGITS):
        raise _wrong(
            "TOO_DEEP_ZOOM",
            f"{_shown(text)} has digits far beyond 1e-{limits.max_depth}, the deepest zoom allowed here",
            f"1e-{limits.max_depth}",
        )
    return value.text()


def _text_of_decimal(value) -> str:
    """The text of a field that may be a JSON number or a string."""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, str):
        return value
    raise _wrong("WRONG_TYPE", 'must be a number, or a string that holds one such as "1e-1000"')


@dataclass(frozen=True)
class Whole:
    """Check of an integer field; 100, 100.0 and 1E2 are the same, 1.5 is none.

    Attributes:
        low, high: inclusive; ``high`` is a number or the name of a limit.
        step: only multiples of it are allowed.
        word: a string that is allowed too.
    """

    low: int
    high: int | str
    step: int = 1
    word: str | None = None

    def __call__(self, value, info: ValidationInfo) -> int | str:
        limits: Limits = info.context
        if self.word is not None and value == self.word:
            return value
        kind = "a whole number" + (f' or "{self.word}"' if self.word else "")
        if not isinstance(value, Number):
            raise _wrong("WRONG_TYPE", f"must be {kind}; numbers are written without quotes")
        number = _number(value.text, limits)
        if number.exponent < 0:
            raise _wrong("WRONG_TYPE", f"{_shown(value.text)} is not {kind}")
        high = getattr(limits, self.high) if isinstance(self.high, str) else self.high
        # Below 10**20 before it becomes an int: a text of any length is judged by its magnitude.
        whole = int(number.text()) if number.magnitude < 20 else None
        if whole is None or not self.low <= whole <= high or whole % self.step:
            multiple = f", a multiple of {self.step}" if self.step > 1 else ""
            bounds = {"min": self.low, "max": high} | ({"step": self.step} if self.step > 1 else {})
            raise _wrong(
                "OUT_OF_RANGE", f"{_shown(value.text)} is out of range: {self.low} to {high}{multiple}",
                bounds,
            )
        return whole


def _point(value, info: ValidationInfo) -> tuple[str, str]:
    if not isinstance(value, str):
        raise _wrong("WRONG_TYPE", 'must be a string "RE,IM"')
    if value.count(",") != 1:
        raise _wrong("BAD_NUMBER", f'{_shown(value)} is not "RE,IM": two decimal numbers and a comma')
    re, im = (_coordinate(part.strip(" "), info.context) for part in value.split(","))
    return re, im


def _delta(value, info: ValidationInfo) -> str:
    limits: Limits = info.context
    text = _text_of_decimal(value)
    number = _number(text, limits)
    deepest = f"1e-{limits.max_depth}"
    bounds = {"min": deepest, "max": _MAX_EXTENT}
    if not number.digits or number.negative:
        raise _wrong("OUT_OF_RANGE", f"a delta must be greater than 0, not {_shown(text)}", bounds)
    if number.magnitude < -limits.max_depth:
        raise _wrong(
            "TOO_DEEP_ZOOM", f"{_shown(text)} is below {deepest}, the deepest zoom allowed here", deepest
        )
    if _beyond(number):
        raise _wrong("OUT_OF_RANGE", f"{_shown(text)} is beyond {_MAX_EXTENT}", bounds)
    return number.text()


def _fps(value, info: ValidationInfo) -> str:
    text = _text_of_decimal(value)
    high = info.context.max_fps
    refused = _wrong(
        "OUT_OF_RANGE", f"{_shown(text)} is out of range: {_MIN_FPS} to {high}, at most {_FPS_DIGITS} digits",
        {"min": float(_MIN_FPS), "max": high},
    )
    try:
        number = _number(text, info.context)
    except PydanticCustomError as error:
        # A rate without end is a rate beyond the limit.
        raise refused if error.type == "NOT_FINITE" else error
    if number.magnitude not in range(-3, 10) or len(number.digits) > _FPS_DIGITS:
        raise refused
    if not _MIN_FPS <= Decimal(number.text()) <= high:
        raise refused
    return number.text()


@dataclass(frozen=True)
class Between:
    """Check of a decimal field of few digits, a number or a string of one.

    Attributes:
        low, high: inclusive.
    """

    low: str
    high: str

    def __call__(self, value, info: ValidationInfo) -> str:
        text = _text_of_decimal(value)
        number = _number(text, info.context)
        short = number.magnitude in range(-_SHORT_DIGITS, 10) and len(number.digits) <= _SHORT_DIGITS
        # A value of any length is judged by its digits before it becomes a Decimal.
        exact_value = Decimal(number.text()) if short or not number.digits else None
        if exact_value is None or not Decimal(self.low) <= exact_value <= Decimal(self.high):
            raise _wrong(
                "OUT_OF_RANGE",
                f"{_shown(text)} is out of range: {self.low} to {self.high}, at most {_SHORT_DIGITS} digits",
                {"min": float(self.low), "max": float(self.high)},
            )
        return number.text()


@dataclass(frozen=True)
class OneOf:
    """Check of a field that holds one of some words."""

    words: tuple[str, ...]

    def __call__(self, value) -> str:
        if not isinstance(value, str):
            raise _wrong("WRONG_TYPE", "must be a string")
        if value not in self.words:
            raise _wrong(
                "UNKNOWN_VALUE", f"{_shown(value)} is not one of {', '.join(self.words)}", list(self.words)
            )
        return value


class _Wire(BaseModel):
    """The fields as they are sent, one check each (rows of ``fields.TABLE``)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    point: Annotated[tuple[str, str], BeforeValidator(_point)]
    num_frames: Annotated[int, BeforeValidator(Whole(1, _LARGEST_WHOLE))]
    frame_width: Annotated[int, BeforeValidator(Whole(2, "max_side", step=2))]
    frame_height: Annotated[int, BeforeValidator(Whole(2, "max_side", step=2))]
    maxiter: Annotated[int | str, BeforeValidator(Whole(1, "max_maxiter", word=AUTO))]
    fps: Annotated[str, BeforeValidator(_fps)]
    start_delta: Annotated[str, BeforeValidator(_delta)]
    end_delta: Annotated[str, BeforeValidator(_delta)]
    palette: Annotated[str, BeforeValidator(OneOf(palettes.NAMES))]
    supersampling: Annotated[int, BeforeValidator(Whole(1, 4))]
    supersampling_mode: Annotated[str, BeforeValidator(OneOf((FULL, ADAPTIVE)))]
    sampling: Annotated[str, BeforeValidator(OneOf((EXACT, SHARED)))]
    strip_density: Annotated[str, BeforeValidator(Between("0.5", "4"))]
    easing: Annotated[str, BeforeValidator(Between("0", "1"))]
    rotation: Annotated[str, BeforeValidator(Between("-36000", "36000"))]


@dataclass(frozen=True)
class Payload:
    """A zoom that may be rendered. Made by ``parse``; every field is canonical.

    Attributes:
        re, im: centre, decimal strings of any length.
        num_frames: frames from start_delta to end_delta, both included.
        frame_width, frame_height: pixels, even.
        maxiter: iteration limit of a sample, or ``"auto"``.
        fps: frames per second, decimal string.
        start_delta, end_delta: extent of the shorter side, decimal strings > 0.
        palette: a name of ``colour.palettes.NAMES``.
        supersampling: n for n x n samples a pixel, of exact sampling.
        supersampling_mode: FULL, or ADAPTIVE: one sample, and n x n only where pixels differ.
        sampling: EXACT, each frame on its own, or SHARED, from strips of the exponential map.
        strip_density: samples along a pixel's side at a frame's corner, of shared
            sampling; decimal string.
        easing: share of the time spent speeding up and slowing down, 0 to 1, decimal string.
        rotation: degrees that the view turns counter-clockwise along the zoom, decimal string.
    """

    re: str
    im: str
    num_frames: int
    frame_width: int
    frame_height: int
    maxiter: int | str
    fps: str
    start_delta: str
    end_delta: str
    palette: str
    supersampling: int
    supersampling_mode: str
    sampling: str
    strip_density: str
    easing: str
    rotation: str

    @property
    def deepest(self) -> Decimal:
        """The smaller of the two deltas."""
        return min(Decimal(self.start_delta), Decimal(self.end_delta))

    @property
    def samples(self) -> int:
        """Samples of the whole job."""
        return self.num_frames * self.frame_width * self.frame_height * self.supersampling**2

    def canonical(self) -> dict:
        """The payload in its one form: every field, JSON-ready; itself a valid payload."""
        values = {"point": f"{self.re},{self.im}"}
        return values | {f.name: getattr(self, f.name) for f in fields.TABLE if f.name != "point"}

    def job_id(self) -> str:
        """SHA-256 (hex) of what makes this payload's video: its fields and the engine."""
        said = {
            name: value
            for name, value in self.canonical().items()
            if fields.BY_NAME[name].seed or value != fields.BY_NAME[name].default
        }
        text = json.dumps({"engine": ENGINE, "payload": said}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def from_canonical(cls, values: dict) -> "Payload":
        """The payload that ``canonical`` described, whatever the limits are now.

        Raises:
            PayloadError: it is no payload.
        """
        return _validated(values, _NO_LIMITS)


_NO_LIMITS = Limits(
    max_frames=_LARGEST_WHOLE, max_side=2**31, max_maxiter=2**62, max_fps=10**6, max_depth=10**6,
    max_pixels=2**200,
)


def parse(obj: dict, limits: Limits = Limits()) -> Payload:
    """The payload that a JSON object asks for; fields not given have the seed's values.

    Only ``maxiter`` depends on another field: not given, it is ``"auto"`` beyond delta 1e-8.

    Args:
        obj: numbers as ``Number`` (as the strict JSON reader gives them) or int;
            a float is refused because it has lost its digits already.
        limits: the most that may be asked.

    Raises:
        PayloadError: UNKNOWN_FIELD, WRONG_TYPE, BAD_NUMBER, NOT_FINITE, OUT_OF_RANGE,
            TOO_DEEP_ZOOM, UNKNOWN_VALUE or JOB_TOO_BIG.
    """
    payload = _validated(obj, limits)
    if "maxiter" not in obj and payload.deepest < _DEEP:
        # A default made for shallow views would paint a deep one black.
        payload = replace(payload, maxiter=AUTO)
    if payload.num_frames > limits.max_frames:
        _too_big(payload, f"{limits.max_frames} frames are", "num_frames", limits.max_frames)
    if payload.samples > limits.max_pixels:
        _too_big(payload, f"{limits.max_pixels} are", None, limits.max_pixels)
    return payload


def _too_big(payload: Payload, allowed: str, field: str | None, limit: int):
    raise PayloadError(
        "JOB_TOO_BIG",
        f"{payload.num_frames} frames of {payload.frame_width}x{payload.frame_height} pixels with "
        f"{payload.supersampling**2} samples each are {payload.samples} samples; {allowed} allowed here. "
        "Ask for fewer or smaller frames",
        field=field, limit=limit,
    )


def _as_sent(value):
    """Python ints as numbers of JSON; a bool is not one."""
    return Number(str(value)) if isinstance(value, int) and not isinstance(value, bool) else value


def _validated(obj: dict, limits: Limits) -> Payload:
    if any(isinstance(value, float) for value in obj.values()):
        raise TypeError("a float has lost digits; read the payload with protocol.strict_json")
    for name in obj:
        if name not in fields.BY_NAME:
            raise _payload_error(unknown_field(name, fields.BY_NAME))
    sent = {field.name: _as_sent(obj.get(field.name, field.default)) for field in fields.TABLE}
    try:
        wire = _Wire.model_validate(sent, context=limits)
    except ValidationError as failure:
        first = failure.errors(include_url=False)[0]
        field, context = str(first["loc"][0]), first.get("ctx", {})
        raise PayloadError(
            first["type"], f"{field}: {context.get('message', first['msg'])}", field=field,
            limit=context.get("limit"),
        ) from None
    values = wire.model_dump()
    re, im = values.pop("point")
    return Payload(re, im, **values)


def _payload_error(error) -> PayloadError:
    return PayloadError(error.code, error.message, field=error.field, limit=error.limit)

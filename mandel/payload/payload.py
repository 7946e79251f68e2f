"""What may be asked: a payload, validated, canonical and hashable.

Equal payloads have one canonical form, so one job id, however they were
written. What each field may hold is said in checks.py.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from mandel.colour import palettes
from mandel.errors import MandelError, PayloadError
from mandel.payload import checks, fields
from mandel.payload.decimal_text import Number
from mandel.payload.fields import JsonObject, unknown_field
from mandel.plan.exponential_map import samples_of
from mandel.plan.strip_plan import densest, most_texels
from mandel.plan.zoom import Zoom
from mandel.settings import PayloadLimits
from mandel.version import ENGINE
from mandel.video.size import encodable, nearest

AUTO = "auto"
EXACT, SHARED = "exact", "shared"
FULL, ADAPTIVE = "full", "adaptive"
# Measured: 0.03 of the whole set at 1920x1080, 0.26 of a seahorse; uniform pictures take 0.002 and less.
_LEAST_BYTES_PER_PIXEL = 0.02


class _Wire(BaseModel):
    """The fields as they are sent, one check each (rows of ``fields.TABLE``)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    point: Annotated[tuple[str, str], BeforeValidator(checks.point)]
    num_frames: Annotated[int, BeforeValidator(checks.Whole(1, checks.LARGEST_WHOLE))]
    frame_width: Annotated[int, BeforeValidator(checks.Whole(2, "max_side", step=2))]
    frame_height: Annotated[int, BeforeValidator(checks.Whole(2, "max_side", step=2))]
    maxiter: Annotated[int | str, BeforeValidator(checks.Whole(1, "max_maxiter", word=AUTO))]
    fps: Annotated[str, BeforeValidator(checks.fps)]
    start_delta: Annotated[str, BeforeValidator(checks.delta)]
    end_delta: Annotated[str, BeforeValidator(checks.delta)]
    palette: Annotated[str, BeforeValidator(checks.OneOf(palettes.NAMES))]
    supersampling: Annotated[int, BeforeValidator(checks.Whole(1, 4))]
    supersampling_mode: Annotated[str, BeforeValidator(checks.OneOf((FULL, ADAPTIVE)))]
    sampling: Annotated[str, BeforeValidator(checks.OneOf((EXACT, SHARED)))]
    strip_density: Annotated[str, BeforeValidator(checks.Between("0.5", "4"))]
    easing: Annotated[str, BeforeValidator(checks.Between("0", "1"))]
    rotation: Annotated[str, BeforeValidator(checks.Between("-36000", "36000"))]
    keep_strips: Annotated[bool, BeforeValidator(checks.flag)]


@dataclass(frozen=True)
class Payload:
    """A zoom that may be rendered. Made by ``parse``; every field is canonical.

    Attributes:
        re, im: centre, decimal strings of any length.
        num_frames: frames from start_delta to end_delta, both included.
        frame_width, frame_height: pixels, even.
        maxiter: iteration limit of a sample, or ``"auto"``.
        fps: frames per second, decimal string, or a reduced quotient ("30000/1001") that no short decimal equals.
        start_delta, end_delta: extent of the shorter side, decimal strings > 0.
        palette: a name of ``colour.palettes.NAMES``.
        supersampling: n for n x n samples a pixel, of exact sampling.
        supersampling_mode: FULL, or ADAPTIVE: one sample, and n x n only where pixels differ.
        sampling: EXACT, each frame on its own, or SHARED, from strips of the exponential map.
        strip_density: samples along a pixel's side at a frame's corner, of shared
            sampling; decimal string.
        easing: share of the time spent speeding up and slowing down, 0 to 1, decimal string.
        rotation: degrees that the view turns counter-clockwise along the zoom, decimal string.
        keep_strips: whether raw strips stay in DB/, so that the zoom can be made again without iterating.
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
    keep_strips: bool

    @property
    def samples(self) -> int:
        """Samples of the whole job; of shared sampling about, the pixels that are resampled among them."""
        pixels = self.num_frames * self.frame_width * self.frame_height
        if self.sampling == SHARED:
            return pixels + samples_of(Zoom.of(self), float(self.strip_density))
        return pixels * self.supersampling**2

    @property
    def least_bytes(self) -> int:
        """Bytes that its video takes at least, unless its pictures are plainer than a view of the whole set."""
        return int(self.num_frames * self.frame_width * self.frame_height * _LEAST_BYTES_PER_PIXEL)

    def canonical(self) -> JsonObject:
        """The payload in its one form: every field, JSON-ready; itself a valid payload."""
        values = {"point": f"{self.re},{self.im}"}
        return values | {f.name: getattr(self, f.name) for f in fields.TABLE if f.name != "point"}

    def job_id(self) -> str:
        """SHA-256 (hex) of what makes this payload's video: its fields and the engine."""
        said = {
            name: value
            for name, value in self.canonical().items()
            if fields.BY_NAME[name].in_original_payload or value != fields.BY_NAME[name].default
        }
        text = json.dumps({"engine": ENGINE, "payload": said}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def from_canonical(cls, values: JsonObject) -> Payload:
        """The payload that ``canonical`` described, whatever the limits are now.

        Raises:
            PayloadError: it is no payload.
        """
        return _validated(values, _NO_LIMITS)


_NO_LIMITS = PayloadLimits(
    max_frames=checks.LARGEST_WHOLE,
    max_side=2**31,
    max_maxiter=2**62,
    max_fps=10**6,
    max_depth=10**6,
    max_pixels=2**200,
)


def parse(obj: JsonObject, limits: PayloadLimits = PayloadLimits()) -> Payload:
    """The payload that a JSON object asks for; fields not given have the seed's values, ``maxiter`` is ``"auto"``.

    Args:
        obj: numbers as ``Number`` (as the strict JSON reader gives them) or int;
            a float is refused because it has lost its digits already.
        limits: the most that may be asked.

    Raises:
        PayloadError: UNKNOWN_FIELD, WRONG_TYPE, BAD_NUMBER, NOT_FINITE, OUT_OF_RANGE,
            TOO_DEEP_ZOOM, UNKNOWN_VALUE, CONFLICT or JOB_TOO_BIG.
    """
    payload = _validated(obj, limits)
    if payload.keep_strips and payload.sampling != SHARED:
        raise PayloadError(
            "CONFLICT",
            f'keep_strips: only sampling "{SHARED}" has strips; ask for that, or leave keep_strips out',
            field="keep_strips",
        )
    if payload.num_frames > limits.max_frames:
        _too_big(payload, f"{limits.max_frames} frames are", "num_frames", limits.max_frames)
    if payload.samples > limits.max_pixels:
        _too_big(payload, f"{limits.max_pixels} are", None, limits.max_pixels)
    if payload.sampling == SHARED:
        _refuse_too_dense(payload)
    if not encodable(payload.frame_width, payload.frame_height):
        width, height = nearest(payload.frame_width, payload.frame_height)
        raise PayloadError(
            "OUT_OF_RANGE",
            f"frame_width, frame_height: H.264 frames of {payload.frame_width}x{payload.frame_height} pixels cannot be "
            f"encoded here; the largest of this shape are {width}x{height}",
            field="frame_width",
            limit={"frame_width": width, "frame_height": height},
        )
    return payload


def _refuse_too_dense(payload: Payload) -> None:
    zoom = Zoom.of(payload)
    if most_texels(zoom, float(payload.strip_density)) >= 2**31:
        most = densest(zoom)
        raise PayloadError(
            "JOB_TOO_BIG",
            f"frames of {payload.frame_width}x{payload.frame_height} pixels allow a strip_density of {most} at most, "
            f"not {payload.strip_density}. Ask for smaller frames or a lower strip_density",
            field="strip_density",
            limit=most,
        )


def _too_big(payload: Payload, allowed: str, field: str | None, limit: int) -> NoReturn:
    raise PayloadError(
        "JOB_TOO_BIG",
        f"{payload.num_frames} frames of {payload.frame_width}x{payload.frame_height} pixels take "
        f"{payload.samples} samples; {allowed} allowed here. "
        "Ask for fewer or smaller frames",
        field=field,
        limit=limit,
    )


def _as_sent(value: object) -> object:
    """Python ints as numbers of JSON; a bool is not one."""
    return Number(str(value)) if isinstance(value, int) and not isinstance(value, bool) else value


def _validated(obj: JsonObject, limits: PayloadLimits) -> Payload:
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
            first["type"],
            f"{field}: {context.get('message', first['msg'])}",
            field=field,
            limit=context.get("limit"),
        ) from None
    values = wire.model_dump()
    re, im = values.pop("point")
    return Payload(re, im, **values)


def _payload_error(error: MandelError) -> PayloadError:
    return PayloadError(error.code, error.message, field=error.field, limit=error.limit)

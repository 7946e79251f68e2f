"""What may be asked: a payload, validated, canonical and hashable.

Equal payloads have one canonical form, so one job id, however they were
written. The fields stand in fields.py, what each may hold in checks.py.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, NoReturn

from mandel.colour import looks
from mandel.errors import MandelError, PayloadError
from mandel.payload import checks, fields, stops
from mandel.payload.decimal_text import Number
from mandel.payload.fields import (
    ADAPTIVE,
    AUTO,
    EXACT,
    FULL,
    SHARED,
    JsonObject,
    PayloadFields,
    unknown_field,
)
from mandel.payload.stops import Stop
from mandel.plan.camera_path import CameraPath, Stretch, ZoomAlongPath
from mandel.plan.exponential_map import samples_of
from mandel.plan.picture import shape
from mandel.plan.strip_plan import densest, most_texels
from mandel.plan.zoom import Zoom
from mandel.settings import PayloadLimits
from mandel.version import ENGINE
from mandel.video import coding
from mandel.video.coding import Coding
from mandel.video.size import encodable, nearest

__all__ = ["ADAPTIVE", "AUTO", "EXACT", "FULL", "SHARED", "Payload", "parse"]

# Measured: 0.03 of the whole set at 1920x1080, 0.26 of a seahorse; uniform pictures take 0.002 and less.
_LEAST_BYTES_PER_PIXEL = 0.02
_CODING = ("codec", "quality", "container", "bits", "crf", "max_bitrate")


@dataclass(frozen=True)
class Payload(PayloadFields):
    """A zoom that may be rendered. Made by ``parse``; every field is canonical."""

    @property
    def look_in_words(self) -> str:
        """What people call its colours: "copper", "evening, ember"."""
        return looks.in_words({name: str(getattr(self, name)) for name in looks.FIELDS})

    @property
    def re(self) -> str:
        """The centre's real part, a decimal string of any length."""
        return self.point.partition(",")[0]

    @property
    def im(self) -> str:
        """The centre's imaginary part, a decimal string of any length."""
        return self.point.partition(",")[2]

    @property
    def ramps(self) -> tuple[float, float]:
        """Shares of the time spent speeding up and slowing down."""
        half = float(self.easing) / 2
        start, end = (half if ease == AUTO else float(ease) for ease in (self.ease_start, self.ease_end))
        return start, end

    @property
    def held(self) -> tuple[int, int]:
        """Frames, beyond the first and the last one, that show the same as these."""
        start, end = (round(Fraction(hold) * Fraction(self.fps)) for hold in (self.hold_start, self.hold_end))
        return start, end

    @property
    def camera(self) -> Zoom | CameraPath:
        """From its frames to views."""
        if self.path and (self.sampling == EXACT or not stops.is_one_zoom(self.path)):
            return _camera_path(self.path, self.fps, self.frame_width, self.frame_height)
        return self.zoom

    @property
    def zoom(self) -> Zoom:
        """The same, about one point; a path that has others has none."""
        if not self.path:
            return Zoom.of(self)
        return ZoomAlongPath.along(_camera_path(self.path, self.fps, self.frame_width, self.frame_height))

    @property
    def stretches(self) -> list[Stretch]:
        """The stretches of a path with shared sampling whose strips take less than half of what exact frames take."""
        if self.sampling != SHARED or not isinstance(camera := self.camera, CameraPath):
            return []
        density, each = float(self.strip_density), self._samples_of_a_frame
        return [it for it in camera.stretches if 2 * samples_of(it.zoom, density) < each * len(it.frames)]

    @property
    def shared_zooms(self) -> list[Zoom]:
        """The frames that are made from strips."""
        if self.sampling != SHARED:
            return []
        return [it.zoom for it in self.stretches] if isinstance(self.camera, CameraPath) else [self.zoom]

    @property
    def samples_along(self) -> int:
        """Samples along a side of a pixel of frames that are iterated on their own.

        Nine samples a pixel are about as calm as strips are, so that nobody sees where the two meet.
        """
        return max(self.supersampling, 3) if self.sampling == SHARED else self.supersampling

    @property
    def _samples_of_a_frame(self) -> int:
        return self.frame_width * self.frame_height * self.samples_along**2

    @property
    def seconds(self) -> float:
        """How long the film lasts."""
        return float(self.num_frames / Fraction(self.fps))

    @property
    def samples(self) -> int:
        """Samples of the whole job; of shared sampling about, the pixels that are resampled among them."""
        if self.sampling != SHARED:
            return self.num_frames * self._samples_of_a_frame
        zooms = self.shared_zooms
        shared = sum(zoom.num_frames for zoom in zooms)
        strips = sum(samples_of(zoom, float(self.strip_density)) for zoom in zooms)
        resampled = shared * self.frame_width * self.frame_height
        return resampled + strips + (self.num_frames - shared) * self._samples_of_a_frame

    @property
    def least_bytes(self) -> int:
        """Bytes that its video takes at least, unless its pictures are plainer than a view of the whole set."""
        return int(self.num_frames * self.frame_width * self.frame_height * _LEAST_BYTES_PER_PIXEL)

    @property
    def coding(self) -> Coding:
        """How its film is encoded."""
        return coding.of(*(getattr(self, name) for name in _CODING))

    @property
    def picture_bytes(self) -> int:
        """Bytes of a picture that is to be encoded."""
        return math.prod(shape(self.frame_width, self.frame_height, self.coding.layout))

    def canonical(self) -> JsonObject:
        """The payload in its one form: every field, JSON-ready; itself a valid payload."""
        values = {field.name: getattr(self, field.name) for field in fields.TABLE}
        return values | {"path": tuple(stop._asdict() for stop in self.path)}

    def text(self) -> str:
        """``canonical`` as JSON: what is stored."""
        return _json(self.canonical())

    def job_id(self) -> str:
        """SHA-256 (hex) of what makes this payload's video: its fields and the engine."""
        said = {
            name: value
            for name, value in self.canonical().items()
            if fields.BY_NAME[name].original or value != fields.BY_NAME[name].before
        }
        return hashlib.sha256(_json({"engine": ENGINE, "payload": said}).encode()).hexdigest()

    @classmethod
    def from_canonical(cls, values: JsonObject) -> Payload:
        """The payload that ``canonical`` described, whatever the limits are now.

        Raises:
            PayloadError: it is no payload.
        """
        return _validated(fields.of_before(values), _NO_LIMITS)


@lru_cache(16)
def _camera_path(path: tuple[Stop, ...], fps: str, width: int, height: int) -> CameraPath:
    return CameraPath(path, stops.frames_of(path, Fraction(fps)), width, height)


def _json(value: JsonObject) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


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
    if any(isinstance(value, float) for value in obj.values()):
        raise TypeError("a float has lost digits; read the payload with protocol.strict_json")
    payload = _validated(obj, limits)
    if payload.keep_strips and payload.sampling != SHARED:
        raise PayloadError(
            "CONFLICT",
            f'keep_strips: only sampling "{SHARED}" has strips; ask for that, or leave keep_strips out',
            field="keep_strips",
        )
    _check_times(payload)
    if payload.num_frames > limits.max_frames:
        _too_big(payload, f"{limits.max_frames} frames are", "num_frames", limits.max_frames)
    if payload.samples > limits.max_pixels:
        _too_big(payload, f"{limits.max_pixels} are", None, limits.max_pixels)
    for zoom in payload.shared_zooms:
        _refuse_too_dense(payload, zoom)
    if not encodable(payload.frame_width, payload.frame_height):
        width, height = nearest(payload.frame_width, payload.frame_height)
        raise PayloadError(
            "OUT_OF_RANGE",
            f"frame_width, frame_height: frames of {payload.frame_width}x{payload.frame_height} pixels cannot be "
            f"encoded here; the largest of this shape are {width}x{height}",
            field="frame_width",
            limit={"frame_width": width, "frame_height": height},
        )
    coding.check_level(payload.codec, payload.frame_width, payload.frame_height, Fraction(payload.fps))
    return payload


def _check_times(payload: Payload) -> None:
    """Refuses ramps that take more than all the time, and ends that are held for longer than the film lasts."""
    half = Fraction(payload.easing) / 2
    ramps = (half if ease == AUTO else Fraction(ease) for ease in (payload.ease_start, payload.ease_end))
    if sum(ramps) > 1:
        raise PayloadError(
            "CONFLICT",
            f"ease_start, ease_end: speeding up and slowing down take {float(sum(payload.ramps)):g} of the time; "
            "they may take 1 together",
            field="ease_start",
        )
    held = sum(payload.held)
    if held and held > payload.num_frames - 2:
        raise PayloadError(
            "CONFLICT",
            f"hold_start, hold_end: {held} frames would be held, which num_frames includes; ask for "
            f"{held + 2} frames at least, not {payload.num_frames}",
            field="num_frames",
            limit={"min": held + 2},
        )


def _refuse_too_dense(payload: Payload, zoom: Zoom) -> None:
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
    for name in obj:
        if name not in fields.BY_NAME:
            raise _payload_error(unknown_field(name, fields.BY_NAME))
    obj, values = fields.without_look(obj), {}
    for field in fields.TABLE:
        try:
            values[field.name] = field.check(_as_sent(obj.get(field.name, field.default)), limits)
        except PayloadError as error:
            raise PayloadError(
                error.code, f"{field.name}: {error.message}", field=field.name, limit=error.limit
            ) from None
    if path := values["path"]:
        values |= _following(path, values, obj)
    values |= coding.settled(*(values[name] for name in _CODING))  # type: ignore[arg-type]  # checked above
    return Payload(**values)  # type: ignore[arg-type]  # each check gives what its field holds


def _following(path: Any, values: JsonObject, given: JsonObject) -> JsonObject:
    """The fields that follow from a path; refuses others than these, and a camera beside it."""
    followed = stops.follow(path, Fraction(values["fps"]))
    for name, value in followed.items():
        if name in given and values[name] != value:
            raise PayloadError(
                "CONFLICT",
                f"{name}: the path makes it {_shown(value)}; leave {name} out, or change the path",
                field=name,
                limit=value if name == "num_frames" else None,
            )
    for name in stops.OWN:
        if values[name] != fields.BY_NAME[name].default:
            raise PayloadError(
                "CONFLICT",
                f"{name}: each stop of a path has its own rotation, easing and hold; leave {name} out",
                field=name,
            )
    return followed


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _payload_error(error: MandelError) -> PayloadError:
    return PayloadError(error.code, error.message, field=error.field, limit=error.limit)

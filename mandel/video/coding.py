"""How a film is encoded: its codec, quality and container, what an encoder is told, and what its levels allow.

A segment begins with a key picture and refers to no picture outside. Its packets come in the order in which they are
shown. So segments are joined by copying (``join.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mandel.errors import PayloadError
from mandel.plan.picture import RGB, RGB10, YUV420

if TYPE_CHECKING:  # the client loads this module, and starts sooner without
    from fractions import Fraction

AUTO = "auto"
QUALITIES = DRAFT, GOOD, BEST, LOSSLESS = "draft", "good", "best", "lossless"
CONTAINERS = MP4, MOV, MKV = "mp4", "mov", "mkv"
H264, HEVC, AV1, PRORES, FFV1, PNG = "h264", "hevc", "av1", "prores", "ffv1", "png"

# ffmpeg's names of the layouts of plan/picture.py.
RAW_FORMATS = {YUV420: "yuv420p", RGB: "rgb24", RGB10: "x2bgr10le"}

_PRIMARIES = "color_primaries=bt709:color_trc=bt709"
_YUV_TAGS = f"setparams={_PRIMARIES}:colorspace=bt709:range=tv"
_RGB_TAGS = f"setparams={_PRIMARIES}:colorspace=gbr:range=pc"
# By zimg: swscale turns a white of 1023 into 943 instead of 940.
_TO_YUV = (
    "format=gbrp10le,zscale=matrixin=gbr:rangein=full:primariesin=709:transferin=709"
    ":matrix=709:range=limited:primaries=709:transfer=709,"
)
_MEGA = 10**6


@dataclass(frozen=True)
class Coding:
    """How all segments of a film are encoded. ``of`` makes it.

    Attributes:
        codec, quality, container: as the payload's fields of these names.
        bits: of each channel, 8 or 10.
        crf: constant rate factor, smaller is better; None for codecs without one.
        max_bitrate: ceiling in Mbit/s, a decimal text; "0" is none.
        key_interval: the most frames from one key picture to the next; players seek to key pictures.
    """

    codec: str = H264
    quality: str = GOOD
    container: str = MP4
    bits: int = 8
    crf: int | None = 20
    max_bitrate: str = "0"
    key_interval: int = 60

    @property
    def layout(self) -> str:
        """The layout of the pictures that are encoded."""
        if self.bits == 10:
            return RGB10
        return RGB if self.quality == LOSSLESS else YUV420

    @property
    def is_stream(self) -> bool:
        """Whether a segment is a bare H.264 byte stream; others are Matroska files."""
        return self.codec == H264 and self.quality != LOSSLESS

    def arguments(self) -> list[str]:
        """What ffmpeg is told between its input and its output."""
        return _CODECS[self.codec].arguments(self) + self._common()

    def _common(self) -> list[str]:
        told = ["-threads", "1", "-g", "1" if self.codec == FFV1 else str(self.key_interval)]
        if self.crf is not None:
            told += ["-crf", str(self.crf)]
        if self.max_bitrate != "0":
            # A buffer of one second is within the level that allows the rate.
            bits = str(_exactly(self.max_bitrate, _MEGA))
            told += ["-maxrate", bits, "-bufsize", bits]
        return told


DEFAULT = Coding()


class _Level(NamedTuple):
    """The highest level of a codec: pixels of a frame, its sides, pixels a second, Mbit/s."""

    pixels: int
    width: int
    height: int
    rate: int
    megabits: int


class _Codec(NamedTuple):
    """What a codec can do here.

    Attributes:
        containers, bits: the first is the default.
        crf: by quality; no factor means that the quality alone decides.
        most_crf: the largest factor.
        qualities: those that it has.
        least_side: pixels.
        level: None: frames of any size and rate.
        common: the highest level that decoders in hardware commonly have, if they stop below ``level``.
        least_width: pixels, where that is more than ``least_side``.
        arguments: what ffmpeg is told of a coding, but for what all have in common.
    """

    containers: tuple[str, ...]
    bits: tuple[int, ...]
    crf: dict[str, int]
    most_crf: int
    qualities: tuple[str, ...]
    least_side: int
    level: _Level | None
    arguments: Callable[[Coding], list[str]]
    common: _Level | None = None
    least_width: int = 0


def _h264(coding: Coding) -> list[str]:
    if coding.quality == LOSSLESS:
        return [
            *(
                "-vf",
                _RGB_TAGS,
                "-c:v",
                "libx264rgb",
                "-preset",
                "ultrafast",
                "-qp",
                "0",
                "-pix_fmt",
                "rgb24",
            ),
            *("-bf", "0", "-x264-params", "open-gop=0:scenecut=0"),
        ]
    # Without these dark flats show steps: coarse quantizers and the macroblock tree drop the dithering.
    preset, options = {
        DRAFT: ("ultrafast", ":aq-mode=3:aq-strength=0.2"),
        GOOD: ("ultrafast", ":8x8dct=1:partitions=i4x4,i8x8"),
        BEST: ("veryfast", ":aq-mode=0:mbtree=0"),
    }[coding.quality]
    return [
        *("-vf", _YUV_TAGS, "-c:v", "libx264", "-preset", preset, "-pix_fmt", "yuv420p"),
        *("-bf", "0", "-flags", "+cgop", "-x264-params", "open-gop=0:scenecut=0:aud=1" + options),
    ]


def _hevc(coding: Coding) -> list[str]:
    # One thread in all: the machine's other cores render.
    options = "log-level=error:bframes=0:open-gop=0:scenecut=0:pools=none:frame-threads=1:wpp=0:info=0"
    if coding.quality == LOSSLESS:
        preset, options, tags = "ultrafast", options + ":lossless=1", _RGB_TAGS
        depth = "gbrp" if coding.bits == 8 else "gbrp10le"
    else:
        preset = {DRAFT: "ultrafast", GOOD: "superfast", BEST: "medium"}[coding.quality]
        tags, depth = _to_yuv(coding), "yuv420p" if coding.bits == 8 else "yuv420p10le"
    return ["-vf", tags, "-c:v", "libx265", "-preset", preset, "-pix_fmt", depth, "-x265-params", options]


def _av1(coding: Coding) -> list[str]:
    preset = {DRAFT: "12", GOOD: "10", BEST: "6"}[coding.quality]
    depth = "yuv420p" if coding.bits == 8 else "yuv420p10le"
    return [
        *("-vf", _to_yuv(coding), "-c:v", "libsvtav1", "-preset", preset, "-pix_fmt", depth),
        *("-svtav1-params", "lp=1"),
    ]


def _prores(coding: Coding) -> list[str]:
    profile, depth = {
        DRAFT: ("1", "yuv422p10le"),
        GOOD: ("2", "yuv422p10le"),
        BEST: ("4", "yuv444p10le"),
    }[coding.quality]
    # LT, 422 and 4444. prores_ks takes eight times as long, to keep to rates at which dense places look bad.
    return [
        *("-vf", _to_yuv(coding), "-c:v", "prores_aw", "-profile:v", profile, "-pix_fmt", depth),
    ]


def _ffv1(coding: Coding) -> list[str]:
    depth = "bgr0" if coding.bits == 8 else "gbrp10le"
    return ["-vf", _RGB_TAGS, "-c:v", "ffv1", "-level", "3", "-slicecrc", "1", "-pix_fmt", depth]


def _png(coding: Coding) -> list[str]:
    # Each row is predicted from its own left neighbours, which the client undoes for a preview.
    depth = "rgb24" if coding.bits == 8 else "rgb48be"
    return ["-vf", _RGB_TAGS, "-c:v", "png", "-compression_level", "4", "-pred", "sub", "-pix_fmt", depth]


def _to_yuv(coding: Coding) -> str:
    return _YUV_TAGS if coding.layout == YUV420 else _TO_YUV + _YUV_TAGS


# The highest levels: ITU-T H.264 table A-1 (6.2, High), H.265 tables A.8 and A.9 (6.2, High tier), AV1 annex A (6.3).
# x264 takes frames beyond its levels too, which decoders in software show; ``word`` tells of them.
_CODECS = {
    H264: _Codec(
        (MP4, MOV, MKV),
        (8,),
        {DRAFT: 26, GOOD: 20, BEST: 14},
        51,
        QUALITIES,
        2,
        _Level(139_264 * 256, 16_880, 16_880, 16_711_680 * 256, 1_000),
        _h264,
        _Level(36_864 * 256, 8_688, 8_688, 2_073_600 * 256, 300),  # 5.2
    ),
    HEVC: _Codec(
        (MP4, MOV, MKV),
        (10, 8),
        {DRAFT: 28, GOOD: 22, BEST: 14},
        51,
        QUALITIES,
        16,
        _Level(35_651_584, 16_888, 16_888, 4_278_190_080, 800),
        _hevc,
        # x265 of ten bits writes beyond its buffers, and mostly crashes, where frames are 40 to 48 pixels wide.
        least_width=64,
    ),
    AV1: _Codec(
        (MP4, MKV),
        (10, 8),
        {DRAFT: 40, GOOD: 30, BEST: 20},
        63,
        (DRAFT, GOOD, BEST),
        16,  # SVT-AV1 crashes over frames of up to 8x8 pixels
        _Level(35_651_584, 16_384, 8_704, 4_278_190_080, 800),
        _av1,
    ),
    PRORES: _Codec((MOV, MKV), (10,), {}, 0, (DRAFT, GOOD, BEST), 2, None, _prores),
    FFV1: _Codec((MKV, MOV), (8, 10), {}, 0, (LOSSLESS,), 2, None, _ffv1),
    PNG: _Codec((MOV, MKV), (8, 10), {}, 0, (LOSSLESS,), 2, None, _png),
}
CODECS = tuple(_CODECS)
# Those that encode each picture on its own.
INTRA = frozenset({PRORES, FFV1, PNG})
# CPU seconds that encoding takes for a pixel: docs/video.md's table, between dense and calm places.
SECONDS = {
    (codec, quality): seconds * 1e-9
    for codec, found in {
        H264: (11, 14, 31, 33),
        HEVC: (86, 162, 223, 235),
        AV1: (55, 64, 186, 0),
        PRORES: (35, 33, 42, 0),
        FFV1: (0, 0, 0, 47),
        PNG: (0, 0, 0, 41),
    }.items()
    for quality, seconds in zip(QUALITIES, found, strict=True)
}


def of(codec: str, quality: str, container: str, bits: int | str, crf: int | str, max_bitrate: str) -> Coding:
    """The coding that the payload's fields ask for; AUTO stands for what follows from the others.

    Raises:
        PayloadError: CONFLICT when the codec has no such quality, container or depth, or nothing to adjust.
    """
    own = _CODECS[codec]
    if own.qualities == (LOSSLESS,):
        quality = LOSSLESS
    if quality not in own.qualities:
        others = [name for name, other in _CODECS.items() if quality in other.qualities]
        raise _conflict(
            "quality", f"{codec} has no quality {quality}; choose codec {_or(others)}", list(own.qualities)
        )
    container = own.containers[0] if container == AUTO else container
    if container not in own.containers:
        raise _conflict(
            "container",
            f"{codec} is not put into {container}; choose {_or(own.containers)}",
            list(own.containers),
        )
    bits = own.bits[0] if bits == AUTO else bits
    if bits not in own.bits:
        raise _conflict(
            "bits",
            f"{codec} has {_or(own.bits)} bits here, not {bits}",
            list(own.bits),
        )
    factor = None if quality == LOSSLESS else own.crf.get(quality)
    if crf != AUTO and factor is None:
        raise _conflict("crf", f"{codec} of quality {quality} has no crf; leave it out, or choose another")
    if crf != AUTO and isinstance(crf, int):
        if crf > own.most_crf:
            raise _conflict(
                "crf", f"{codec} takes a crf of {own.most_crf} at most, not {crf}", {"max": own.most_crf}
            )
        factor = crf
    if max_bitrate != "0":
        if factor is None or own.level is None:
            raise _conflict(
                "max_bitrate", f"{codec} of quality {quality} cannot keep a ceiling; leave max_bitrate out"
            )
        if _exactly(max_bitrate, _MEGA) > own.level.megabits * _MEGA:
            raise _conflict(
                "max_bitrate",
                f"no level of {codec} allows {max_bitrate} Mbit/s, but {own.level.megabits} at most; "
                "0 stands for no ceiling",
                {"max": own.level.megabits},
            )
    return Coding(codec, quality, container, int(bits), factor, max_bitrate)


def container(codec: object, named: object) -> str:
    """The container of a film, from the payload's fields as they were sent; mp4 if they are wrong or missing."""
    if named in CONTAINERS:
        return str(named)
    return _CODECS[codec].containers[0] if isinstance(codec, str) and codec in _CODECS else MP4


def settled(
    codec: str, quality: str, container: str, bits: int | str, crf: int | str, max_bitrate: str
) -> dict[str, int | str]:
    """The same fields in their one form: what follows from the others is AUTO. Raises as ``of``."""
    coding, own = of(codec, quality, container, bits, crf, max_bitrate), _CODECS[codec]
    return {
        "quality": coding.quality,
        "container": AUTO if coding.container == own.containers[0] else coding.container,
        "bits": AUTO if coding.bits == own.bits[0] else coding.bits,
        "crf": AUTO if coding.crf == own.crf.get(coding.quality) or coding.crf is None else coding.crf,
    }


def check_level(codec: str, width: int, height: int, fps: Fraction) -> None:
    """Refuses frames that no level of a codec allows.

    Raises:
        PayloadError: OUT_OF_RANGE.
    """
    own = _CODECS[codec]
    if not _is_large_enough(own, width, height):
        raise PayloadError(
            "OUT_OF_RANGE",
            f"frame_width, frame_height: {codec} needs {max(own.least_side, own.least_width)} pixels across and "
            f"{own.least_side} down at least, not {width}x{height}; choose codec {_or(_that_take(width, height, fps))}",
            field="frame_width",
            limit={"min": max(own.least_side, own.least_width)},
        )
    if codec != H264 and not _fits(own.level, width, height, fps):
        raise PayloadError(
            "OUT_OF_RANGE",
            f"frame_width, frame_height: no level of {codec} allows {width}x{height} at {float(fps):g} frames "
            f"per second; choose codec {_or(_that_take(width, height, fps))}, or smaller frames",
            field="frame_width",
            limit={"pixels": own.level.pixels, "pixels a second": own.level.rate} if own.level else None,
        )


def word(codec: str, width: int, height: int, fps: Fraction) -> str:
    """What to tell who asks for frames that few devices play in this codec; "" if all is well."""
    own = _CODECS.get(codec)
    if own is None or own.common is None or _fits(own.common, width, height, fps):
        return ""
    others = [name for name in _that_take(width, height, fps) if name != codec]
    what = (
        "few devices play"
        if _fits(own.level, width, height, fps)
        else "no level allows, and few players show,"
    )
    return (
        f"note: {what} {codec} of {width}x{height} at {float(fps):g} frames per second; "
        f"codec {_or(others)} suits them better"
    )


def _that_take(width: int, height: int, fps: Fraction) -> list[str]:
    return [
        name
        for name, own in _CODECS.items()
        if _is_large_enough(own, width, height) and _fits(own.level, width, height, fps)
    ]


def _is_large_enough(own: _Codec, width: int, height: int) -> bool:
    return min(width, height) >= own.least_side and width >= own.least_width


def _fits(level: _Level | None, width: int, height: int, fps: Fraction) -> bool:
    pixels = width * height
    return level is None or (
        width <= level.width
        and height <= level.height
        and pixels <= level.pixels
        and pixels * fps <= level.rate
    )


def _exactly(text: str, times: int) -> int:
    from fractions import Fraction

    return int(Fraction(text) * times)


def _conflict(field: str, message: str, limit: object = None) -> PayloadError:
    return PayloadError("CONFLICT", f"{field}: {message}", field=field, limit=limit)


def _or(words: object) -> str:
    *others, last = map(str, words)  # type: ignore[call-overload]
    return f"{', '.join(others)} or {last}" if others else last

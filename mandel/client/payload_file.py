"""What is asked for: the payload file with the options' fields in it, and notes for who asks."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from mandel.client import place_file
from mandel.errors import RequestError
from mandel.payload import fields, stops
from mandel.payload.decimal_text import Exact, Number, exact
from mandel.payload.fields import JsonObject
from mandel.settings import PayloadLimits
from mandel.terminal.format import printable, typed
from mandel.video import coding

DEFAULT_PAYLOAD = Path("payload.json")

_DELTAS = ("start_delta", "end_delta")
_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
# What a zoom shows; a file's maxiter was made for that.
_PLACE = ("point", *_DELTAS, "path")
_SHOWN = 24
# Of a preview: pixels of a frame's longer side, frames, and the least rate that a payload may have.
_SHOWN_SIDE, _MOST_SHOWN, _SLOWEST = 320, 100, 0.01
# A point of fewer decimals was hardly cut off: -1.25, 0.25.
_LEAST_DECIMALS = 5


def add_field_options(parser: argparse.ArgumentParser) -> None:
    """One option for each field of the payload, and ``--set``."""
    group = parser.add_argument_group("fields of the payload (they win over the file's)")
    for field in fields.TABLE:
        group.add_argument(
            "--" + field.name.replace("_", "-"),
            dest=f"field_{field.name}",
            metavar=field.kind.upper(),
            help=f"{field.help} (default {_default(field)})",
        )
    group.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="any field, by name")


def _default(field: fields.Field) -> str:
    return "none" if field.default in ("", ()) else str(field.default).lower()


def field_words(args: argparse.Namespace) -> list[str]:
    """The words of a command line that give the same fields again."""
    given = {field.name: getattr(args, f"field_{field.name}") for field in fields.TABLE}
    words = [f"--{name.replace('_', '-')}={text}" for name, text in given.items() if text is not None]
    return words + [f"--set={pair}" for pair in args.set]


def payload(args: argparse.Namespace) -> tuple[JsonObject, list[str]]:
    """The payload to send, and lines for the person who sends it.

    A file's ``maxiter`` was made for the file's own place: where options name another point or delta and no
    ``maxiter``, it is left out, so that the service finds one.

    Raises:
        RequestError: no such file, or neither a payload nor a place in it; a point that is none; a bad option.
    """
    given = changes(args)
    named = bool(args.payload)
    base, told = _of_file(args.payload, given)
    colours = fields.without_look(given) if given.get("look") else {}  # a look wins over the file's colours
    base = _without_followed(base, given)
    asked = place_file.tidied(base | colours | given)
    named_by_output = named_container(args)
    usual = coding.container(asked.get("codec"), None)
    if named_by_output not in (None, usual) and asked.get("container", "auto") == "auto":
        asked["container"] = named_by_output  # one that the codec does not go into is refused
    if not named:
        file = DEFAULT_PAYLOAD if base else "the service's default payload"
        told.append(f"sending {file}" + (f" with {_listed(given)}" if given else ""))
    limit = base.get("maxiter")
    if isinstance(limit, Number) and "maxiter" not in given and any(name in given for name in _PLACE):
        del asked["maxiter"]
        shown = _shown(limit)
        told.append(
            f"maxiter {shown} of {args.payload or DEFAULT_PAYLOAD} was made for another place and is left out: the "
            f"service finds one (--maxiter {shown} keeps it)"
        )
    return asked, told + _warnings(asked) + _level_warnings(asked) + _without_effect(asked)


def _without_followed(base: JsonObject, given: JsonObject) -> JsonObject:
    """A file's fields without those that follow from a path, where options change what they follow from."""
    dropped = set(stops.FOLLOWING) if "path" in given or ("path" in base and "fps" in given) else set()
    dropped |= set(stops.OWN) if "path" in given else set()
    return {name: value for name, value in base.items() if name not in dropped}


def _stops(asked: JsonObject) -> tuple[stops.Stop, ...]:
    """The stops of a payload's path; none where the service will refuse them."""
    try:
        return stops.path(asked.get("path", ()), PayloadLimits())
    except RequestError:
        return ()


def preview(asked: JsonObject, count: int) -> JsonObject:
    """The payload of a film of ``count`` small frames along a zoom; 1 to 100.

    What does not show in them is left out, so that films that differ in it alone share a preview.

    Raises:
        RequestError: BAD_OPTION.
    """
    if not 1 <= count <= _MOST_SHOWN:
        raise RequestError("BAD_OPTION", f"--preview {count}: ask for 1 to {_MOST_SHOWN} frames")
    sides = []
    for name in ("frame_width", "frame_height"):
        value = asked.get(name, fields.BY_NAME[name].default)
        text = value.text if isinstance(value, Number) else str(value)
        if not re.fullmatch("[1-9][0-9]{0,5}", text):
            return asked  # the service says what is wrong
        sides.append(int(text))
    share = min(1.0, _SHOWN_SIDE / max(sides))
    width, height = (max(2, round(side * share / 2) * 2) for side in sides)
    left_out = {field.name for field in fields.TABLE if field.film_only}
    return {name: value for name, value in asked.items() if name not in left_out} | {
        **_few_frames(asked, count),
        "frame_width": Number(str(width)),
        "frame_height": Number(str(height)),
        "codec": coding.PNG,
    }


def _few_frames(asked: JsonObject, count: int) -> JsonObject:
    """The fields that make ``count`` frames of a zoom, or all if it has fewer; of a path that many, evenly in time."""
    if path := _stops(asked):
        seconds = sum(float(stop.time) + float(stop.hold) for stop in path)
        fps = max((count - 1) / seconds, _SLOWEST)
        followed: JsonObject = {"fps": f"{fps:.9f}"}
        if round(seconds * fps) >= count:  # too many at the least rate: the camera goes faster
            share = (count - 1) / (seconds * fps)
            followed["path"] = json.dumps([_faster(stop, share) for stop in path])
        return followed
    frames = asked.get("num_frames", fields.BY_NAME["num_frames"].default)
    text = frames.text if isinstance(frames, Number) else str(frames)
    most = int(text) if re.fullmatch("[1-9][0-9]{0,5}", text) else count
    return {"num_frames": Number(str(min(count, most)))}


def _faster(stop: stops.Stop, share: float) -> dict[str, str]:
    """A stop with a share of its times, as JSON."""
    time = f"{max(float(stop.time) * share, 0.1):.9f}" if stop.time != "0" else "0"
    return stop._asdict() | {"time": time, "hold": f"{float(stop.hold) * share:.9f}"}


def named_container(args: argparse.Namespace) -> str | None:
    """The container that the name of the output asks for; a sheet of previews is no film."""
    suffix = args.output.suffix[1:].lower() if args.output is not None and args.preview is None else ""
    return suffix if suffix in coding.CONTAINERS else None


def source(args: argparse.Namespace) -> str | None:
    """The file whose fields are taken, as it was named; None: there is none, or it is standard input."""
    if args.payload:
        return None if args.payload == "-" else str(args.payload)
    return str(DEFAULT_PAYLOAD) if DEFAULT_PAYLOAD.exists() else None


def named_after(file: str | None, ending: str, otherwise: str = "zoom") -> Path:
    """What is made of a file, where it is given no name: FILE.ending here; FILE-again where that is the file itself.

    Args:
        otherwise: the name where there is no file.
    """
    if file is None:
        return Path(otherwise + ending)
    given = Path(file if Path(file).exists() else file.partition("#")[0])
    made = Path(given.stem + ending)
    return made if made.resolve() != given.resolve() else Path(f"{given.stem}-again{ending}")


def _of_file(name: str | None, given: JsonObject) -> tuple[JsonObject, list[str]]:
    """The fields that the named file gives, or payload.json if that is there, and what to say about them."""
    if not name and not DEFAULT_PAYLOAD.exists():
        return {}, []
    base, found = place_file.content(name or str(DEFAULT_PAYLOAD))
    return (
        place_file.zoom_fields(found, name or str(DEFAULT_PAYLOAD), given)
        if found is not None
        else (base, [])
    )


def changes(args: argparse.Namespace) -> JsonObject:
    """The fields given as options, as JSON values; no digit is lost."""
    given = {f.name: getattr(args, f"field_{f.name}") for f in fields.TABLE}
    for pair in args.set:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise RequestError("BAD_OPTION", f"--set {pair}: write --set FIELD=VALUE")
        given[name] = text
    return {name: _field(name, text) for name, text in given.items() if text is not None}


def _field(name: str, text: str) -> Number | str | bool:
    field = fields.BY_NAME.get(name)
    if field is not None and field.kind == fields.FLAG:
        return {"true": True, "false": False}.get(text, text)
    return text if field is not None and field.kind == fields.TEXT else number(text)


def number(text: str) -> Number | str:
    """A JSON number, if the text is one."""
    return Number(text) if _JSON_NUMBER.fullmatch(text) else text


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return printable(value.text if isinstance(value, Number) else value, _SHOWN)


def _listed(given: JsonObject) -> str:
    return ", ".join(f"{printable(name, _SHOWN)}={_shown(value)}" for name, value in given.items())


def _exact(value: object) -> Exact | None:
    """A field's number; None where the service will refuse it."""
    text = value.text if isinstance(value, Number) else value
    return exact(text) if isinstance(text, str) else None


def _deepest(asked: JsonObject) -> int:
    """The magnitude of the smaller delta: -9 from 1e-9 to just below 1e-8."""
    values = [_exact(asked.get(name, fields.BY_NAME[name].default)) for name in _DELTAS]
    return min((value.magnitude for value in values if value is not None and value.digits), default=0)


def _decimals(text: str) -> int:
    """Decimals of a number's text, those that are 0 at its end as well."""
    value = exact(text)
    fraction = re.split("[eE]", text)[0].partition(".")[2]
    zeros = len(fraction) - len(fraction.rstrip("0"))
    return max(zeros - value.exponent, 0) if value is not None and value.digits else len(fraction)


def _level_warnings(asked: JsonObject) -> list[str]:
    """Says when few devices would play the film, and which codec suits its frames better."""
    values = {
        name: asked.get(name, fields.BY_NAME[name].default) for name in ("frame_width", "frame_height", "fps")
    }
    texts = [value.text if isinstance(value, Number) else str(value) for value in values.values()]
    if not all(re.fullmatch("[0-9]{1,6}(/[0-9]{1,6}|[.][0-9]{1,6})?", text) for text in texts):
        return []  # the service says what is wrong, or the film is unusual
    from fractions import Fraction

    try:
        width, height, fps = map(Fraction, texts)
    except ZeroDivisionError:
        return []
    word = coding.word(str(asked.get("codec", fields.BY_NAME["codec"].default)), int(width), int(height), fps)
    return [word] if word else []


def _without_effect(asked: JsonObject) -> list[str]:
    """Says which fields of one kind of sampling are given with the other, and do nothing there."""
    names = ("sampling", "supersampling", "supersampling_mode", "strip_density")
    values = {name: asked.get(name, fields.BY_NAME[name].default) for name in names}
    sampling, along, mode, density = (_shown(value) for value in values.values())
    if sampling == fields.EXACT:
        told = []
        if exact(density) not in (None, exact(str(fields.BY_NAME["strip_density"].default))):
            told.append(
                f"note: strip_density {density} has no effect, as it is of sampling shared; this film's is exact, "
                "where --supersampling makes more samples"
            )
        if mode == fields.ADAPTIVE and along == "1":
            told.append(
                "note: supersampling_mode adaptive has no effect with supersampling 1; ask for 2 to 4"
            )
        return told
    if sampling != fields.SHARED or along not in ("2", "3", "4"):
        return []
    path = _stops(asked)
    if not path or stops.is_one_zoom(path):
        where = "has no effect with sampling shared: all frames are made from strips"
    elif along == "4":
        where = "counts for frames about the tops of the path's curves alone: all others are made from strips"
    else:
        where = "has no effect with sampling shared: frames that are not made from strips have 3 already"
    return [f"note: supersampling {along} {where}; --strip-density makes these denser"]


def _warnings(asked: JsonObject) -> list[str]:
    """Says when the zoom goes deeper than its point was written down, if that may have been cut off.

    Of others the service finds out whether their frames are flat.
    """
    views = [(stop.point, {"start_delta": stop.delta, "end_delta": stop.delta}) for stop in _stops(asked)]
    told = (
        _cut_off(*view) for view in views or [(asked.get("point", fields.BY_NAME["point"].default), asked)]
    )
    return list(filter(None, told))[:1]


def _cut_off(point: object, asked: JsonObject) -> str:
    """What ``_warnings`` says of one point and its deltas."""
    deepest = _deepest(asked)
    parts = [part.strip(" ") for part in point.split(",")] if isinstance(point, str) else []
    if len(parts) != 2 or any(exact(part) is None for part in parts):
        return ""  # the service says what is wrong
    decimals = max(map(_decimals, parts))
    if decimals < _LEAST_DECIMALS or deepest >= -decimals:
        return ""
    return (
        f"note: the point has {decimals} decimals, the zoom ends near 1e{deepest}. If the point was rounded, "
        f"frames beyond about 1e-{decimals - 1} may show one flat colour; `{typed('locate')}` finds a centre with "
        "all digits"
    )

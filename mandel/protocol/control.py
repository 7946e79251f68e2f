"""The messages between head and driver: a dataclass each, and the one way to write and to read them.

An ``Order`` goes to the driver, an ``Event`` comes from it. Each is a JSON object in a line of its own; its member
``do`` or ``event`` is the name of the message, the others are its fields. A field that has a default may be missing
or null. Fields that a message does not have are passed over. docs/design.md has tables that are made from here.

The driver unpickles what workers return, so the head does not take its word on trust. Every event is checked whole
before anything is done. Above all no text of it becomes a path, but a name of a file in the folder that the driver
was given for a job. What is wrong costs the job that it is about an attempt; if it is about none, the driver is
replaced.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_type_hints

from mandel.errors import RenderError

LARGE = 2**62
_M = TypeVar("_M")
_LONGEST_MESSAGE = 1 << 20  # characters; a compiler says much
_MOST = 100_000  # of what is listed
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,39}")
_ID = re.compile(r"[0-9a-f]{64}")


def address(client: str) -> str:
    """Where a client, NAME@ADDRESS or ADDRESS, is."""
    return client.rpartition("@")[2]


# -- what a field may hold -------------------------------------------------

Check = Callable[[object], bool]


class Kind(NamedTuple):
    """What a field may hold.

    Attributes:
        name: what docs/design.md calls it.
        check: whether a value that came as JSON is one.
        made: what the message has in place of that value.
    """

    name: str
    check: Check
    made: Callable[[Any], Any] = lambda value: value


def _text(most: int = 400) -> Check:
    return lambda value: isinstance(value, str) and len(value) <= most


def _whole(low: int = 0) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= LARGE


def _matches(pattern: re.Pattern[str]) -> Check:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LARGE


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _object(value: object) -> bool:
    return isinstance(value, dict)


def _counts(value: object) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= _MOST
        and all(_text()(name) and _number(count) for name, count in value.items())
    )


def _list_of(check: Check, most: int = _MOST) -> Check:
    return lambda value: isinstance(value, list) and len(value) <= most and all(map(check, value))


class _May:
    """What may be missing or null."""

    def __init__(self, check: Check):
        self._check = check

    def __call__(self, value: object) -> bool:
        return value is None or self._check(value)


def _wrong(value: dict[str, Any], row: dict[str, Check]) -> str | None:
    """The first member that is missing or not what it must be."""
    for name, check in row.items():
        if (name not in value and not isinstance(check, _May)) or not check(value.get(name)):
            return name
    return None


def _members(row: dict[str, Check]) -> Check:
    return lambda value: isinstance(value, dict) and _wrong(value, row) is None


def _only(row: dict[str, Check]) -> Check:
    """These members, and no others: what is kept and told as it is."""
    return lambda value: isinstance(value, dict) and value.keys() <= row.keys() and _wrong(value, row) is None


def _share(value: object) -> bool:
    return _number(value) and value <= 1  # type: ignore[operator] # it is a number


def _pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_text(40), value))


# What mandel/notes.py takes (_FOUND), and what it gives (NOTES).
_FOUND = _only(
    {
        "flat": _flag,
        "auto": _flag,
        "reached": _May(_share),
        "late": _May(_share),
        "maxiter": _May(_whole()),
        "delta": _May(_text(40)),
        "decimals": _May(_whole()),
    }
)
_LIMIT = {"maxiter": _whole(), "auto": _flag}
_RUN = {"frames": _whole(1), "first": _whole(), "last": _whole()}
_FLAT: dict[str, Check] = {
    "deltas": _pair,
    "inside": _whole(),
    "maxiter": _May(_whole()),
    "auto": _flag,
    "decimals": _whole(),
}
NOTES = _only(
    {
        "reached": _May(_only({"frame": _whole(), "share": _share, "maxiter": _whole()})),
        "short": _May(_only({**_RUN, **_LIMIT, "frame": _whole(), "share": _share, "missing": _share})),
        "flat": _May(_only({**_RUN, **_FLAT})),
        "gave_up": _May(
            _only({"views": _whole(1), "delta": _text(40), "maxiter": _whole(), "reason": _text(1000)})
        ),
    }
)
_NODE = _members(
    {
        "id": _text(),
        "host": _May(_text()),
        "address": _May(_text()),
        "alive": _May(_flag),
        "resources": _May(_counts),
    }
)

Json = dict[str, Any]
JobId = Annotated[str, Kind("id", _matches(_ID))]
Digest = Annotated[str, Kind("hex", _matches(_ID))]
Code = Annotated[str, Kind("code", _matches(_CODE))]
Name = Annotated[str, Kind("text", _text(40))]
Text = Annotated[str, Kind("text", _text())]
LongText = Annotated[str, Kind("text", _text(_LONGEST_MESSAGE))]
FilePath = Annotated[str, Kind("path", _text(4096))]
Flag = Annotated[bool, Kind("flag", _flag)]
Number = Annotated[float, Kind("number", _number)]
Count = Annotated[int, Kind("≥ 0", _whole())]
FromOne = Annotated[int, Kind("≥ 1", _whole(1))]
Whole = Annotated[int, Kind("whole", _whole(-LARGE))]
Wholes = Annotated[list[int], Kind("list of whole", _list_of(_whole(-LARGE)))]
Payload = Annotated[Json, Kind("payload", _object)]
Nodes = Annotated[list[Json], Kind("list of `id`, `host`, `address`, `alive`, `resources`", _list_of(_NODE))]
Slots = Annotated[Mapping[str, float], Kind("number by kind", _counts)]
Range = Annotated[
    list[float], Kind("two numbers", lambda value: _list_of(_number)(value) and len(value) == 2)
]
Found = Annotated[Json, Kind("see notes.py", _FOUND)]
Notes = Annotated[Json, Kind("see notes.py", NOTES)]


class Field(NamedTuple):
    """A field of a message."""

    kind: Kind
    optional: bool


@cache
def fields_of(message: Any) -> dict[str, Field]:
    """The fields of a message, or of what a message lists."""
    hints = get_type_hints(message, include_extras=True)
    found = {}
    for field in fields(message):
        hint = hints[field.name]
        while not hasattr(hint, "__metadata__"):  # "... | None"
            hint = get_args(hint)[0]
        found[field.name] = Field(hint.__metadata__[0], field.default is not MISSING)
    return found


@cache
def _checks(message: Any) -> dict[str, Check]:
    return {
        name: _May(field.kind.check) if field.optional else field.kind.check
        for name, field in fields_of(message).items()
    }


def _made(message: Callable[..., _M], said: Json) -> _M:
    """A message, or what a message lists, of members that were checked."""
    known = {name: said[name] for name in fields_of(message) if said.get(name) is not None}
    return message(**{name: fields_of(message)[name].kind.made(value) for name, value in known.items()})


def _records(record: type) -> Kind:
    """A list of objects with the fields of ``record``."""
    return Kind(
        "list of " + ", ".join(f"`{name}`" for name in fields_of(record)),
        _list_of(_members(_checks(record)), LARGE),
        lambda rows: [_made(record, row) for row in rows],
    )


# -- orders: from the head to the driver ------------------------------------


@dataclass(frozen=True)
class SegmentFile:
    """A segment in DB/."""

    index: Count
    path: FilePath


@dataclass(frozen=True)
class StripFile:
    """A raw strip in DB/, or made for it; ``base`` is the level of its samples."""

    strip: Whole
    path: FilePath
    base: Whole
    bytes: Count
    sha256: Digest


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the head tells the driver."""


@dataclass(frozen=True, kw_only=True)
class JobOrder(Order):
    """What the head tells the driver of a job."""

    job: JobId


@dataclass(frozen=True, kw_only=True)
class Render(JobOrder):
    """Take the job on. `payload` is canonical; `segments` are the finished ones; `source` is the payload of the
    job whose `strips` it is made from, if it is another one. The driver writes into `tmp` and `cache`."""

    payload: Payload
    tmp: FilePath
    cache: FilePath | None = None
    segments: Annotated[list[SegmentFile], _records(SegmentFile)]
    source: Payload | None = None
    strips: Annotated[list[StripFile], _records(StripFile)]
    priority: Whole = 0
    client: LongText = ""


@dataclass(frozen=True, kw_only=True)
class Estimate(JobOrder):
    """Find out what `payload` would take; `job` is a name for it that no job has. `estimated` or `failed` answers.
    `source` and `strips` are as of `render`."""

    payload: Payload
    cache: FilePath | None = None
    source: Payload | None = None
    strips: Annotated[list[StripFile], _records(StripFile)]
    client: LongText = ""


@dataclass(frozen=True, kw_only=True)
class Adopted(JobOrder):
    """A segment is durable under this name: append it to the video."""

    index: Count
    path: FilePath


@dataclass(frozen=True, kw_only=True)
class Change(JobOrder):
    """Rank a running job anew."""

    priority: Whole
    client: LongText


@dataclass(frozen=True, kw_only=True)
class Cancel(JobOrder):
    """End the job; passed over if it has ended."""


@dataclass(frozen=True, kw_only=True)
class Stop(Order):
    """Finish the tasks in hand, for so long at most, and end."""

    seconds: Number = 0.0


# -- events: from the driver to the head ------------------------------------


@dataclass(frozen=True, kw_only=True)
class Event:
    """What the driver tells the head."""


@dataclass(frozen=True, kw_only=True)
class JobEvent(Event):
    """What the driver tells the head of a job."""

    job: JobId


@dataclass(frozen=True, kw_only=True)
class _TaskEvent(JobEvent):
    """What a task made: who made it, and in what time."""

    seconds: Number | None = None
    cpu_seconds: Number | None = None
    node: Text = ""
    host: Text = ""
    device: Text | None = None


@dataclass(frozen=True, kw_only=True)
class Alive(Event):
    """Every two seconds."""


@dataclass(frozen=True, kw_only=True)
class Ready(Event):
    """Tasks can run; without Ray `address` is empty. `joined`: it is a cluster that others began."""

    address: Text
    dashboard: Text | None = None
    joined: Flag = False
    nodes: Nodes


@dataclass(frozen=True, kw_only=True)
class Cluster(Event):
    """Every few seconds. `store`: bytes of the object store."""

    nodes: Nodes
    slots: Slots | None = None
    tasks: Count | None = None
    store: Count | None = None


@dataclass(frozen=True, kw_only=True)
class Unavailable(Event):
    """There is no cluster; the driver ends."""

    code: Code
    message: LongText


@dataclass(frozen=True, kw_only=True)
class Log(Event):
    """A line for the log."""

    level: Annotated[str, Kind("text", _text(20))]
    message: LongText


@dataclass(frozen=True, kw_only=True)
class Stage(JobEvent):
    """What frames wait for, such as the reference orbit."""

    stage: Name
    done: Count
    total: Count


@dataclass(frozen=True, kw_only=True)
class Left(JobEvent):
    """Seconds that a running job still takes; both are missing when that is not known."""

    least: Number | None = None
    most: Number | None = None


@dataclass(frozen=True, kw_only=True)
class Estimated(JobEvent):
    """What a payload would take, each as [least, most]; `rendering` and `encoding` are parts of `cpu_seconds`.
    `bytes` is missing where samples are too dear to encode some of them."""

    seconds: Range
    cpu_seconds: Range
    bytes: Range | None = None
    rendering: Number
    encoding: Number
    slots: Slots


@dataclass(frozen=True, kw_only=True)
class Limit(JobEvent):
    """Maxiter `"auto"` was given up somewhere."""

    notes: Notes


@dataclass(frozen=True, kw_only=True)
class Frame(_TaskEvent):
    """A frame is rendered."""

    frame: Count
    attempt: FromOne = 1
    found: Found | None = None


@dataclass(frozen=True, kw_only=True)
class Kept(JobEvent):
    """A picture of an earlier driver was still there."""

    frame: Count
    found: Found | None = None


@dataclass(frozen=True, kw_only=True)
class Segment(_TaskEvent):
    """A segment's file is closed in `tmp`. `first`: its first frame."""

    index: Count
    first: Count = 0
    frames: FromOne
    path: FilePath
    bytes: Count
    sha256: Digest
    notes: Notes | None = None


@dataclass(frozen=True, kw_only=True)
class Spoilt(JobEvent):
    """A durable segment cannot be joined: throw it away, it is made again."""

    index: Count


@dataclass(frozen=True, kw_only=True)
class Strip(JobEvent):
    """A strip was made, or `found` in DB/. `path`, `base`, `bytes` and `sha256` come together, if its samples lie in
    `tmp`; `error`, if they could not be stored."""

    strip: Whole
    found: Flag
    error: LongText | None = None
    path: FilePath | None = None
    base: Whole | None = None
    bytes: Count | None = None
    sha256: Digest | None = None

    def __post_init__(self) -> None:
        if self.path is not None and (
            lacking := [name for name in ("base", "bytes", "sha256") if getattr(self, name) is None]
        ):
            raise BadMessage(f"strip: a file without {lacking[0]}", self.job, field=lacking[0])

    @property
    def file(self) -> StripFile | None:
        """The file of its samples, if it has one."""
        if self.path is None or self.base is None or self.bytes is None or self.sha256 is None:
            return None
        return StripFile(self.strip, self.path, self.base, self.bytes, self.sha256)


@dataclass(frozen=True, kw_only=True)
class Unneeded(JobEvent):
    """No frame left shows these."""

    strips: Wholes


@dataclass(frozen=True, kw_only=True)
class Video(JobEvent):
    """The video is closed in `tmp`."""

    path: FilePath
    poster: FilePath | None = None
    frames: FromOne
    bytes: Count
    sha256: Digest


@dataclass(frozen=True, kw_only=True)
class Failed(JobEvent):
    """The job cannot be done."""

    code: Code
    message: LongText
    frame: Count | None = None


@dataclass(frozen=True, kw_only=True)
class Cancelled(JobEvent):
    """The job has ended without a video."""


def _by_name(*messages: type[_M]) -> dict[str, type[_M]]:
    return {message.__name__.lower(): message for message in messages}


ORDERS: dict[str, type[Order]] = _by_name(Render, Estimate, Adopted, Change, Cancel, Stop)
EVENTS: dict[str, type[Event]] = _by_name(
    *(Alive, Ready, Cluster, Unavailable, Log, Stage, Left, Estimated, Limit, Frame, Kept),
    *(Segment, Spoilt, Strip, Unneeded, Video, Failed, Cancelled),
)
ENDS = (Video, Failed, Cancelled)  # after one of these a driver says nothing more of a job

# -- written and read -------------------------------------------------------


class BadMessage(RenderError):
    """A message that cannot be.

    Attributes:
        job: which job it is about; None: about none, or that cannot be told.
        ends: whether the driver means to say nothing more of that job.
    """

    def __init__(self, message: str, job: object = None, ends: bool = False, field: str | None = None):
        super().__init__("BAD_MESSAGE", message, field=field)
        self.job = job if isinstance(job, str) else None
        self.ends = ends


def as_json(message: Order | Event) -> Json:
    """A message's name and those of its fields that are not None."""
    key = "do" if isinstance(message, Order) else "event"
    said = {name: value for name, value in vars(message).items() if value is not None}
    return {key: type(message).__name__.lower()} | said


def encode(message: Order | Event) -> bytes:
    """A message as a line."""
    return json.dumps(as_json(message), default=vars).encode() + b"\n"


def decode_order(line: bytes) -> Order:
    """The order in a line. Raises BadMessage."""
    return _decoded(line, "do", ORDERS)


def decode_event(line: bytes) -> Event:
    """The event in a line, every field checked. Raises BadMessage."""
    return _decoded(line, "event", EVENTS)


def _decoded(line: bytes, key: str, known: dict[str, type[_M]]) -> _M:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise BadMessage(f"{bytes(line[:60])!r} is no JSON object")
    name, job = said.get(key), said.get("job")
    if not isinstance(name, str) or name not in known:
        raise BadMessage(f"there is no {key} {str(name)[:40]!r}", job)
    message: Callable[..., _M] = known[name]
    if (wrong := _wrong(said, _checks(message))) is not None:
        words = f"{name}: {wrong} cannot be {str(said.get(wrong))[:100]!r}"
        raise BadMessage(words, job, message in ENDS, field=wrong)
    return _made(message, said)


# -- what an event says of a job ----------------------------------------------


def check_of_job(message: JobEvent, frames: int, folder: Path) -> None:
    """Looks whether a job can have the frames and segments that an event names, and whether its files may be touched.

    Args:
        frames: how many the job has.
        folder: where the driver may write for it; no links lead to it.

    Raises:
        BadMessage: a frame or segment that the job cannot have, or a file that is no regular one of that folder.
    """
    for name, most in (
        ("frame", frames - 1),
        ("index", frames - 1),
        ("first", frames - 1),
        ("frames", frames),
    ):
        if (value := getattr(message, name, None)) is not None and value > most:
            what = type(message).__name__.lower()
            raise BadMessage(f"{what}: {name} is {value}, of {frames} frames", message.job)
    for text in files_of(message):
        _check_file(text, folder, message.job)


def files_of(message: JobEvent) -> Iterable[str]:
    """The paths that an event names."""
    return [text for name in ("path", "poster") if (text := getattr(message, name, None)) is not None]


def _check_file(text: str, folder: Path, job: str) -> None:
    """It must be ``folder`` and a name; one that is not there (any more) is no fault."""
    name = text.rpartition("/")[2]
    path = folder / name
    try:
        if name in ("", ".", "..") or "\0" in text or text != str(path) or folder.resolve() != folder:
            raise BadMessage(f"{text[:200]!r} is no file of {folder}", job)
        facts = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise BadMessage(f"{text[:200]!r}: {error.strerror}", job) from error
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
        raise BadMessage(f"{text[:200]!r} is no regular file of its own", job)

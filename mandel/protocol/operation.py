"""What a request may ask for: one row per operation.

A request without ``op`` is a payload to render.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mandel.errors import RequestError
from mandel.payload.decimal_text import Number, exact
from mandel.payload.fields import RECOLOURED, JsonObject, unknown_field
from mandel.payload.job_id import is_beginning

RENDER, RECOLOUR, ESTIMATE = "render", "recolour", "estimate"


@dataclass(frozen=True)
class Operation:
    """One operation and its fields beside ``op``.

    Attributes:
        required, optional: names of fields. None for ``optional``: any, checked
            by whoever carries the operation out (a payload).
        streams: whether the reply goes on until the job ends (progress, then
            video); otherwise it is one ``result``.
    """

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] | None = ()
    streams: bool = False


DELETE = "delete"
# What changes one job: the client's options with their help, and addresses of the page, follow from this.
CHANGES = {
    "cancel": "end a job; what it has finished is kept",
    "pause": "let a job rest until --resume",
    "resume": "go on with a paused job",
    "retry": "try a failed or cancelled job again",
    "pin": "never evict a job to make room",
    "unpin": "let a pinned job be evicted again",
    DELETE: "remove a job that has ended, its video and all that it kept",
}
TABLE = {
    RENDER: Operation(optional=None, streams=True),
    RECOLOUR: Operation(required=("job",), optional=RECOLOURED, streams=True),
    ESTIMATE: Operation(optional=None),
    "attach": Operation(required=("job",), streams=True),
    "status": Operation(optional=("job",)),
    "list": Operation(),
    **{name: Operation(required=("job",)) for name in CHANGES},
}
# Beside the payload's own fields and no part of the job's identity.
PRIORITY = "priority"
HIGHEST = 9
_DOUBLE_MAGNITUDE = 308
CLIENT = "client"
NAME = "name"
LONGEST_CLIENT = LONGEST_NAME = 64


@dataclass(frozen=True)
class Request:
    """A whole request.

    Attributes:
        op: the operation's name.
        fields: its fields, numbers as ``Number``.
        priority: of a job to render; None when nothing was said.
        client: on whose account a job is rendered, as the peer says; often nothing.
        name: what people call a job to render; None when nothing was said.
    """

    op: str
    fields: JsonObject
    priority: int | None = None
    client: str = ""
    name: str | None = None


def not_found() -> RequestError:
    """The one answer to every job id that is unknown, malformed or not ours."""
    return RequestError(
        "NOT_FOUND",
        "no such job here; give a job's id or its first digits, four or more (`list` has them: client.py --list)",
        field="job",
    )


def ambiguous(beginning: str) -> RequestError:
    """The answer to the beginning of an id that several jobs have."""
    return RequestError("AMBIGUOUS", f"several jobs begin with {beginning}: give more digits", field="job")


def _not_recoloured(name: str) -> RequestError:
    return RequestError(
        "UNKNOWN_FIELD",
        f"recolour cannot change {name[:60]!r}: what a job kept suffices for another "
        f"{', '.join(RECOLOURED[:-1])} or {RECOLOURED[-1]}; for anything else send a payload of its own",
        field=name[:60],
        limit=list(RECOLOURED),
    )


def _priority(value: object) -> int:
    if not isinstance(value, Number):
        raise RequestError("WRONG_TYPE", "priority must be a whole number", field=PRIORITY)
    known = exact(value.text)  # None: NaN or Infinity
    if known is None or (known.scientific and known.magnitude > _DOUBLE_MAGNITUDE):
        raise RequestError("NOT_FINITE", "priority must be a whole number, and finite", field=PRIORITY)
    if known.exponent < 0:
        raise RequestError("WRONG_TYPE", "priority must be a whole number", field=PRIORITY)
    if known.magnitude > 0 or int(known.text()) not in range(-HIGHEST, HIGHEST + 1):
        raise RequestError(
            "OUT_OF_RANGE",
            f"priority is a whole number from {-HIGHEST} to {HIGHEST}; 0 is usual",
            field=PRIORITY,
            limit=[-HIGHEST, HIGHEST],
        )
    return int(known.text())


def _short_name(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise RequestError("WRONG_TYPE", f"{field} must be a string", field=field)
    if len(value) > LONGEST_NAME or not value.isprintable():
        raise RequestError(
            "OUT_OF_RANGE",
            f"{field} is a name of at most {LONGEST_NAME} printable characters",
            field=field,
            limit=LONGEST_NAME,
        )
    return value


def anybody(token: str | None) -> None:
    """Lets a request in, whatever its token."""


def request(value: object, admit: Callable[[str | None], None] = anybody) -> Request:
    """The request that a JSON value is.

    Args:
        admit: called with the token that the peer shows, None where there is none, before anything
            else is looked at; raises what the peer is told who is not let in.

    Raises:
        RequestError: NOT_OBJECT, WRONG_TYPE, UNKNOWN_VALUE, UNKNOWN_FIELD,
            OUT_OF_RANGE, MISSING_FIELD or NOT_FOUND (a job id that cannot be one).
    """
    if not isinstance(value, dict):
        raise RequestError("NOT_OBJECT", "a request is one JSON object, { ... }")
    fields = dict(value)
    if "token" in fields and not isinstance(fields["token"], str):
        raise RequestError("WRONG_TYPE", "token must be a string", field="token")
    admit(fields.pop("token", None))
    op = fields.pop("op", RENDER)
    if not isinstance(op, str):
        raise RequestError("WRONG_TYPE", "op must be a string", field="op", limit=list(TABLE))
    if op not in TABLE:
        raise RequestError(
            "UNKNOWN_VALUE", f"op {op[:60]!r} is not one of {', '.join(TABLE)}", field="op", limit=list(TABLE)
        )
    # What is estimated of a job is another video of its strips.
    recolours = op == RECOLOUR or (op == ESTIMATE and "job" in fields)
    row, priority, client = TABLE[RECOLOUR if recolours else op], None, ""
    name: str | None = None
    if op in (RENDER, RECOLOUR, ESTIMATE):
        priority = _priority(fields.pop(PRIORITY)) if PRIORITY in fields else None
        client = _short_name(fields.pop(CLIENT, ""), CLIENT)
        name = _short_name(fields.pop(NAME), NAME) if NAME in fields else None
    if row.optional is None:
        return Request(op, fields, priority, client, name)
    for field in fields:
        if field not in row.required + row.optional:
            raise (
                _not_recoloured(field)
                if recolours
                else unknown_field(field, ("op", "token", *row.required, *row.optional))
            )
    for field in row.required:
        if field not in fields:
            raise RequestError("MISSING_FIELD", f"the operation {op} needs the field {field!r}", field=field)
    if "job" in fields and not is_beginning(fields["job"]):
        raise not_found()
    return Request(op, fields, priority, client, name)

"""The exceptions that users see, each with a stable code.

Every error says what was wrong, what is allowed and what to do next. ``code``
is a name that users and tests rely on; it never changes once published.
"""

from __future__ import annotations

from typing import Any


class MandelError(Exception):
    """Base of all errors that reach a person or a client program.

    Args:
        code: stable upper-case name, e.g. ``"OUT_OF_RANGE"``.
        message: one sentence or two: what was wrong and what to do.
        field: the payload field or option concerned, if any.
        limit: the limit that was exceeded, JSON-serialisable, if any.
    """

    def __init__(self, code: str, message: str, *, field: str | None = None, limit: object = None):
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.limit = limit

    def as_dict(self) -> dict[str, object]:
        """The ``error`` part's JSON: code, field, message, limit."""
        return {"code": self.code, "field": self.field, "message": self.message, "limit": self.limit}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> MandelError:
        """The error that ``as_dict`` described (always the base class)."""
        return MandelError(
            str(fields.get("code", "INTERNAL")),
            str(fields.get("message", "unknown error")),
            field=fields.get("field"),
            limit=fields.get("limit"),
        )


class RequestError(MandelError):
    """The bytes or the JSON of a request are not acceptable."""


class PayloadError(RequestError):
    """A field of the payload is not acceptable."""


class DeviceError(MandelError):
    """No usable OpenCL device, or a device failed."""


class RenderError(MandelError):
    """A frame, segment or video could not be made."""


class StoreError(MandelError):
    """Something under DB/ is missing, damaged or could not be written."""


class TransferError(MandelError):
    """A reply did not arrive whole and intact, or the server is out of reach."""

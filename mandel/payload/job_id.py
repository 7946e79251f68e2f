"""What a job's id looks like: the SHA-256 that ``Payload.job_id`` gives. The standard library alone."""

from __future__ import annotations

import re
from typing import TypeGuard

_DIGITS = re.compile(r"[0-9a-f]{4,64}")


def is_beginning(text: object) -> TypeGuard[str]:
    """Whether ``text`` can be the beginning of a job id, or all of it: 4 to 64 lower-case hex digits."""
    return isinstance(text, str) and _DIGITS.fullmatch(text) is not None


def is_job_id(text: object) -> TypeGuard[str]:
    """Whether ``text`` can be a job id: 64 lower-case hex digits."""
    return is_beginning(text) and len(text) == 64

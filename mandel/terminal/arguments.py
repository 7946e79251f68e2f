"""Command lines as people write them, made fit for argparse and for payloads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from mandel.errors import PayloadError

_NEGATIVE = re.compile(r"-\.?[0-9]")


def joined(argv: list[str]) -> list[str]:
    """``--point -1.25,0`` as ``--point=-1.25,0``: argparse takes the former for an unknown option."""
    result: list[str] = []
    for word in argv:
        if _NEGATIVE.match(word) and result and result[-1].startswith("--") and "=" not in result[-1]:
            result[-1] += "=" + word
        else:
            result.append(word)
    return result


@contextmanager
def one_delta() -> Iterator[None]:
    """Errors about a payload's two deltas name the one option ``--delta`` that both came from."""
    try:
        yield
    except PayloadError as error:
        if error.field not in ("start_delta", "end_delta"):
            raise
        message = error.message.removeprefix(f"{error.field}: ")
        raise PayloadError(error.code, f"delta: {message}", field="delta", limit=error.limit) from None

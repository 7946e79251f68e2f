"""Adapts command lines, as people write them, to argparse and to payloads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from mandel.errors import PayloadError

_NEGATIVE = re.compile(r"-\.?[0-9]")


def joined(argv: list[str]) -> list[str]:
    """Rewrites ``--point -1.25,0`` to ``--point=-1.25,0``: argparse would read -1.25,0 as an option."""
    result: list[str] = []
    for word in argv:
        if _NEGATIVE.match(word) and result and result[-1].startswith("--") and "=" not in result[-1]:
            result[-1] += "=" + word
        else:
            result.append(word)
    return result


@contextmanager
def one_delta() -> Iterator[None]:
    """Renames the field in errors about start_delta or end_delta to delta, the option that both came from."""
    try:
        yield
    except PayloadError as error:
        if error.field not in ("start_delta", "end_delta"):
            raise
        message = error.message.removeprefix(f"{error.field}: ")
        raise PayloadError(error.code, f"delta: {message}", field="delta", limit=error.limit) from None

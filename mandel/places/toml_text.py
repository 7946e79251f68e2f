"""TOML with every number as its text, and bounds on what takes the parser long."""

from __future__ import annotations

import tomllib
from typing import Any

from mandel.places.text import FileError

_MOST_CHARACTERS = 1 << 20
# Keys are nested by points; the parser's time grows with the square of their number.
_MOST_POINTS = 32


def parsed(text: str) -> dict[str, Any]:
    """The file's tables. Decimal numbers come as str, whole ones as int.

    Raises:
        FileError: no TOML, or too much of it.
    """
    if len(text) > _MOST_CHARACTERS:
        raise FileError(f"it has {len(text)} characters; {_MOST_CHARACTERS} are allowed in TOML")
    for number, line in enumerate(text.split("\n"), 1):
        names = line if "{" in line or line.lstrip().startswith("[") else line.partition("=")[0]
        if (
            names.count(".") > _MOST_POINTS
            and max(part.count(".") for part in names.split(",")) > _MOST_POINTS
        ):
            raise FileError(f"line {number} nests more than {_MOST_POINTS} names")
    try:
        return tomllib.loads(text, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise FileError(f"it is no TOML: {str(error)[:200] or 'it nests too deep'}") from None


def table(values: dict[str, Any], name: str) -> dict[str, Any]:
    found = values.get(name, {})
    return found if isinstance(found, dict) else {}

"""Files of ``Name { ... }`` entries, as Fractint and Ultra Fractal write them."""

from __future__ import annotations

import re
from typing import NamedTuple

from mandel.places.text import FileError

LOOKS_LIKE = re.compile(r"^(?![ \t]*+[;{\[\"(\n])[^\n{}:=\"]*+(?:\n[ \t]*+)?\{", re.MULTILINE)

_PIECE = re.compile(r'"[^"\n]*+"|[{}]')
_COMMENT = re.compile(r'"[^"\n]*+"|;')
_SHOWN = 12


class Entry(NamedTuple):
    """One parameter set: its name, and what stands between its braces, comments and line breaks taken out."""

    name: str
    body: str


def entries(text: str) -> list[Entry]:
    """All entries of a file but those named ``comment``.

    A backslash at the end of a line puts the next line behind it; a semicolon outside quotes begins a comment.

    Raises:
        FileError: an entry is not closed, or there is none.
    """
    lines: list[str] = []
    goes_on = False
    for line in text.split("\n"):
        bare = _without_comment(line).rstrip()
        piece = bare.lstrip() if goes_on else bare
        if goes_on:
            lines[-1] += piece.removesuffix("\\")
        else:
            lines.append(piece.removesuffix("\\"))
        goes_on = bare.endswith("\\")
    return _between_braces("\n".join(lines))


def _without_comment(line: str) -> str:
    for match in _COMMENT.finditer(line):
        if match[0] == ";":
            return line[: match.start()]
    return line


def _between_braces(text: str) -> list[Entry]:
    found: list[Entry] = []
    begun, name, after = -1, "", 0
    for match in _PIECE.finditer(text):
        if match[0] == "{" and begun < 0:
            name = text[after : match.start()].strip().rpartition("\n")[2].strip()
            begun = match.end()
        elif match[0] == "}" and begun >= 0:
            if name.lower() != "comment":
                found.append(Entry(name[:80], text[begun : match.start()]))
            begun, after = -1, match.end()
    if begun >= 0:
        raise FileError(f"the entry {name[:40]!r} is not closed: a }} is missing")
    if not found:
        raise FileError("there is no entry NAME { ... } in it")
    return found


def named(found: list[Entry], name: str) -> Entry:
    """The entry of that name.

    Raises:
        FileError: there is none; the message lists those that are there.
    """
    for entry in found:
        if entry.name.lower() == name.lower():
            return entry
    raise FileError(f"there is no entry {name[:40]!r}; it has {listed(found)}")


def listed(found: list[Entry]) -> str:
    names = ", ".join(entry.name for entry in found[:_SHOWN])
    return names + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")


def others(found: list[Entry], taken: Entry) -> str:
    """Tells of the entries that were not taken; "" if there are none."""
    rest = [entry for entry in found if entry is not taken]
    return f"{taken.name} was taken; FILE#NAME takes another entry: {listed(rest)}" if rest else ""

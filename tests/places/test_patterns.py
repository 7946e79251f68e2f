"""What patterns may have: in Python before 3.11.5 possessive groups go wrong (python/cpython issue 106052)."""

import re
from pathlib import Path

import mandel

# Behind a group; behind a single character or a class they are right.
POSSESSIVE = re.compile(r"\)(?:[*+?]|\{[0-9,]+\})\+|\(\?>")


def test_no_group_is_possessive():
    assert POSSESSIVE.search(r"(?:a|b)*+") and not POSSESSIVE.search(r"(?:[ab]*+\n)*[^\n]?+")
    sources = sorted(Path(mandel.__file__).parent.rglob("*.py"))
    assert len(sources) > 100
    assert [path.name for path in sources if POSSESSIVE.search(path.read_text())] == []

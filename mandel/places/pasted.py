"""A point as people paste it: ``RE,IM``, ``a + b i``, two lines, with whatever signs and blanks came along."""

from __future__ import annotations

import re

from mandel.errors import PayloadError
from mandel.places.numbers import MOST_CHARACTERS, plain, shown

# Possessive: a long number is looked at once.
_NUMBER = r"(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?"
_ONE = re.compile(rf"[+-]?{_NUMBER}")
_IMAGINARY = re.compile(rf"([+-]?)(?:({_NUMBER})\*?[ij]|[ij]\*?({_NUMBER}))")
_SUM = re.compile(rf"([+-]?{_NUMBER})([+-])(?:({_NUMBER})\*?[ij]|[ij]\*?({_NUMBER}))")
_LABEL = re.compile(
    r"\b(?:re(?:al)?|im(?:ag(?:inary)?)?|x|y|c|z|point|cent(?:er|re))\s*+(?:\(\s*+[cz]\s*+\))?\s*+[:=]",
    re.IGNORECASE,
)
_HOW = "write RE,IM, such as -0.75,0.1"


def point(text: str) -> str:
    """``RE,IM`` of what was pasted; no digit is lost.

    Understood are a typographic minus, plus signs, blanks and line ends within numbers, brackets around all, labels
    such as ``Re:``, an ``i`` behind the imaginary part, ``a + b i``, and two numbers on two lines.

    Raises:
        PayloadError: BAD_NUMBER: it is no point; the message says what to change.
    """
    if len(text) > 2 * MOST_CHARACTERS:
        raise PayloadError(
            "BAD_NUMBER", f"{shown(text)} has {len(text)} characters, too many for a point; {_HOW}"
        )
    found = _LABEL.sub(" ", plain(text)).strip().strip("()[]{}\"'").strip().replace(";", ",")
    parts = found.split(",")
    if len(parts) == 1:
        return ",".join(_without_comma(found, text))
    if len(parts) == 4 and all(re.fullmatch(r"\s*[+-]?[0-9]+\s*", part) for part in parts[::2]):
        a, b, c, d = (re.sub(r"\s+", "", part) for part in parts)
        raise PayloadError(
            "BAD_NUMBER",
            f"{shown(text)} has decimal commas; write them as points: {shown(f'{a}.{b},{c}.{d}')[1:-1]}",
        )
    if len(parts) != 2:
        raise PayloadError(
            "BAD_NUMBER", f"{shown(text)} has {len(parts)} parts between commas, not two; {_HOW}"
        )
    re_, im = (re.sub(r"\s+", "", part) for part in parts)
    imaginary = _IMAGINARY.fullmatch(im)
    if imaginary is not None:
        im = imaginary[1] + (imaginary[2] or imaginary[3])
    return f"{_number(re_, 'the real part', text)},{_number(im, 'the imaginary part', text)}"


def _number(word: str, what: str, text: str) -> str:
    if _ONE.fullmatch(word) is None:
        raise PayloadError(
            "BAD_NUMBER", f"{what} of {shown(text)} is {shown(word)}, which is no decimal number; {_HOW}"
        )
    return word.removeprefix("+")


def _without_comma(found: str, text: str) -> tuple[str, str]:
    joined = re.sub(r"\s+", "", found)
    if match := _SUM.fullmatch(joined):
        sign = "" if match[2] == "+" else "-"
        return _number(match[1], "the real part", text), sign + (match[3] or match[4])
    if match := _IMAGINARY.fullmatch(joined):
        return "0", match[1].removeprefix("+") + (match[2] or match[3])
    numbers = _numbers(found)
    if len(numbers) == 2 and all(map(_ONE.fullmatch, numbers)):
        return numbers[0].removeprefix("+"), numbers[1].removeprefix("+")
    if len(numbers) == 1 and _ONE.fullmatch(numbers[0]):
        raise PayloadError(
            "BAD_NUMBER", f"{shown(text)} is one number; a point has two: {shown(numbers[0])[1:-1]},0"
        )
    raise PayloadError("BAD_NUMBER", f"{shown(text)} is no point; {_HOW}")


def _numbers(found: str) -> list[str]:
    """The numbers between blanks; a piece of digits alone goes on with the number before it, which was wrapped."""
    numbers: list[str] = []
    for word in found.split():
        if numbers and (re.fullmatch(r"[0-9]+(?:[eE][+-]?[0-9]+)?", word) or numbers[-1] in ("+", "-")):
            numbers[-1] += word
        else:
            numbers.append(word)
    return numbers


def number(text: str) -> str:
    """A pasted number in plain signs and without blanks; what is none even so stays as it was."""
    if len(text) > MOST_CHARACTERS:
        return text
    found = re.sub(r"\s+", "", plain(text)).removeprefix("+")
    return found if _ONE.fullmatch(found) else text

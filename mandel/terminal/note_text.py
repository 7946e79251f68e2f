"""Puts the notes on a video (mandel/notes.py) into words for people. Unexpected values never raise an error."""

from __future__ import annotations

import math
from typing import TypeGuard

from mandel.payload.fields import JsonObject
from mandel.terminal.format import is_number, printable, typed

_WIDE = 4  # a flat frame with this delta or more lies outside the set, or shows the set too small to be seen
_MIN_SHARE = 0.0005  # smaller shares of samples are not mentioned


def remarks(notes: object, frames: object) -> list[tuple[str, str]]:
    """What may be wrong with a video ("warning"), or could be better ("hint"), in one to three sentences each.

    Args:
        notes: the notes that the service sent.
        frames: number of frames of the video.
    """
    notes = notes if isinstance(notes, dict) else {}
    whole = [
        ("warning", _gave_up(notes.get("gave_up"))),
        ("hint", _short(notes.get("short"), frames)),
        ("warning", _flat(notes.get("flat"), frames)),
    ]
    return [(kind, sentence) for kind, sentence in whole if sentence]


def sentences(notes: object, frames: object) -> list[str]:
    """The remarks, marked as such. Without one about the limit, the largest share of black."""
    texts = [f"{kind}: {sentence}" for kind, sentence in remarks(notes, frames)]
    known = notes if isinstance(notes, dict) else {}
    if "short" not in known and not _inside(known.get("flat")):
        texts.append(reached(known.get("reached"), frames))  # hardly any sample escaped late
    return [text for text in texts if text]


def reached(note: object, frames: object) -> str:
    """How much is black in the frame that has most of it, as text; "" if it is negligible."""
    if not _has(note, "share", "maxiter", "frame") or note["share"] < _MIN_SHARE:
        return ""
    share, frame = _percent(note["share"]), _frame(note["frame"], frames)
    most = "" if frames == 1 else ", the most of all frames"
    return f"{share} of {frame} is black{most}: inside of the set, as far as {note['maxiter']:,} iterations can tell"


def brief(notes: object) -> str:
    """The warnings in a few words, for the progress line."""
    notes = notes if isinstance(notes, dict) else {}
    words = []
    if _has(notes.get("gave_up"), "maxiter"):
        words.append("a limit was given up")
    if _has(short := notes.get("short"), "frame", "share", "maxiter"):
        words.append(f"{_percent(short['share'])} of frame {short['frame']} at {_limit(short)}")
    if _has(flat := notes.get("flat"), "frames"):
        words.append(f"{flat['frames']} flat frame{_s(flat['frames'])}")
    return ", ".join(words)


def _has(note: object, *numbers: str) -> TypeGuard[JsonObject]:
    known = [note.get(name) for name in numbers] if isinstance(note, dict) else [None]
    return all(is_number(number) and math.isfinite(number) for number in known)


def _s(count: object) -> str:
    return "" if count == 1 else "s"


def _limit(note: JsonObject) -> str:
    return f"maxiter {note['maxiter']:,}"


def _percent(share: float) -> str:
    """A share as a percentage, which is 0 % or 100 % only if the share is exactly 0 or 1."""
    percent = 100 * share
    if 0 < percent < 9.95:
        return f"{max(percent, 0.1):.1f} %"
    return f"{100 if share >= 1 else min(round(percent), 99)} %"


def _frame(frame: object, frames: object) -> str:
    if frames == 1:
        return "the picture"
    if is_number(frames) and frame == frames - 1:
        return "the last frame"
    return f"frame {frame}"


def _run(note: JsonObject, frames: object) -> str:
    """Frames in words. Their number is given only if there are gaps between them."""
    first, last, count = note["first"], note["last"], note["frames"]
    if frames == 1:
        return "the picture"
    if first == last:
        return f"frame {first}"
    gaps = "" if count == last - first + 1 else f"{count} of "
    return f"{gaps}frames {first} to {last}"


def _short(note: object, frames: object) -> str:
    if not _has(note, "frames", "first", "last", "frame", "share", "missing", "maxiter"):
        return ""
    most = note["missing"] > 0.8 * note["share"]
    much = "most of that" if most else f"{_percent(note['missing'])} or more"
    worst = "it" if note["frames"] == 1 else _frame(note["frame"], frames)
    return (
        f"{_limit(note)} is low for {_run(note, frames)}: {_percent(note['share'])} of {worst} stays black, {much} "
        f"needlessly. The {'picture' if frames == 1 else 'film'} is as asked; {_higher(note)} would show more"
    )


def _higher(note: JsonObject) -> str:
    """The option to try when a limit seems too low."""
    return f"--maxiter {4 * note['maxiter']}" if note.get("auto") else "--maxiter auto"


def _flat(note: object, frames: object) -> str:
    if not _has(note, "frames", "first", "last"):
        return ""
    one = note["first"] == note["last"]
    run = _run(note, frames)
    if _inside(note):
        shown = f"{run} {'is' if one else 'are'} black all over"
        if note.get("auto"):
            return f"{shown}: the point lies inside of the set, as far as can be told{_digits(note)}"
        return (
            f"{shown}, as no sample escaped within {_limit(note)}: the point lies inside of the set, or that is "
            f"too few; try --maxiter auto{_digits(note)}"
        )
    shown = f"{run} {'shows' if one else 'show'} one flat colour"
    if min(map(_value, _deltas(note)), default=math.inf) >= _WIDE:
        return f"{shown}: the set is small or out of sight there; choose a smaller delta"
    return f"{shown}: the point is not on the edge of the set{_digits(note)}"


def _inside(note: object) -> TypeGuard[JsonObject]:
    """Whether flat frames are all black."""
    return _has(note, "inside", "frames", "maxiter") and note["inside"] == note["frames"]


def _deltas(note: JsonObject) -> list[str]:
    deltas = note.get("deltas")
    return [it for it in deltas if isinstance(it, str)] if isinstance(deltas, list) else []


def _magnitude(delta: str) -> int | None:
    """floor(log10) of a decimal number as text, which may be too small for a float; None if it is no number."""
    mantissa, _, exponent = delta.lower().partition("e")
    try:
        return math.floor(math.log10(float(mantissa))) + int(exponent or 0)
    except (ValueError, OverflowError):
        return None


def _value(delta: str) -> float:
    try:
        return float(delta)
    except ValueError:
        return math.inf


def _digits(note: JsonObject) -> str:
    """A hint, if the point has too few digits for the deepest flat frame; else ""."""
    magnitudes = [m for m in map(_magnitude, _deltas(note)) if m is not None]
    decimals = note.get("decimals")
    if not magnitudes or not is_number(decimals) or decimals > -min(magnitudes):
        return ""
    deepest = min(magnitudes)
    return (
        f". If the point was rounded: its {decimals} decimal{_s(decimals)} will do to about 1e-{decimals}, "
        f"at 1e{deepest} it needs {2 - deepest}; `{typed('locate')}` finds a centre with all digits"
    )


def _gave_up(note: object) -> str:
    if not _has(note, "maxiter"):
        return ""
    delta, reason = note.get("delta"), note.get("reason")
    where = f" for frames near delta {printable(delta, 30)}" if isinstance(delta, str) else ""
    why = f" ({printable(reason, 200)})" if isinstance(reason, str) and reason else ""
    return f"maxiter auto was given up{where}{why}: what is black there may lie outside of the set"

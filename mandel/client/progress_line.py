"""The progress line that a person sees while a job runs."""

from __future__ import annotations

import time
from typing import TextIO

from mandel.payload.fields import JsonObject
from mandel.terminal import note_text
from mandel.terminal.format import duration, is_number, printable, size

# Seconds between lines where a line cannot be rewritten, such as in a log file.
_QUIET_SECONDS = 10.0


def again(fields: JsonObject) -> str:
    """The cost of a pause in words: frames to be rendered again. "" if there are none."""
    count = fields.get("again")
    if not is_number(count) or count <= 0:
        return ""
    return f"at most {count} more, of segments that were not finished, will be rendered again"


def describe(fields: JsonObject) -> str:
    """A progress part as one line: state, frames done, rate, time left."""
    done, frames = fields.get("done"), fields.get("frames")
    rate, left = fields.get("rate"), fields.get("seconds_left")
    words = [printable(fields.get("state", "?"), 20)]
    if words == ["paused"]:
        words = ["paused until it is resumed (--resume)"]
    if is_number(done) and is_number(frames):
        percent = f" ({100 * done // frames:.0f} %)" if frames > 0 else ""
        words.append(f"{done}/{frames} frames{percent}")
    if again(fields):
        words.append(again(fields))
    if is_number(rate):
        words.append(f"{rate:.1f} frames/s" if rate >= 1 else f"{rate:.3g} frames/s")
    if is_number(fields.get("waited")):
        words.append(f"the first ones are under way, {duration(fields['waited'])}")
    if isinstance(left, list) and len(left) == 2 and all(map(is_number, left)):
        low, high = map(duration, left)
        words.append(f"{low} left" if low == high else f"{low} to {high} left")
    stage, renderer = fields.get("stage"), fields.get("renderer")
    if isinstance(stage, dict) and is_number(stage.get("done")) and is_number(stage.get("total")):
        share = f" {100 * stage['done'] // stage['total']:.0f} %" if stage["total"] > 0 else ""
        words.append(f"{printable(stage.get('stage', ''), 20)}{share}")
    if warnings := note_text.brief(fields.get("notes")):
        words.append(warnings)
    if isinstance(renderer, dict):
        words.append(printable(f"renderer {renderer.get('state', '?')}", 40))
        if is_number(renderer.get("seconds")):
            words.append(duration(renderer["seconds"]))
        if renderer.get("error"):
            words.append(printable(renderer["error"], 200))
    return ", ".join(words)


class ProgressLine:
    """Shows progress: one line that is rewritten on a terminal, or a new line every 10 s elsewhere.

    Args:
        out: the stream to write to.
        quiet: write nothing at all.
    """

    def __init__(self, out: TextIO, quiet: bool = False):
        self._out = out
        self._quiet = quiet
        self._live = not quiet and out.isatty()
        self._last = 0.0
        self._state: object = None
        self._text = ""
        self._open = False

    def show(self, fields: JsonObject) -> None:
        """Shows a progress part."""
        self._put(describe(fields), fields.get("state"))

    def received(self, done: int, whole: int) -> None:
        """Shows how much of the video has arrived: ``done`` of ``whole`` bytes."""
        share = f" ({100 * done // whole} %)" if whole else ""
        state = "received" if done == whole else "receiving"
        self._put(f"{state} {size(done, whole)} of {size(whole)}{share}", state)

    def close(self) -> None:
        """Ends the line that is being rewritten, so that the next text starts on a new line."""
        if self._open:
            self._out.write("\n")
            self._out.flush()
            self._open = False

    def _put(self, text: str, state: object) -> None:
        now = time.monotonic()
        due = state != self._state or now - self._last >= (0.1 if self._live else _QUIET_SECONDS)
        if self._quiet or not due or (not self._live and text == self._text):
            return
        self._last, self._state, self._text = now, state, text
        self._out.write(f"\r\x1b[K{text}" if self._live else text + "\n")
        self._out.flush()
        self._open = self._live

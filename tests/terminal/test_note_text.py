"""Notes in words."""

import pytest

from mandel.client.progress_line import describe
from mandel.client.report import report
from mandel.terminal.note_text import brief, sentences

REACHED = {"frame": 49, "share": 0.141, "maxiter": 1000}
SHORT = {
    "frames": 12,
    "first": 38,
    "last": 49,
    "frame": 49,
    "share": 0.816,
    "missing": 0.184,
    "maxiter": 1000,
    "auto": False,
}
FLAT = {
    "frames": 200,
    "first": 40,
    "last": 239,
    "deltas": ["9.31e-4", "1.00e-60"],
    "inside": 0,
    "maxiter": 1000,
    "auto": False,
    "decimals": 3,
}


def only(**notes) -> str:
    (sentence,) = sentences(notes, notes.pop("count", 50))
    return sentence


def test_a_limit_that_seems_too_low():
    assert only(short=SHORT, reached=REACHED) == (
        "hint: maxiter 1,000 is low for frames 38 to 49: 82 % of the last frame stays black, 18 % or more "
        "needlessly. The film is as asked; --maxiter auto would show more"
    )
    assert "--maxiter 4000 would show more" in only(short=SHORT | {"auto": True})
    assert "12 of frames 8 to 49" in only(short=SHORT | {"first": 8})
    assert "stays black, most of that needlessly" in only(short=SHORT | {"missing": 0.7})
    assert "82 % of frame 7 stays" in only(short=SHORT | {"frame": 7})
    assert "low for frame 38: 82 % of it stays" in only(short=SHORT | {"frames": 1, "last": 38})
    (still,) = sentences({"short": SHORT | {"frames": 1, "first": 0, "last": 0, "frame": 0}}, 1)
    assert still.startswith("hint: maxiter 1,000 is low for the picture: 82 % of it stays black, ")
    assert "The picture is as asked; " in still


@pytest.mark.parametrize(
    "share, text",
    [
        (0.1414, "14 %"),
        (0.0141, "1.4 %"),
        (0.0007, "0.1 %"),
        (0.9999, "99 %"),
        (1.0, "100 %"),
        (0.0996, "10 %"),
    ],
)
def test_how_much_is_black(share, text):
    said = only(reached=REACHED | {"share": share})
    assert said == (
        f"{text} of the last frame is black, the most of all frames: inside of the set, as far as 1,000 iterations "
        "can tell"
    )
    (still,) = sentences({"reached": REACHED | {"frame": 0, "share": share}}, 1)
    assert still == f"{text} of the picture is black: inside of the set, as far as 1,000 iterations can tell"
    assert sentences({"reached": REACHED | {"share": 0.0}}, 50) == []


def test_flat_frames():
    assert only(flat=FLAT, reached=REACHED | {"share": 0.0}) == (
        "warning: frames 40 to 239 show one flat colour: the point is not on the edge of the set. If the point was "
        "rounded: its 3 decimals will do to about 1e-3, at 1e-60 it needs 62; `python -m mandel locate` finds a centre "
        "with all digits"
    )
    assert only(flat=FLAT | {"decimals": 61}).endswith("the point is not on the edge of the set")
    assert "its 1 decimal will" in only(flat=FLAT | {"decimals": 1})
    assert only(flat=FLAT | {"frames": 1, "last": 40, "deltas": ["1.00e2"] * 2}).endswith(
        "frame 40 shows one flat colour: the set is small or out of sight there; choose a smaller delta"
    )
    assert "e-20000" in only(flat=FLAT | {"deltas": ["1.00e-400", "1.00e-20000"]})


def test_black_frames():
    said = only(flat=FLAT | {"inside": 200, "decimals": 70}, reached=REACHED | {"share": 1.0})
    assert said == (
        "warning: frames 40 to 239 are black all over, as no sample escaped within maxiter 1,000: the point lies "
        "inside of the set, or that is too few; try --maxiter auto"
    )
    assert "auto" not in only(flat=FLAT | {"inside": 200, "auto": True, "decimals": 70})


def test_auto_gave_up():
    gave_up = {"views": 2, "delta": "1.00e-9", "maxiter": 16_000_000, "reason": "nothing escapes"}
    assert only(gave_up=gave_up) == (
        "warning: maxiter auto was given up for frames near delta 1.00e-9 (nothing escapes): what is black there "
        "may lie outside of the set"
    )
    assert len(sentences({"gave_up": gave_up, "short": SHORT, "flat": FLAT, "reached": REACHED}, 240)) == 3


def test_in_a_line_of_progress():
    notes = {"short": SHORT, "flat": FLAT, "gave_up": {"maxiter": 16_000_000}}
    assert brief(notes) == "a limit was given up, 82 % of frame 49 at maxiter 1,000, 200 flat frames"
    assert describe({"state": "running", "notes": notes}) == f"running, {brief(notes)}"
    assert describe({"state": "running", "notes": {"reached": REACHED}}) == "running"


def test_of_a_job_s_status():
    told = report(
        "status",
        {"job": "a" * 64, "state": "done", "frames": 50, "notes": {"short": SHORT, "reached": REACHED}},
    )
    assert "black   14 % of the last frame is black" in told and "hint    maxiter 1,000 is low" in told


@pytest.mark.parametrize(
    "notes",
    [
        None,
        3,
        [],
        {"short": 3},
        {"short": {}},
        {"short": SHORT | {"first": "x"}},
        {"flat": {"frames": 1}},
        {"flat": FLAT | {"deltas": 3, "decimals": None}},
        {"flat": FLAT | {"deltas": ["x", "1e", "0"], "inside": "y"}},
        {"gave_up": {"maxiter": 1, "delta": 3, "reason": []}},
        {"reached": {"share": float("nan")}},
        {"reached": REACHED | {"share": 1e300, "frame": 1e300}},
        {"gave_up": {"maxiter": float("inf")}},
        {"flat": FLAT | {"deltas": ["1e99999999999999999999", "-1"]}},
        {"gave_up": {"maxiter": 1, "reason": "\x1b[2J"}},
    ],
)
@pytest.mark.parametrize("frames", [50, 1, None, "x"])
def test_whatever_comes(notes, frames):
    said = [*sentences(notes, frames), brief(notes), report("status", {"frames": frames, "notes": notes})]
    assert all(isinstance(text, str) and "\x1b" not in text for text in said)

"""What is shown while a job runs, and the words for it."""

import pytest

from mandel.client.progress_line import ProgressLine, describe
from mandel.terminal.format import duration, printable, size


class Terminal:
    """A TextIO that counts as a terminal, or not."""

    def __init__(self, tty):
        self.text, self._tty = "", tty

    def isatty(self):
        return self._tty

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_progress_line_on_a_terminal_and_in_a_log():
    terminal, log = Terminal(True), Terminal(False)
    for out in (terminal, log):
        line = ProgressLine(out)
        for done in range(100):
            line.show({"state": "running", "done": done, "frames": 100})
        line.close()
    assert log.text == "running, 0/100 frames (0 %)\n"
    assert terminal.text.startswith("\r\x1b[Krunning, 0/100 frames (0 %)") and terminal.text.endswith("\n")
    assert terminal.text.count("\n") == 1


def test_a_log_says_once_that_a_job_rests_and_how_it_goes_on(monkeypatch):
    moment = iter(range(0, 10_000, 60))
    monkeypatch.setattr("time.monotonic", lambda: next(moment))
    line = ProgressLine(log := Terminal(False))
    for _ in range(5):
        line.show({"state": "paused", "done": 3, "frames": 9})
    assert log.text == "paused until it is resumed (--resume), 3/9 frames (33 %)\n"


def test_the_transfer_ends_at_all_of_it():
    for tty in (True, False):
        out = Terminal(tty)
        line = ProgressLine(out)
        for done in range(0, 40_001, 100):
            line.received(done, 40_000)
        line.close()
        assert out.text.endswith("received 40.0 kB of 40.0 kB (100 %)\n")


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"state": None},
        {"done": "x", "frames": {}},
        {"done": True, "frames": True},
        {"frames": 0, "done": 0},
        {"seconds_left": [1]},
        {"seconds_left": ["a", "b"]},
        {"rate": -1, "seconds_left": [-5, 1e300]},
        {"done": 10**39, "frames": 1},
    ],
)
def test_any_progress_can_be_shown(said):
    assert isinstance(describe(said), str)


def test_words():
    assert [duration(s) for s in (0, 42, 185)] == ["0 s", "42 s", "3:05"]
    assert [duration(s) for s in (7_385, 273_600)] == ["2:03:05", "3 d 04 h"]
    assert printable("a\nb\x1b") == "a?b?"
    assert [size(n) for n in (0, 128_000, 2_340_000)] == ["0.0 kB", "128.0 kB", "2.3 MB"]
    assert size(500, of=2e6) == "0.0 MB"


@pytest.mark.parametrize(
    "fields, words",
    [
        (
            {"state": "running", "done": 3, "frames": 12, "rate": 2.5, "seconds_left": [3, 4]},
            "running, 3/12 frames (25 %), 2.5 frames/s, 3 s to 4 s left",
        ),
        (
            {
                "state": "running",
                "done": 0,
                "frames": 12,
                "stage": {"stage": "reference", "done": 30, "total": 120},
            },
            "running, 0/12 frames (0 %), reference 25 %",
        ),
        (
            {"state": "queued", "done": 0, "frames": 1, "renderer": {"state": "starting", "error": None}},
            "queued, 0/1 frames (0 %), renderer starting",
        ),
        (
            {
                "state": "queued",
                "done": 0,
                "frames": 1,
                "renderer": {"state": "starting", "error": None, "seconds": 12.3},
            },
            "queued, 0/1 frames (0 %), renderer starting, 12 s",
        ),
        (
            {"state": "running", "done": 0, "frames": 9, "waited": 3.2},
            "running, 0/9 frames (0 %), the first ones are under way, 3 s",
        ),
        (
            {"state": "queued", "renderer": {"state": "failed", "error": "no Ray head\x1b[2J answers"}},
            "queued, renderer failed, no Ray head?[2J answers",
        ),
        (
            {"state": "paused", "done": 24, "frames": 50, "again": 3},
            (
                "paused until it is resumed (--resume), 24/50 frames (48 %), "
                "at most 3 more, of segments that were not finished, will be rendered again"
            ),
        ),
        ({"state": 7, "done": "x", "again": -1, "stage": "y", "renderer": 1}, "7"),
    ],
)
def test_progress_in_words(fields, words):
    assert describe(fields) == words

"""One command from a payload to a video, with the stand-in driver."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mandel.cli import zoom
from mandel.client import main
from mandel.payload import in_file
from mandel.store.store import Store
from tests.service.heads import Head
from tests.support import processes

ROOT = Path(__file__).parents[2]
HEAD = (sys.executable, str(ROOT / "tests/service/stand_in_head.py"))
SMALL = ["--num-frames=12", "--frame-width=16", "--frame-height=16", "--maxiter=10"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(zoom, "_HEAD", HEAD)
    monkeypatch.setenv("STAND_IN", str(tmp_path))
    return tmp_path


def test_the_last_line_is_the_video_and_the_service_is_silent(folder, capfd):
    Path("payload.json").write_text('{"fps": 30}')
    assert zoom.main([*SMALL, "--palette", "ember", "--set", "easing=0.5", "--point", "-1,0"]) == main.OK
    out, err = capfd.readouterr()
    video = Path("payload.mp4")
    assert out.startswith("payload.mp4  ") and out.count("\n") == 1
    assert f"{video.stat().st_size / 1e3:.1f} kB, " in out and out.endswith(" s\n")
    assert err.startswith("sending payload.json with point=-1,0")
    for noise in ("listening on", "storing under", "INFO", "client.py"):
        assert noise not in err
    store = Store("DB")
    (row,) = store.table(2)
    payload = store.payload(row["id"])
    store.close()
    asked = {name: payload[name] for name in ("palette", "easing", "fps", "point")}
    assert asked == {"palette": "ember", "easing": "0.5", "fps": "30", "point": "-1,0"}


def test_a_film_is_named_after_its_payload(folder, capfd):
    Path("place.json").write_text('{"fps": 30}')
    assert zoom.main(["place.json", *SMALL]) == main.OK
    assert capfd.readouterr().out.startswith("place.mp4  ")
    film = Path("film.mp4")
    film.write_bytes(b"\0\0\0\x14ftypqt  " + in_file.MARK.encode() + b'{"fps": "25"}')
    assert zoom.main(["--again", "film.mp4", "-o", "again.mp4", *SMALL]) == main.OK
    before = film.read_bytes()
    capfd.readouterr()
    assert zoom.main(["--again", "film.mp4", *SMALL]) == main.OK
    assert capfd.readouterr().out.startswith("film-again.mp4  ")
    assert film.read_bytes() == before
    assert zoom.main(["place.json", "--again", "film.mp4", *SMALL]) == main.REFUSED
    assert "BAD_OPTION: place.json: --again takes the payload of film.mp4" in capfd.readouterr().err
    store = Store("DB")
    rates = {store.payload(row["id"])["fps"] for row in store.table(9)}
    store.close()
    assert rates == {"30", "25"}


@pytest.mark.parametrize(
    "argv, same",
    [
        (["some.json", "-o", "a.mp4"], "some.json -o a.mp4"),
        (["some.json", "--preview", "6"], "some.json --preview 6"),
        (
            ["--fps", "9", "--set", "palette=a b", "--estimate"],
            "--fps=9 '--set=palette=a b' --estimate",
        ),
    ],
)
def test_a_folder_that_a_service_holds(folder, argv, same, capfd):
    """The message says the client's command for just this zoom."""
    Path("some.json").write_text("{}")
    head = Head(folder)
    try:
        assert zoom.main(argv) == 3
    finally:
        head.end()
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith("DB_LOCKED: ") and f"`python client.py {same}`" in err


@pytest.mark.parametrize(
    "argv, code, words",
    [
        (["-o", "nowhere/a.mp4"], main.REFUSED, "BAD_OUTPUT: there is no folder nowhere"),
        (["missing.json"], main.REFUSED, "BAD_FILE: missing.json"),
        (["--db", "/proc/no"], 3, "DB_NOT_WRITABLE"),
        ([*SMALL, "--address=embedded", "--device=no such"], 2, "UNKNOWN_DEVICE: no usable device matches"),
        ([*SMALL, "--address=head"], main.REFUSED, "BAD_SETTING: --address (or RAY_ADDRESS) 'head' is no"),
        ([*SMALL, "--address=127.0.0.1:1"], main.REFUSED, "NO_CLUSTER: no Ray head answers at 127.0.0.1:1"),
    ],
)
def test_refusals(folder, argv, code, words, capfd):
    assert zoom.main(argv) == code
    out, err = capfd.readouterr()
    assert out == "" and words in err and "listening on" not in err
    assert not Path("nowhere").exists()


def test_what_the_service_said_is_shown_when_a_job_fails(folder, capfd):
    Path("fail").touch()
    assert zoom.main([*SMALL]) == main.FAILED
    err = capfd.readouterr().err
    assert "What the service said:" in err and "listening on" in err


def test_an_interrupt_says_what_is_kept_and_leaves_nothing_running(folder):
    Path("hold").touch()
    program = (
        "import sys; from mandel.cli import zoom; zoom._HEAD = tuple(sys.argv[1:3]);"
        "sys.exit(zoom.main(sys.argv[3:]))"
    )
    mark = processes.new_mark()
    process = subprocess.Popen(
        [sys.executable, "-c", program, *HEAD, *SMALL],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {processes.VARIABLE: mark, "PYTHONPATH": str(ROOT)},
    )
    try:
        seen = ""
        while "0/12 frames" not in seen:
            line = process.stderr.readline()
            assert line, seen
            seen += line
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == main.INTERRUPTED and out == ""
        assert f"what was rendered is kept in {folder / 'DB'}; the same command goes on" in err
        assert "--attach" not in err and "Traceback" not in err
        assert not processes.marked(mark)
    finally:
        processes.end_all(mark)

"""The client against a service that says what each test tells it to say."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mandel.client import main
from mandel.errors import MandelError
from mandel.payload import fields, in_file
from mandel.payload.decimal_text import Number
from mandel.protocol import codes
from mandel.protocol.operation import Request
from mandel.protocol.reply import ReplyWriter
from tests.support.answers import answering

ROOT = Path(__file__).parents[2]
JOB = "0123456789abcdef" * 4
VIDEO = bytes(range(256)) * 500


def accepted(writer):
    queued = {"job": JOB, "state": "queued", "frames": 2, "done": 0, "rate": None, "seconds_left": None}
    return writer.progress(queued)


def good(video=VIDEO, sha256=None, filename="video.mp4"):
    writer = ReplyWriter()
    running = {"job": JOB, "state": "running", "frames": 2, "done": 1, "rate": 1.5, "seconds_left": [0.6, 70]}
    data = accepted(writer) + writer.progress(running)
    data += writer.video_head(len(video), sha256 or hashlib.sha256(video).hexdigest(), filename)
    return data + video + writer.end()


def failing(code, message="it went wrong", after_accepted=True):
    writer = ReplyWriter()
    return (accepted(writer) if after_accepted else b"") + writer.error(MandelError(code, message))


def run(port, *argv):
    return main.main([*argv, "--port", str(port)])


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("MANDEL_HOST", "MANDEL_PORT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_video_is_put_in_place(empty_folder, capsys):
    Path("deep.json").write_text('{"num_frames": 2, "end_delta": 1e-1000}')
    os.umask(umask := os.umask(0))
    with answering(good()) as (port, requests):
        assert run(port, "deep.json", "--client", "me") == main.OK
    assert requests == [
        Request("render", {"num_frames": Number("2"), "end_delta": Number("1e-1000")}, client="me")
    ]
    assert Path("deep.mp4").read_bytes() == VIDEO
    assert Path("deep.mp4").stat().st_mode & 0o777 == 0o666 & ~umask
    assert sorted(os.listdir()) == ["deep.json", "deep.mp4"]
    out, err = capsys.readouterr()
    assert out == "deep.mp4\n"
    assert f"job {JOB}" in err and "running, 1/2 frames (50 %), 1.5 frames/s, 1 s to 1:10 left" in err


def test_a_script_hears_of_its_video_in_json(capsys):
    with answering(good()) as (port, _):
        assert run(port, "--attach", JOB, "-o", "a.mp4", "--json", "--quiet") == main.OK
    out, err = capsys.readouterr()
    facts = {"job": JOB, "video": "a.mp4", "bytes": len(VIDEO), "sha256": hashlib.sha256(VIDEO).hexdigest()}
    assert json.loads(out) == facts and err == ""


@pytest.mark.parametrize(
    "argv, name",
    [
        (("-o", "a.mp4"), "a.mp4"),
        (("folder/x.json",), "x.mp4"),
        (("--attach", JOB), JOB[:12] + ".mp4"),
        (("folder/film.mp4",), "film.mp4"),
        (("film.mp4",), "film-again.mp4"),
        (("--again", "film.mp4"), "film-again.mp4"),
        ((), "zoom.mp4"),
        (("--fps", "9"), "zoom.mp4"),
    ],
)
def test_output_name(argv, name):
    Path("folder").mkdir()
    Path("folder/x.json").write_text("{}")
    film = b"\0\0\0\x14ftypqt  " + in_file.MARK.encode() + b'{"fps": "25"}'
    for path in (Path("film.mp4"), Path("folder/film.mp4")):
        if path.name in argv or str(path) in argv:
            path.write_bytes(film)
    with answering(good(filename="evil.mp4")) as (port, _):
        assert run(port, *argv, "--quiet") == main.OK
    assert Path(name).read_bytes() == VIDEO
    assert not Path("evil.mp4").exists()
    assert all(path.read_bytes() == film for path in Path().rglob("film.mp4") if str(path) in argv)


@pytest.mark.parametrize(
    "argv, words",
    [
        (("-o", "a.avi"), "a.avi will be a film in mp4, whatever its name; end it in .mp4, or name another"),
        (("-o", "a.mp4", "--container", "mkv"), "a.mp4 will be a film in mkv"),
        (("-o", "a", "--codec", "prores"), "a will be a film in mov"),
        (
            ("-o", "a.jpg", "--preview", "3"),
            "a.jpg will be a picture, a PNG, whatever its name; end it in .png",
        ),
        (("-o", "a.MP4"), ""),
        (("-o", "a.mkv", "--codec", "ffv1"), ""),
        (("--codec", "prores"), ""),
    ],
)
def test_a_name_that_does_not_fit_is_told_before_anything_is_rendered(argv, words, capsys):
    with answering(failing("BUSY", after_accepted=False)) as (port, _):
        run(port, *argv)
    said = capsys.readouterr().err
    assert words in said and ("whatever its name" in said) == bool(words)


def test_the_advice_after_a_broken_reply_names_the_film_as_it_will_be(capsys):
    with answering(good()[:600]) as (port, _):
        assert run(port, "--codec", "prores") == main.DAMAGED
    assert f"--attach {JOB} -o zoom.mov " in capsys.readouterr().err


def test_of_a_job_the_name_says_the_container_or_is_told_to_be_wrong(capsys):
    with answering(failing("BUSY", after_accepted=False), good(), read=json.loads) as (port, requests):
        run(port, "--recolour", JOB, "-o", "a.mov", "--client", "me")
        assert run(port, "--attach", JOB, "-o", "a.mov") == main.OK
    assert requests[0] == {"op": "recolour", "job": JOB, "container": "mov", "client": "me"}
    assert "note: a.mov is a film in mp4, whatever its name" in capsys.readouterr().err


def test_a_film_is_named_after_payload_json_if_that_is_sent():
    Path("payload.json").write_text("{}")
    with answering(good(), good()) as (port, _):
        for argv in ((), ("payload.json",)):
            assert run(port, *argv, "--quiet") == main.OK
    assert sorted(os.listdir()) == ["payload.json", "payload.mp4"]


def test_an_older_video_is_replaced_only_by_a_whole_one():
    Path("a.mp4").write_bytes(b"old")
    with answering(good()[:-3], good()) as (port, _):
        assert run(port, "-o", "a.mp4") == main.DAMAGED
        assert Path("a.mp4").read_bytes() == b"old"
        assert run(port, "-o", "a.mp4") == main.OK
    assert Path("a.mp4").read_bytes() == VIDEO


def test_options_win_over_the_file_and_lose_no_digit():
    digits = "0." + "123456789" * 100
    small = "1.00000000000000000000000000000001e-50"
    Path("payload.json").write_text(f'{{"maxiter": 10, "fps": 29.97, "end_delta": {small}}}')
    with answering(failing("NOT_FOUND")) as (port, requests):
        run(
            port,
            "--maxiter",
            "20",
            "--point",
            f"-1.5,{digits}",
            "--palette",
            "ember",
            "--set",
            "later=1e2",
            "--set",
            "point2=-1,2",
            "--start-delta",
            "1e-7",
        )
    assert requests[0].fields == {
        "maxiter": Number("20"),
        "fps": Number("29.97"),
        "end_delta": Number(small),
        "point": f"-1.5,{digits}",
        "palette": "ember",
        "later": Number("1e2"),
        "point2": "-1,2",
        "start_delta": Number("1e-7"),
    }


def test_there_is_an_option_for_each_field():
    argv = [f"--{field.name.replace('_', '-')}={field.default}" for field in fields.TABLE]
    with answering(failing("NOT_FOUND")) as (port, requests):
        run(port, *argv)
    assert set(requests[0].fields) == set(fields.BY_NAME)


@pytest.mark.parametrize(
    "argv, request_sent",
    [
        (("--list",), Request("list", {})),
        (("--status",), Request("status", {})),
        (("--status", JOB), Request("status", {"job": JOB})),
    ],
)
def test_questions(argv, request_sent, capsys):
    result = {"job": JOB, "state": "done\x1b[2J", "rest": None}
    with answering(ReplyWriter().result(result), ReplyWriter().result(result)) as (port, requests):
        assert run(port, *argv) == main.OK
        assert run(port, *argv, "--json") == main.OK
    assert requests == [request_sent] * 2
    out = capsys.readouterr().out
    told = f"job    {JOB[:12]}\nstate  done?[2J\n"
    assert out.startswith(told) and json.loads(out[len(told) :]) == result


@pytest.mark.parametrize(
    "op, state, said",
    [
        ("cancel", "cancelled", "cancelled"),
        ("cancel", "done", "nothing to cancel: {} is done"),
        ("pause", "paused", "paused"),
        ("resume", "queued", "queued"),
        ("pin", "running", "pinned"),
        ("unpin", "done", "unpinned"),
    ],
)
def test_a_change_is_told_in_one_line(op, state, said, capsys):
    with answering(ReplyWriter().result({"job": JOB, "state": state, "payload": {}, "again": 0})) as (
        port,
        _,
    ):
        assert run(port, f"--{op}", JOB) == main.OK
    line = said.format(JOB[:12]) if "{}" in said else f"{said} {JOB[:12]}"
    assert capsys.readouterr().out == f"{line}\n"


def test_a_pause_says_what_it_cost(capsys):
    with answering(
        *[ReplyWriter().result({"job": JOB, "state": "paused", "frames": 50, "done": 24, "again": 3})] * 2
    ) as (port, _):
        run(port, "--pause", JOB)
        run(port, "--status", JOB)
    said, *facts = capsys.readouterr().out.splitlines()
    cost = "at most 3 more, of segments that were not finished, will be rendered again"
    assert said == f"paused {JOB[:12]}; 24 of 50 frames are stored, {cost}"
    assert any(line.endswith(f"24 of 50, {cost}") for line in facts)


def test_list_is_a_table(capsys):
    rows = [
        {
            "job": JOB,
            "state": "done",
            "frames": 50,
            "done": 50,
            "asked": None,
            "bytes": 12_345_678,
            "pinned": True,
        },
        {"job": JOB, "state": "running", "done": 3, "seconds_left": [60, 185]},
    ]
    with answering(ReplyWriter().result({"jobs": rows}), ReplyWriter().result({"jobs": []})) as (port, _):
        run(port, "--list")
        run(port, "--list")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        *("job", "state", "frames", "film", "left", "asked", "length", "look", "name")
    ]
    assert lines[1].split("  ")[0] == JOB[:12] and "50 of 50" in lines[1]
    assert "12.3 MB, pinned" in lines[1]
    assert lines[2].split() == [JOB[:12], "running", "3", "of", "-", "-", "1:00", "to", "3:05", "-", "-", "-"]
    assert lines[3] == "no jobs"


@pytest.mark.parametrize(
    "data, code",
    [
        *((failing(code, after_accepted=False), main.REFUSED) for code in codes.REFUSED),
        *((failing(code, after_accepted=False), main.UNREACHABLE) for code in codes.UNAVAILABLE),
        (failing("DEVICE_FAILED"), main.FAILED),
        (failing("CANCELLED"), main.FAILED),
        (b"", main.DAMAGED),
        (good()[:50], main.DAMAGED),
        (good()[:-1], main.DAMAGED),
        (good(sha256="0" * 64), main.DAMAGED),
        (good().replace(VIDEO[:300], VIDEO[:299] + b"?", 1), main.DAMAGED),
        (good().replace(b"Content-Length: 128000", b"Content-Length: 1000000000000000000"), main.DAMAGED),
        (good().replace(b"Content-Length: 128000", b"Content-Length: 1000000000000"), main.DAMAGED),
        (good().replace(b"form-data; boundary", b"mixed; boundary"), main.DAMAGED),
        (b"x" * 10**6, main.DAMAGED),
        (b"HTTP/1.1 200 OK\r\n\r\n", main.DAMAGED),
        (ReplyWriter().result({}), main.DAMAGED),
    ],
)
def test_exit_codes_and_nothing_is_left(data, code, capsys):
    with answering(data) as (port, _):
        assert run(port, "-o", "a.mp4") == code
    assert os.listdir() == []
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err


def test_a_video_where_none_was_asked_for():
    with answering(good(), good(), read=json.loads) as (port, _):
        assert run(port, "--list") == main.DAMAGED
        assert run(port, "--cancel", JOB[:9]) == main.DAMAGED
    assert os.listdir() == []


def test_a_name_from_the_service_is_never_used():
    with answering(good().replace(b'"video.mp4"', b'"../evil.mp4"')) as (port, _):
        assert run(port, "-o", "a.mp4") == main.OK
    assert os.listdir() == ["a.mp4"] and not Path("../evil.mp4").exists()
    bad_job = good().replace(JOB.encode(), b"../evil/".ljust(64, b"x"))
    with answering(bad_job) as (port, _):
        assert run(port) == main.OK
    assert sorted(os.listdir()) == ["a.mp4", "zoom.mp4"]


def test_what_the_service_says_cannot_command_the_terminal(capsys):
    with answering(failing("FAILED", "\x1b]0;x\x07 \u202e" + "y" * 5_000)) as (port, _):
        run(port)
    err = capsys.readouterr().err
    assert "\x1b" not in err and "\x07" not in err and "\u202e" not in err and len(err) < 3_000


def test_a_lost_connection_says_how_to_attach(capsys):
    with answering(good()[:600]) as (port, _):
        assert run(port, "-o", "a.mp4") == main.DAMAGED
    assert f"client.py --attach {JOB} -o a.mp4 --host 127.0.0.1 --port {port}" in capsys.readouterr().err


def test_the_beginning_of_an_id_is_sent_as_it_is():
    """The service finds the job."""
    with answering(ReplyWriter().result({}), read=json.loads) as (port, requests):
        assert run(port, "--cancel", JOB[:8]) == main.OK
    assert requests == [{"op": "cancel", "job": JOB[:8]}]


def test_a_deleted_job_says_what_it_gave_back(capsys):
    with answering(ReplyWriter().result({"job": JOB, "state": "deleted", "bytes": 5_000_000})) as (port, _):
        assert run(port, "--delete", JOB) == main.OK
    assert capsys.readouterr().out == f"deleted {JOB[:12]}; 5.0 MB are free\n"


def test_a_cancel_that_is_not_stored_yet_says_so(capsys):
    with answering(
        ReplyWriter().result({"job": JOB, "state": "cancelled", "unsaved": "the disk is full"})
    ) as (port, _):
        assert run(port, "--cancel", JOB) == main.OK
    assert capsys.readouterr().out == f"cancelled {JOB[:12]}; the disk is full\n"


def test_a_web_page_there(capsys):
    page = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with answering(page) as (port, _):
        assert run(port, "--list") == main.DAMAGED
    assert "it is HTTP, as of a web page; --port" in capsys.readouterr().err


ESTIMATED = {
    "frames": 50,
    "length": 2.5,
    "seconds": [1.0, 2.0],
    "cpu_seconds": [2.0, 4.0],
    "slots": {"cpu": 2},
}


def test_an_estimate_is_asked_for_and_shown(capsys):
    writer = ReplyWriter()
    with answering(writer.result(ESTIMATED), read=json.loads) as (port, requests):
        assert run(port, "--estimate", "--fps", "30", "--client", "me") == main.OK
    assert requests == [{"op": "estimate", "fps": 30, "client": "me"}]
    assert capsys.readouterr().out.startswith(
        "film      50 frames, 2.5 s\ntime      1.0 s to 2.0 s with 2 cpu slots, if nothing else runs"
    )


def test_an_estimate_of_other_colours_is_asked_for_by_the_job():
    with answering(ReplyWriter().result(ESTIMATED), read=json.loads) as (port, requests):
        assert run(port, "--recolour", JOB, "--estimate", "--palette", "ember", "--client", "me") == main.OK
    assert requests == [{"op": "estimate", "job": JOB, "palette": "ember", "client": "me"}]


def test_nobody_there(capsys):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert run(port) == main.UNREACHABLE
    assert "python ray_head.py" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv, words",
    [
        (("missing.json",), "missing.json"),
        (("bad.json",), "bad.json: not JSON"),
        (("list.json",), "one JSON object"),
        (("twice.json",), "given twice"),
        (("-o", "nowhere/a.mp4"), "there is no folder nowhere; make it"),
        (("-o", "."), "is a folder"),
        (("-o", "twice.json/a.mp4"), "twice.json is a file"),
        (("-o", "/dev/null"), "no ordinary file"),
        (("-o", "a" * 300), "File name too long; name another"),
        (("--set", "maxiter"), "FIELD=VALUE"),
        (("--set", "=1"), "FIELD=VALUE"),
        (("--frames", "new", "-o", "a.mp4"), "go into mov and mkv, not mp4"),
        (("--list", "--estimate"), "--list takes no payload"),
        (("--recolour", JOB, "--preview", "3"), "no PAYLOAD"),
        (("--cancel", JOB, "--estimate"), "--cancel takes no payload"),
        (("--list", "twice.json"), "--list takes no payload"),
        (("--cancel", JOB, "--fps", "9"), "--cancel takes no"),
        (("--tls-ca", "list.json"), "no PEM certificate"),
        (("--tls-ca", "none.pem"), "none.pem: No such file"),
        (("--token-file", "none"), "none: No such file"),
        (("--port", "70000"), "from 0 to 65535"),
    ],
)
def test_usage(argv, words, capsys):
    Path("bad.json").write_text("{")
    Path("list.json").write_text("[]")
    Path("twice.json").write_text('{"a": 1, "a": 2}')
    assert main.main(["--port", "1", *argv]) == main.REFUSED
    assert words in capsys.readouterr().err


def test_what_is_no_number_is_sent_as_text_for_the_service_to_judge():
    with answering(*[failing("WRONG_TYPE", after_accepted=False)] * 2, read=json.loads) as (port, requests):
        assert run(port, "--priority", "soon") == main.REFUSED
        assert run(port, "--status", "") == main.REFUSED  # no job is not the service
    assert requests[0]["priority"] == "soon" and requests[1] == {"op": "status", "job": ""}


@pytest.mark.parametrize("argv", [("--nosuch",), ("--list", "--status"), ("--port", "x")])
def test_usage_of_options(argv):
    with pytest.raises(SystemExit) as caught:
        main.main(list(argv))
    assert caught.value.code == main.REFUSED


def test_a_bad_variable(monkeypatch, capsys):
    monkeypatch.setenv("MANDEL_PORT", "x")
    assert main.main([]) == main.REFUSED
    assert "MANDEL_PORT" in capsys.readouterr().err


def test_a_caller_may_say_what_becomes_of_the_job(capsys):
    done = []
    with answering(good()[:600], good()) as (port, _):
        argv = ["-o", "a.mp4", "--port", str(port)]
        assert main.main(argv, "it is kept", done.append) == main.DAMAGED
        assert main.main(argv, "it is kept", done.append) == main.OK
    out, err = capsys.readouterr()
    assert "it is kept" in err and "--attach" not in err
    assert out == "" and done == [Path("a.mp4")]


@pytest.mark.parametrize("argv, answer", [(["--list"], ReplyWriter().result({"jobs": []})), ([], good())])
def test_nobody_reads_what_it_prints(argv, answer, tmp_path):
    read_end, write_end = os.pipe()
    os.close(read_end)
    with answering(answer) as (port, _), open(write_end, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, str(ROOT / "client.py"), *argv, "--port", str(port)],
            cwd=tmp_path,
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == main.UNREAD
    assert "BrokenPipe" not in done.stderr and "Traceback" not in done.stderr


def test_interrupt_leaves_the_job(tmp_path):
    """The real program, interrupted as by Ctrl-C while half of the video has arrived."""
    with answering(good()[:-60_000], hold=threading.Event()) as (port, _):
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "client.py"), "--port", str(port), "-o", "a.mp4"],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        seen = ""
        while "receiving" not in seen:
            seen += process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == main.INTERRUPTED
    assert out == "" and f"--attach {JOB} -o a.mp4" in err and "Traceback" not in err
    assert os.listdir(tmp_path) == []


def test_it_needs_nothing_but_the_standard_library():
    """Runs where no package is installed at all (-S: without site-packages)."""
    program = (
        "import sys; from mandel.client import main as client; code = client.main(['--port', sys.argv[1], '-q']);"
        "heavy = {'ray', 'pyopencl', 'numpy', 'gmpy2', 'imageio'} & set(sys.modules);"
        "sys.exit(f'{code} {heavy}' if code or heavy else 0)"
    )
    with answering(good()) as (port, _):
        done = subprocess.run(
            [sys.executable, "-S", "-c", program, str(port)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr


def test_help_is_complete(capsys):
    with pytest.raises(SystemExit) as caught:
        main.main(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    options = ["--" + field.name.replace("_", "-") for field in fields.TABLE]
    for words in (
        "--attach",
        "--set",
        "exit codes",
        "130",
        "MANDEL_PORT",
        "verdigris",
        "another point or delta",
        *options,
    ):
        assert words in out


def test_a_service_without_tls(capsys):
    certificate = ROOT / "tests" / "reference" / "localhost.pem"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: listener.accept()[0].close()).start()  # noqa: PLW0108 - accepts in the thread
        assert run(listener.getsockname()[1], "--list", "--tls-ca", str(certificate)) == main.UNREACHABLE
    assert "NO_TLS: what listens there does not speak TLS; leave --tls-ca out" in capsys.readouterr().err


@pytest.mark.parametrize(
    "host, words",
    [
        ("127.0.0.1", "Start the service: python ray_head.py --port 1"),
        ("nowhere.invalid", "Check --host and --port. Others reach a service that was started there with: "),
    ],
)
def test_where_no_service_answers_it_says_what_to_do(host, words, capsys):
    assert main.main(["--list", "--host", host, "--port", "1"]) == main.UNREACHABLE
    err = capsys.readouterr().err
    assert words in err and ("Start the service" in err) == (host == "127.0.0.1")

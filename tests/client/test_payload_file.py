"""The payload that is sent, and what is said about it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mandel.client import command_line, payload_file
from mandel.errors import PayloadError, RequestError
from mandel.payload.decimal_text import Number
from mandel.payload.payload import parse
from tests.places import samples

ROOT = Path(__file__).resolve().parents[2]
SEED = {"point": "-1.338238635,-0.057237059", "maxiter": 1000, "num_frames": 50, "end_delta": 0.0001}
EXACT_POINT = "--point=" + "-1." + "7" * 40 + ",0"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("payload.json").write_text(json.dumps(SEED))
    Path("named.json").write_text(json.dumps(SEED))


def ask(*argv):
    return payload_file.payload(command_line.parser().parse_args(argv))


def test_the_file_that_was_not_named_is_told():
    assert ask()[1] == ["sending payload.json"]
    assert ask("--palette", "ember", "--fps", "30")[1] == ["sending payload.json with fps=30, palette=ember"]
    assert ask("named.json", "--fps", "30")[1] == []
    Path("payload.json").unlink()
    assert ask("--num-frames", "3") == (
        {"num_frames": Number("3")},
        ["sending the service's default payload with num_frames=3"],
    )


@pytest.mark.parametrize(
    "argv, maxiter",
    [
        (("--end-delta", "1e-30"), None),
        (("--end-delta", "1e-3"), None),
        (("--set", "start_delta=1e-30"), None),
        (("named.json", "--end-delta", "1e-30"), None),
        (("named.json", EXACT_POINT), None),
        (("--fps", "30"), "1000"),
        (("named.json",), "1000"),
        (("named.json", "--frame-width", "64"), "1000"),
        (("--end-delta", "1e-30", "--maxiter", "70"), "70"),
        (("named.json", "--end-delta", "1e-30", "--maxiter", "1000"), "1000"),
        (("--end-delta", "1e-30", "--maxiter", "auto"), "auto"),
    ],
)
def test_a_files_limit_is_not_sent_for_another_place(argv, maxiter):
    sent, told = ask(*argv)
    found = sent.get("maxiter")
    assert (found.text if isinstance(found, Number) else found) == maxiter
    file = "named.json" if "named.json" in argv else "payload.json"
    said = f"maxiter 1000 of {file} was made for another place and is left out"
    assert (said in " ".join(told)) == (maxiter is None)


def test_a_file_without_a_limit_is_sent_as_it_is():
    Path("auto.json").write_text(json.dumps(SEED | {"maxiter": "auto"}))
    assert ask("auto.json", "--end-delta", "1e-3") == (
        {"point": SEED["point"], "maxiter": "auto", "num_frames": Number("50"), "end_delta": Number("1e-3")},
        [],
    )


@pytest.mark.parametrize(
    "point, delta, decimals",
    [
        ("-1.338238635,-0.057237059", "1e-30", 9),
        ("-1.338238635,-0.057237059", "1e-9", None),
        ("-1.3382386350000,0", "1e-13", None),
        ("-1.3382386350000,0", "1e-14", 13),
        ("-2,0", "1e-300", None),
        ("-20e-1,0.0", "1e-300", None),
        ("-1.25e-3,0", "1e-6", 5),
        ("-1.25,0", "1e-30", None),
        ("-0.7,0.1", "x", None),
        ("-0.70001,0.1", "1e-99999999999", 5),
    ],
)
def test_a_zoom_deeper_than_a_point_that_may_be_rounded_is_told_of(point, delta, decimals):
    Path("named.json").write_text("{}")
    _, told = ask("named.json", f"--point={point}", "--end-delta", delta)
    assert len(told) == (decimals is not None)
    assert decimals is None or (f"the point has {decimals} decimals" in told[0] and "locate" in told[0])


PATH = (
    '[{"point": "-0.5,0", "delta": 2.5}, {"point": "-0.75,0.1", "delta": 1e-3, "time": 1}, '
    '{"point": "-1.25,0.02", "delta": 1e-6, "time": 1}]'
)


@pytest.mark.parametrize(
    "argv, words",
    [
        (
            ["--sampling=shared", "--supersampling=2"],
            "supersampling 2 has no effect with sampling shared: all",
        ),
        (
            ["--sampling=shared", "--supersampling=4", f"--path={PATH}"],
            "supersampling 4 counts for frames about",
        ),
        (["--sampling=shared", "--supersampling=3", f"--path={PATH}"], "not made from strips have 3 already"),
        (["--strip-density=2"], "strip_density 2 has no effect, as it is of sampling shared"),
        (["--supersampling-mode=adaptive"], "adaptive has no effect with supersampling 1"),
        (["--supersampling-mode=adaptive", "--supersampling=2"], ""),
        (["--sampling=shared", "--strip-density=2"], ""),
        (["--strip-density=1.10"], ""),
        (["--sampling=other", "--supersampling=2"], ""),
    ],
)
def test_a_field_that_has_no_effect_is_told_of(argv, words):
    Path("named.json").write_text("{}")
    _, told = ask("named.json", *argv)
    assert len(told) == bool(words) and words in "".join(told)


def test_supersampling_of_shared_zooms_counts_where_the_note_says():
    def iterated(along, **more):
        return parse({"sampling": "shared", "supersampling": along, **more}).samples

    assert iterated(1) == iterated(4)
    assert iterated(1, path=PATH) == iterated(3, path=PATH) < iterated(4, path=PATH)


def test_the_same_fields_again():
    argv = ["--palette=ember", "--end-delta=1e-30", "--set=later=-1"]
    args = command_line.parser().parse_args(argv)
    again = command_line.parser().parse_args(payload_file.field_words(args))
    assert payload_file.payload(again) == payload_file.payload(args)


def test_flags_are_true_or_false():
    for words in (("--keep-strips", "true"), ("--set", "keep_strips=true")):
        payload, (told,) = ask(*words)
        assert payload["keep_strips"] is True and told.endswith("with keep_strips=true")
    assert ask("--keep-strips", "false")[0]["keep_strips"] is False
    assert ask("--keep-strips", "yes")[0]["keep_strips"] == "yes"  # the service says what is wrong


def test_recolour_sends_the_changes_alone():
    argv = ["--recolour", "3b1f", "--palette", "ember", "--fps", "60", "--client", "me"]
    args = command_line.parser().parse_args(argv)
    op, message, told = command_line.request(args)
    assert (op, told) == ("recolour", [])
    assert message == {
        "op": "recolour",
        "job": "3b1f",
        "palette": "ember",
        "fps": Number("60"),
        "client": "me",
    }
    with pytest.raises(RequestError, match="takes the job's own payload"):
        command_line.request(command_line.parser().parse_args(["zoom.json", "--recolour", "3b1f"]))


def test_a_place_of_another_program_is_where_the_zoom_ends():
    Path("a.kfr").write_text(samples.KFR)
    sent, told = ask("a.kfr", "--frame-width", "1080", "--frame-height", "1920", "--palette", "ember")
    assert sent == {
        "point": f"{samples.RE},{samples.IM}",
        "end_delta": "0.001125",
        "rotation": Number("30"),
        "palette": "ember",
        "frame_width": Number("1080"),
        "frame_height": Number("1920"),
    }
    said = "\n".join(told)
    taken = "point -0.7436438870371...,0.13182590420531..., delta 0.001125, rotation 30"
    assert f"a.kfr (Kalles Fraktaler): taken are {taken}" in told
    assert "palette of 3 colours" in told[1] and "palette" not in told[0]  # ignored, as ember was asked for
    assert (
        "maxiter 500 was made for the last frame" in said
        and "mirror image" in said
        and "ColorMethod 1" in said
    )
    sent, told = ask("a.kfr", "--maxiter", "700", "--end-delta", "1e-2", "--frame-width", "x")
    assert sent["maxiter"] == Number("700") and sent["end_delta"] == Number("1e-2")
    assert "was made for" not in "\n".join(told)


@pytest.mark.parametrize(
    "options, outwards", [([], True), (["--start-delta", "9"], False), (["--start-delta", "x"], False)]
)
def test_a_zoom_that_leads_outwards_is_told(options, outwards):
    Path("whole.ini").write_text("[location]\nzoom = 1\n")
    assert ("leads outwards" in " ".join(ask("whole.ini", *options)[1])) == outwards


def test_an_entry_of_a_file_with_several():
    Path("a.par").write_text(samples.PAR)
    assert ask("a.par#Seahorse")[0] == ask("a.par")[0]
    with pytest.raises(RequestError, match=r"type=julia; only z\^2 \+ c, the Mandelbrot set"):
        ask("a.par#Other")


OWN = "0:1e140a,0.333333:0080ff,0.666667:030201"


def test_the_palette_of_a_file_is_taken():
    Path("a.kfr").write_text(samples.KFR)
    sent, told = ask("a.kfr")
    assert sent["palette"] == OWN and parse(sent).palette == OWN
    assert told[0].endswith("rotation 30, palette of 3 colours")
    Path("a.kfp").write_text(samples.KFR)
    sent, told = ask("a.kfp", "--fps", "30")
    assert sent == {"palette": OWN, "fps": Number("30")}
    assert told[0] == "a.kfp (Kalles Fraktaler): taken are palette of 3 colours"


def test_palette_names_a_file():
    Path("a.map").write_text(samples.MAP)
    Path("a.ugr").write_text(samples.UGR)
    Path("other.kfr").write_text(samples.KFR.replace("Power: 2", "Power: 3"))
    for option, colours in (("a.map", 64), ("a.ugr#Second", 3), ("other.kfr", 3)):
        sent, _ = ask("named.json", "--palette", option)
        assert sent["palette"].count(":") <= colours and parse(sent).palette == sent["palette"]
    Path("with.json").write_text(json.dumps({"palette": "a.ugr"}))
    assert ask("with.json")[0]["palette"] == "0:ff0000,0.5:00ff00"
    for same in ("ember", "070b2b,4fa3dc", "missing.map"):
        assert ask("named.json", "--palette", same)[0]["palette"] == same
    with pytest.raises(RequestError, match="no palette that can be read"):
        ask("named.json", "--palette", "named.json")
    with pytest.raises(RequestError, match=r"z\^3 \+ c; only .* \(its colours: --palette other.kfr\)"):
        ask("other.kfr")


@pytest.mark.parametrize("point", ["0.5", "1.23456", "x,0", "1"])
def test_what_is_no_point_is_not_sent(point):
    with pytest.raises(PayloadError, match=r"a point has two|the real part"):
        ask("named.json", f"--point={point}")


def test_pasted_points_and_numbers_are_sent_in_their_one_form():
    Path("pasted.json").write_bytes(
        '{"point": "\u22120.7\n5 + 0.1 i", "end_delta": "1e\u22125"}'.encode("utf-16")
    )
    assert ask("pasted.json")[0] == {"point": "-0.75,0.1", "end_delta": "1e-5"}
    assert ask("pasted.json", "--point=0.25 \u2212 0.5i", "--end-delta", "1\u00d710\u207b\u00b2")[0] == {
        "point": "0.25,-0.5",
        "end_delta": "1e-2",
    }


def test_a_plain_payload_loads_nothing_that_it_does_not_need():
    code = "import sys; from mandel.client import main; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert not {"decimal", "tomllib", "mandel.places.read", "mandel.places.pasted"} & set(run.stdout.split())


def test_again_sends_what_a_picture_carries_with_changes():
    from mandel.payload import in_file
    from mandel.payload.payload import parse
    from mandel.video.poster import png

    of_before = parse({"point": "-1.5,1e-40", "end_delta": "1e-60", "num_frames": 7, "codec": "prores"})
    tags = in_file.tags(of_before.canonical(), "2026-11-27")
    Path("poster.png").write_bytes(png(np.zeros((4, 4, 3), np.uint8), tags))
    for argv in (["--again", "poster.png"], ["poster.png"]):
        op, message, _ = command_line.request(command_line.parser().parse_args([*argv, "--client="]))
        assert op == "render" and message.pop("client") == ""
        assert parse(message) == of_before
    message = ask("poster.png", "--codec=hevc", "-o", "again.mkv")[0]
    assert (message["codec"], message["container"], message["num_frames"]) == ("hevc", "mkv", Number("7"))


@pytest.mark.parametrize(
    "carried, mapping",
    [({}, "root"), ({"look": "copper"}, None), ({"mapping": "log"}, "log"), ({"mapping": "even"}, "even")],
)
def test_again_makes_what_was_made_when_the_root_was_usual(carried, mapping):
    """Sheets of previews carried what was sent, and films all fields that there were."""
    from mandel.payload import in_file

    Path("old.mp4").write_bytes(b"\0\0\0\x18ftypisom" + in_file.text({"point": "-1,0"} | carried).encode())
    again, given = ask("old.mp4")[0], ask("old.mp4", "--look", "evening")[0]
    assert parse(again).mapping == (mapping or "even")
    assert parse(given).mapping == "even"
    Path("new.json").write_text('{"point": "-1,0"}')
    assert "mapping" not in ask("new.json")[0]  # the service's own


def test_again_says_how_a_job_s_film_is_had():
    with pytest.raises(RequestError, match="a film's file; of a job here --attach 6a8630813538 gets it"):
        command_line.request(command_line.parser().parse_args(["--again", "6a8630813538"]))


def test_again_says_when_a_file_carries_nothing():
    Path("other.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(5000))
    Path("cut.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b'mandel payload: {"point": "-1')
    for name in ("other.mp4", "cut.png"):
        with pytest.raises(RequestError, match="carries no payload") as caught:
            ask(name)
        assert caught.value.code == "BAD_FILE"
    with pytest.raises(RequestError, match="takes the payload of other"):
        command_line.request(command_line.parser().parse_args(["named.json", "--again", "other.mp4"]))


@pytest.mark.parametrize(
    "fields, told",
    [
        (
            ["--frame-width=7680", "--frame-height=4320"],
            "few devices play h264 .* codec hevc, av1, prores, ffv1 or png",
        ),
        (
            ["--frame-width=16384", "--frame-height=16128"],
            "no level allows, .* codec prores, ffv1 or png suits",
        ),
        (["--frame-width=7680", "--frame-height=4320", "--codec=hevc"], None),
        (["--frame-width=3840", "--frame-height=2160", "--fps=60"], None),
        (["--frame-width=3840", "--frame-height=2160", "--fps=120"], "at 120 frames"),
        (["--fps=1/0"], None),
    ],
)
def test_frames_beyond_common_levels_are_told_of(fields, told):
    said = [line for line in ask("named.json", *fields)[1] if "codec" in line]
    assert len(said) == (told is not None) and all(re.search(told, line) for line in said)


@pytest.mark.parametrize("option", [["--again=x.mp4"], ["--frames=x"], ["--preview=3"], ["named.json"]])
@pytest.mark.parametrize("op", ["--recolour=1234", "--attach=1234", "--cancel=1234"])
def test_other_operations_take_no_payload(op, option):
    with pytest.raises(RequestError) as caught:
        command_line.request(command_line.parser().parse_args([op, *option]))
    assert caught.value.code == "BAD_OPTION"


def test_frames_are_asked_for_as_png():
    def sent(*argv):
        return command_line.request(command_line.parser().parse_args(["named.json", "--frames=x", *argv]))[1]

    asked = sent("--bits=10", "--quality=draft", "--name=mine")
    assert (asked["codec"], asked["quality"], asked["bits"], asked["name"]) == (
        "png",
        "lossless",
        Number("10"),
        "mine",
    )
    with pytest.raises(RequestError, match="leave --codec out"):
        sent("--codec=hevc")
    with pytest.raises(RequestError, match="one of them"):
        sent("--preview=3")


A_PATH = '[{"point": "-0.75,0.1", "delta": 2.5}, {"delta": 1e-9, "time": 3, "hold": 1}]'


def test_what_a_path_makes_is_not_sent_beside_it():
    asked, told = ask("--path", A_PATH, "--fps", "30")
    assert asked == {"path": A_PATH, "fps": Number("30")}
    assert "maxiter 1000 of payload.json was made for another place" in told[1]
    film = parse(asked)
    assert (film.num_frames, film.end_delta, film.fps) == (121, "1E-9", "30")
    Path("film.json").write_text(film.text())
    again = ask("film.json", "--fps", "10")[0]
    assert "num_frames" not in again and parse(again).num_frames == 41
    assert parse(ask("film.json")[0]) == film
    wrong = film.canonical() | {"num_frames": 50}
    Path("wrong.json").write_text(json.dumps(wrong))
    with pytest.raises(PayloadError, match="the path makes it 121"):
        parse(ask("wrong.json")[0])


def test_digits_that_each_stop_has():
    deep = A_PATH.replace("1e-9", "1e-30").replace("-0.75,", "-0.74364388,")
    assert any(
        "the point has 8 decimals, the zoom ends near 1e-30" in line for line in ask("--path", deep)[1]
    )


@pytest.mark.parametrize("count", [1, 2, 12])
def test_a_preview_of_a_path(count):
    asked = payload_file.preview(ask("--path", A_PATH, "--subtitles", "true")[0], count)
    small = parse(asked)
    assert (small.num_frames, small.subtitles, small.codec) == (count, False, "png")
    assert small.path == parse({"path": A_PATH}).path


@pytest.mark.parametrize("count", [1, 2, 12])
def test_a_preview_of_a_path_that_lasts_hours(count):
    long = A_PATH.replace('"time": 3', '"time": 7200').replace('"hold": 1', '"hold": 3600')
    small = parse(payload_file.preview(ask("--path", long)[0], count))
    assert small.num_frames == count
    assert [stop.point for stop in small.path] == ["-0.75,0.1"] * 2
    if count > 2:  # the rest is a third of it
        assert small.camera.delta(6) != small.camera.delta(7) == small.camera.delta(11)


@pytest.mark.parametrize(
    "argv, container",
    [
        (("-o", "a.mp4"), None),
        (("-o", "a.mkv"), "mkv"),
        (("-o", "a.MOV"), "mov"),
        (("-o", "a.film"), None),
        (("-o", "a.mp4", "--codec", "prores"), "mp4"),  # the service refuses it, and says what goes
        (("-o", "a.mov", "--codec", "prores"), None),
        (("-o", "a.mp4", "--container", "mkv"), "mkv"),
        (("-o", "a.mp4", "--codec", "prores", "--preview", "3"), None),
    ],
)
def test_the_name_of_the_output_asks_for_a_container(argv, container):
    assert ask("named.json", *argv)[0].get("container") == container


def test_a_container_that_the_codec_does_not_go_into_is_refused():
    with pytest.raises(PayloadError, match="prores is not put into mp4; choose mov or mkv"):
        parse(ask("named.json", "-o", "a.mp4", "--codec", "prores")[0])


def test_frames_come_from_a_film_in_the_container_that_its_name_says():
    for words, container in ((("-o", "a.mkv"), "mkv"), ((), "mov")):
        args = command_line.parser().parse_args(["named.json", "--frames", "new", *words])
        assert command_line.request(args)[1]["container"] == container


def test_previews_are_called_so_in_lists():
    args = command_line.parser().parse_args(["named.json", "--preview", "3"])
    assert command_line.request(args)[1]["name"] == "preview"
    args = command_line.parser().parse_args(["named.json", "--preview", "3", "--name", "mine"])
    assert command_line.request(args)[1]["name"] == "mine"

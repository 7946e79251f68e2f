"""What may be asked, and that equal payloads are one job."""

import dataclasses
import hashlib
import json
import random
import tracemalloc
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mandel.colour import looks, palettes
from mandel.errors import PayloadError
from mandel.payload import fields
from mandel.payload.decimal_text import Number
from mandel.payload.payload import Payload, parse
from mandel.protocol import strict_json
from mandel.protocol.request import RequestReceiver
from mandel.settings import PayloadLimits
from mandel.version import ENGINE
from tests.end_to_end import bad_inputs
from tests.support.spoiled import answer, spoiled

SEED = {
    "point": "-1.338238635,-0.057237059",
    "num_frames": 50,
    "frame_width": 1000,
    "frame_height": 1000,
    "maxiter": 1000,
    "fps": 20,
    "start_delta": "2.5",
    "end_delta": "0.0001",
}


def read(text):
    return parse(strict_json.loads(text.encode() if isinstance(text, str) else text))


def refused(text, limits=PayloadLimits()) -> PayloadError:
    with pytest.raises(PayloadError) as caught:
        parse(strict_json.loads(text.encode()), limits)
    return caught.value


_SENT = [row for row in bad_inputs.ROWS if row.ending != bad_inputs.RESET]


@pytest.mark.parametrize("row", _SENT, ids=lambda row: row.name)
def test_bad_input(row):
    assert answer(row.pieces, row.ending) == row.answer
    if row.answer != "TRAILING_DATA":
        assert answer([bytes([byte]) for byte in row.data], row.ending) == row.answer


def test_names_of_the_bad_inputs_are_unique():
    assert len({row.name for row in bad_inputs.ROWS}) == len(bad_inputs.ROWS)


def test_the_defaults_are_the_seeds_payload_but_for_its_maxiter():
    assert parse(SEED) == parse({"maxiter": 1000}) == read(Path("payload.json").read_bytes())
    assert parse({}).canonical() == SEED | {
        "maxiter": "auto",
        "fps": "20",
        "look": "",
        "palette": palettes.DEFAULT,
        "mapping": "even",
        "density": "1",
        "offset": "0",
        "relief": "0",
        "relief_angle": "135",
        "edge": "0",
        "interior": "000000",
        "supersampling": 1,
        "supersampling_mode": "full",
        "sampling": "exact",
        "strip_density": "1.1",
        "easing": "0",
        "ease_start": "auto",
        "ease_end": "auto",
        "hold_start": "0",
        "hold_end": "0",
        "rotation": "0",
        "path": (),
        "codec": "h264",
        "quality": "good",
        "container": "auto",
        "bits": "auto",
        "crf": "auto",
        "max_bitrate": "0",
        "subtitles": False,
        "keep_strips": False,
    }


@pytest.mark.parametrize(
    "text",
    [
        '{"maxiter": "auto"}',
        '{"fps": "20.0", "num_frames": 5e1}',
        '{"start_delta": "2.50", "end_delta": 1e-4}',
        '{"end_delta": 100e-6, "start_delta": 25e-1}',
        '{"point": "-1.3382386350, -5.7237059e-2"}',
        '{"supersampling": 1, "palette": "' + palettes.DEFAULT + '"}',
        '{"op": "render"}',
        '{"fps": "20/1"}',
        '{"codec": "h264", "quality": "good", "container": "mp4", "bits": 8, "crf": 20, "max_bitrate": 0.0}',
        '{"fps": "020000/1000"}',
    ],
)
def test_same_job(text):
    receiver = RequestReceiver()
    assert parse(receiver.feed(text.encode()).fields).job_id() == parse({}).job_id()


@pytest.mark.parametrize("text", ['{"maxiter": 1000.0}', '{"maxiter": 1E3}', '{"maxiter": 10000e-1}'])
def test_same_number(text):
    assert read(text).job_id() == parse({"maxiter": 1000}).job_id()


@given(st.permutations(list(SEED.items())))
@settings(deadline=None)
def test_order_of_keys_does_not_matter(items):
    assert parse(dict(items)).job_id() == parse({"maxiter": 1000}).job_id()


@pytest.mark.parametrize(
    "name, value",
    [
        ("point", "-1.338238635,-0.05723705900000000000000000000000000000001"),
        ("num_frames", 51),
        ("frame_width", 998),
        ("maxiter", 1000),
        ("fps", "20.01"),
        ("start_delta", "2.5000000000000000000000000001"),
        ("palette", "silver"),
        ("palette", "102030,405060"),
        ("mapping", "log"),
        ("density", "1.5"),
        ("offset", "-0.25"),
        ("relief", 1),
        ("relief_angle", 45),
        ("edge", "2.5"),
        ("interior", "ffffff"),
        ("end_delta", "1e-1000"),
        ("supersampling", 2),
        ("supersampling_mode", "adaptive"),
        ("sampling", "shared"),
        ("strip_density", 2),
        ("easing", 1),
        ("rotation", -90),
        ("ease_start", "0.2"),
        ("ease_end", "0.2"),
        ("hold_start", "0.5"),
        ("hold_end", "1"),
        ("codec", "hevc"),
        ("quality", "best"),
        ("container", "mkv"),
        ("crf", 21),
        ("subtitles", True),
        ("path", '[{"point": "0,0", "delta": 2}, {"delta": "1e-30", "time": 3}]'),
        ("max_bitrate", "40"),
    ],
)
def test_another_job(name, value):
    payload = parse({name: value})
    assert payload.job_id() != parse({}).job_id()
    assert Payload.from_canonical(payload.canonical()) == payload
    assert Payload.from_canonical(json.loads(json.dumps(payload.canonical()))) == payload


def test_the_id_covers_the_seeds_fields_and_what_differs_from_a_default():
    """So a field that is added later changes no id of before."""
    said = {"engine": ENGINE, "payload": SEED | {"maxiter": "auto", "fps": "20"}}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    root = {"palette": palettes.DEFAULT, "mapping": "root"}
    assert parse(root).job_id() == hashlib.sha256(text.encode()).hexdigest()


def test_no_digit_is_lost():
    digits = "0." + "1234567891" * 1_500
    delta = Number("1.00000000000000000000000000000001e-15000")
    payload = parse({"point": f"-{digits},{digits}", "end_delta": delta})
    assert (payload.re, payload.im) == ("-" + digits, digits)
    assert payload.end_delta == "1.00000000000000000000000000000001E-15000"


@pytest.mark.parametrize(
    "sent, canonical",
    [
        ("30000/1001", "30000/1001"),
        ("60000/2002", "30000/1001"),
        ("2997/100", "29.97"),
        ("1/100", "0.01"),
        ("240/1", "240"),
        ("1/3", "1/3"),
        ("100000000/999999999", "100000000/999999999"),
        (
            "123456789/134217728",
            "123456789/134217728",
        ),  # a decimal of 28 digits, which could not have been sent
        ("5/128", "0.0390625"),
    ],
)
def test_a_rate_has_one_text(sent, canonical):
    payload = parse({"fps": sent})
    assert payload.fps == canonical and parse({"fps": canonical}) == payload
    assert Payload.from_canonical(payload.canonical()) == payload


@given(st.integers(1, 10**9 - 1), st.integers(1, 10**9 - 1))
@settings(deadline=None)
def test_a_rate_keeps_its_value(above, below):
    exact = Fraction(above, below)
    try:
        assert Fraction(parse({"fps": f"{above}/{below}"}).fps) == exact
    except PayloadError as error:
        assert error.code == "OUT_OF_RANGE" and not Fraction(1, 100) <= exact <= 240


def test_zero_has_no_sign():
    assert parse({"point": "-0,-0.0e5"}).canonical()["point"] == "0,0"


def test_a_float_is_a_mistake_of_the_caller():
    with pytest.raises(TypeError):
        parse({"end_delta": 0.1})


@pytest.mark.parametrize("name", looks.NAMES)
def test_a_look_is_the_fields_that_it_stands_for(name):
    written_out = parse(dict(looks.LOOKS[name]))
    assert parse({"look": name}) == written_out
    assert written_out.look == "" and Payload.from_canonical(written_out.canonical()) == written_out
    assert parse({"look": name, "density": 3}) == parse(looks.LOOKS[name] | {"density": "3"})
    assert (parse({"look": name}).job_id() == parse({}).job_id()) == (name == looks.NAMES[0])


@pytest.mark.parametrize("name", looks.NAMES)
def test_a_look_in_words_names_the_palette_where_it_is_another(name):
    assert parse({"look": name}).look_in_words == name
    assert parse({"look": name, "palette": "ember"}).look_in_words == f"{name}, ember"
    assert parse({"look": name, "palette": "ff0000,00ff00"}).look_in_words == f"{name}, 2 own colours"
    assert parse({"look": name, "palette": "ember", "density": 3}).look_in_words == "own look, ember"


@pytest.mark.parametrize(
    "sent, canonical",
    [
        ('"#070B2B, 4fa3dc"', "070b2b,4fa3dc"),
        ('["#070b2b", "#4FA3DC"]', "070b2b,4fa3dc"),
        ('"0:070b2b, .3 : 4fa3dc"', "0:070b2b,0.3:4fa3dc"),
        ('[[0, "070b2b"], [0.300, "#4fa3dc"]]', "0:070b2b,0.3:4fa3dc"),
        ('"silver"', "silver"),
    ],
)
def test_a_palette_has_one_text(sent, canonical):
    assert read(f'{{"palette": {sent}}}').palette == canonical
    assert parse({"palette": canonical}).palette == canonical


@pytest.mark.parametrize(
    "sent, code",
    [
        ('"070b2b"', "UNKNOWN_VALUE"),
        ('"070b2b,xyzxyz"', "UNKNOWN_VALUE"),
        ('"0.1:070b2b,0.3:4fa3dc"', "UNKNOWN_VALUE"),
        ('"0:070b2b,0:4fa3dc"', "UNKNOWN_VALUE"),
        ('"0:070b2b,0.9999:4fa3dc"', "UNKNOWN_VALUE"),
        ('"0:070b2b,4fa3dc"', "UNKNOWN_VALUE"),
        ('"0:070b2b,1:4fa3dc"', "UNKNOWN_VALUE"),
        ('"0:070b2b,1e-1:4fa3dc"', "UNKNOWN_VALUE"),
        ('"' + ",".join(["070b2b"] * 65) + '"', "UNKNOWN_VALUE"),
        ('["070b2b", 3]', "WRONG_TYPE"),
        ('[["070b2b", "070b2b"], "070b2b"]', "WRONG_TYPE"),
        ('{"070b2b": 1}', "WRONG_TYPE"),
    ],
)
def test_what_is_no_palette(sent, code):
    error = refused(f'{{"palette": {sent}}}')
    assert (error.code, error.field) == (code, "palette")
    assert "silver" in error.message and "0.3:4fa3dc" in error.message


@pytest.mark.parametrize("sent", ['"fff"', '"ff00zz"', '""', "16"])
def test_what_is_no_colour(sent):
    error = refused(f'{{"interior": {sent}}}')
    assert error.field == "interior" and "1a2b3c" in error.message


def test_errors_say_what_to_do():
    error = refused('{"num_frame": 1}')
    assert (error.code, error.field) == ("UNKNOWN_FIELD", "num_frame")
    assert "'num_frames'" in error.message and "num_frames" in error.limit
    error = refused('{"frame_width": 17}')
    assert (error.field, error.limit) == ("frame_width", {"min": 2, "max": 16384, "step": 2})
    error = refused('{"palette": "x"}')
    assert error.limit == list(palettes.NAMES)
    error = refused('{"num_frames": 1e9}')
    assert "1000000000000000 samples" in error.message
    error = refused('{"end_delta": "1e-600"}', PayloadLimits(max_depth=500))
    assert (error.code, error.limit) == ("TOO_DEEP_ZOOM", "1e-500")
    assert "{a}" in refused('{"end_delta": "{a}"}').message


def test_limits_are_inclusive():
    limits = PayloadLimits(
        max_frames=7, max_side=20, max_maxiter=30, max_fps=60, max_depth=9, max_pixels=7 * 400
    )
    at_most = {
        "num_frames": 7,
        "frame_width": 20,
        "frame_height": 20,
        "maxiter": 30,
        "fps": "60",
        "end_delta": "1e-9",
    }
    assert parse(at_most, limits).samples == 2_800
    beyond = {"num_frames": "JOB_TOO_BIG", "frame_width": "OUT_OF_RANGE", "maxiter": "OUT_OF_RANGE"}
    for name, code in beyond.items():
        with pytest.raises(PayloadError) as caught:
            parse(at_most | {name: at_most[name] + 2}, limits)
        assert caught.value.code == code
    for change, code in (
        ({"fps": "60.01"}, "OUT_OF_RANGE"),
        ({"end_delta": "9.99e-10"}, "TOO_DEEP_ZOOM"),
        ({"supersampling": 2}, "JOB_TOO_BIG"),
    ):
        with pytest.raises(PayloadError) as caught:
            parse(at_most | change, limits)
        assert caught.value.code == code


def test_strips_of_more_texels_than_int32_numbers_are_refused_with_the_density_that_fits():
    shared = {"sampling": "shared", "num_frames": 2, "frame_width": 16_384, "frame_height": 16_128}
    with pytest.raises(PayloadError) as caught:
        parse(shared | {"strip_density": "2"})
    assert (caught.value.code, caught.value.field) == ("JOB_TOO_BIG", "strip_density")
    most = caught.value.limit
    assert 1 < most < 2 and str(most) in caught.value.message
    assert parse(shared | {"strip_density": str(most)}).strip_density == str(most)
    assert parse(shared | {"frame_width": 7680, "frame_height": 4320, "strip_density": "4"})


def test_a_stored_payload_is_read_whatever_the_limits_are_now():
    payload = parse({"num_frames": 100_000, "end_delta": "1e-20000"})
    assert Payload.from_canonical(payload.canonical()) == payload


@pytest.mark.parametrize(
    "text",
    [
        "1e1000000",
        "1e999999999999999999",
        "9" * 50_000,
        '"1e-999999999999999999"',
        '"0.' + "3" * 50_000 + '"',
    ],
)
@pytest.mark.parametrize("name", ["num_frames", "maxiter", "fps", "start_delta", "end_delta"])
def test_huge_numbers_are_refused_at_once(name, text):
    obj = strict_json.loads(f'{{"{name}": {text}}}'.encode())
    tracemalloc.start()
    try:
        with pytest.raises(PayloadError):
            parse(obj)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 400_000  # bytes: a few copies of the text; 1e1000000 written out is a megabyte


_TEXT = st.builds(
    "{}{}.{}e{}".format,
    st.sampled_from(["", "-"]),
    st.integers(0, 999),
    st.integers(0, 999),
    st.sampled_from([0, 0, 0, 1, -1, 3, -3, 30, -30, -3000, -30000, 400, 10**7]),
)


@given(
    st.dictionaries(
        st.sampled_from([*fields.BY_NAME, "x"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.lists(st.integers(), max_size=1)
        | st.text(max_size=4)
        | _TEXT
        | _TEXT.map(Number)
        | st.tuples(_TEXT, _TEXT).map(",".join),
        max_size=4,
    )
)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_object(obj):
    """A payload that reads back as itself, or a PayloadError."""
    try:
        payload = parse(obj)
    except PayloadError as error:
        json.dumps(error.as_dict(), allow_nan=False)
        return
    assert parse(payload.canonical()) == payload == Payload.from_canonical(payload.canonical())


def test_twenty_thousand_requests_gone_wrong():
    """Each is accepted or refused with a code; nothing else is ever raised."""
    chance = random.Random(1)
    answers = Counter(answer([spoiled(chance)]) for _ in range(20_000))
    assert answers[bad_inputs.ACCEPTED] and answers["TIMEOUT"] == 0
    assert len(answers) > 8


@pytest.mark.parametrize(
    "asked, job",
    [
        ({}, "e98b5e3a6daf9b0d56a9d0ac774950f8043b01e1db6e4449abe2cc57cbcb2565"),
        ({"maxiter": 1000}, "e9745004da82ed7d5f5cc31ab033abf863b4302de3fc33cd128ba7deb331dcf3"),
        (
            {"fps": "30000/1001", "palette": "ember"},
            "a49f6377468e964a40e13a656e28c28278081a5805923dd71cafd099a3cc4031",
        ),
        (
            {
                "end_delta": "1e-1000",
                "easing": "0.5",
                "rotation": "-90",
                "supersampling": 3,
                "supersampling_mode": "adaptive",
            },
            "e5140611b539a5e265c8255d77a7a30ca7aa845d127115f3de9349e6fa3c80e2",
        ),
        (
            {
                "sampling": "shared",
                "keep_strips": True,
                "strip_density": "2.50",
                "num_frames": 7,
                "frame_width": 640,
                "frame_height": 360,
            },
            "9928425ce5991b1c3e52d0a25526689f97e647f043cbadabe2b32e8c15f74ffe",
        ),
        (
            {"point": "-0.75, 1e-1", "start_delta": "1E+1"},
            "4217f84f78e77c0d167a62d07356fc0b2911b3846c22db54097bb301c877d799",
        ),
    ],
)
def test_ids_stay(asked, job, monkeypatch):
    """Videos and half-finished jobs in DB/ go by these. ENGINE is a part of them that may change.

    The mapping was "root" where nothing was said. It is "even" now, and that is another job.
    """
    monkeypatch.setattr("mandel.payload.payload.ENGINE", 3)
    assert parse(asked | {"mapping": "root"}).job_id() == job
    assert parse(asked) == parse(asked | {"mapping": "even"}) and parse(asked).job_id() != job
    assert parse(asked | {"look": "classic", "palette": parse(asked).palette}).job_id() == job


@pytest.mark.parametrize(
    "stored, mapping",
    [
        ({}, "root"),
        ({"palette": "ember"}, "root"),
        ({"mapping": "even"}, "even"),
        ({"look": ""}, "root"),
        ({"look": "copper"}, "even"),
        ({"look": "copper", "mapping": "log"}, "log"),
        ({"look": "classic"}, "root"),
    ],
)
def test_what_was_stored_without_a_mapping_means_the_root(stored, mapping):
    """It was made so. What names a look has that of the look."""
    assert Payload.from_canonical(stored).mapping == mapping


def test_the_id_of_the_even_mapping_stays(monkeypatch):
    """A payload that asked for it before it was usual goes on, and its film is served."""
    monkeypatch.setattr("mandel.payload.payload.ENGINE", 5)
    even = "ef856d3c31708e4420d671c41c8a41fcb09319dacaa444ae4faa81bc117fa4da"
    assert parse({"mapping": "even"}).job_id() == parse({}).job_id() == even


def test_what_was_stored_with_a_float_is_no_payload():
    with pytest.raises(PayloadError) as caught:
        Payload.from_canonical({"num_frames": 50.0})
    assert (caught.value.code, caught.value.field) == ("WRONG_TYPE", "num_frames")


def test_a_payload_has_the_fields_of_the_table_and_no_others():
    names = [field.name for field in fields.TABLE]
    assert list(parse({}).canonical()) == [f.name for f in dataclasses.fields(Payload)] == names
    assert all(getattr(Payload(), field.name) == field.default for field in fields.TABLE)
    assert Payload() == parse({})


@pytest.mark.parametrize(
    "fields, maxiter",
    [
        ({}, "auto"),
        ({"end_delta": "1e-8"}, "auto"),
        ({"maxiter": 1000}, 1000),
        ({"end_delta": "1e-9"}, "auto"),
        ({"start_delta": "1e-1000", "end_delta": 2}, "auto"),
        ({"end_delta": "1e-300", "maxiter": 5000}, 5000),
        ({"maxiter": "auto"}, "auto"),
    ],
)
def test_maxiter_is_found_unless_it_is_given(fields, maxiter):
    found = parse(strict_json.loads(json.dumps(fields).encode()), PayloadLimits())
    assert found.maxiter == maxiter
    assert Payload.from_canonical(found.canonical()) == found


def test_a_camera_that_cannot_be_is_refused():
    for text, word in [
        ('{"ease_start": 0.7, "easing": 0.8}', "take 1.1 of the time"),
        ('{"hold_start": 1.5, "hold_end": "1", "num_frames": 51}', "ask for 52 frames at least, not 51"),
    ]:
        error = refused(text)
        assert error.code == "CONFLICT" and word in error.message
    held = parse({"hold_start": "1.5", "hold_end": "1", "num_frames": 52, "ease_end": "0.9"})
    assert (held.held, held.ramps) == ((30, 20), (0.0, 0.9))


A_PATH = '{"point": "-0.5,0", "delta": 2.5, "hold": 1}, {"point": "0.25,0.1", "delta": "1E-4", "time": 3, "easing": 1}'


def test_what_follows_from_a_path():
    found = parse(
        strict_json.loads(f'{{"path": [{A_PATH}, {{"delta": 1e-3, "time": 2.5}}], "fps": 24}}'.encode())
    )
    assert (found.num_frames, found.start_delta, found.end_delta, found.point) == (
        157,
        "2.5",
        "0.001",
        "0.25,0.1",
    )
    assert found.path[2] == ("0.25,0.1", "0.001", "2.5", "0", "0", "0.5")
    assert parse({"path": f'[{A_PATH}, {{"delta": 1e-3, "time": 2.5}}]', "fps": "24"}) == found
    assert parse(found.canonical()) == Payload.from_canonical(json.loads(found.text())) == found
    assert found.camera.view(24).delta == "2.5" and found.camera.view(156).delta == "0.001"


@pytest.mark.parametrize(
    "text, code, words",
    [
        (
            f'{{"path": [{A_PATH}], "num_frames": 50}}',
            "CONFLICT",
            "num_frames: the path makes it 81; leave num_frames",
        ),
        (f'{{"path": [{A_PATH}], "end_delta": 1e-5}}', "CONFLICT", "end_delta: the path makes it 0.0001"),
        (f'{{"path": [{A_PATH}], "point": "0,0"}}', "CONFLICT", "point: the path makes it 0.25,0.1"),
        (f'{{"path": [{A_PATH}], "hold_end": 1}}', "CONFLICT", "hold_end: each stop of a path has its own"),
        ('{"path": {}}', "WRONG_TYPE", "path: must be a list of stops, such as"),
        ('{"path": "[1"}', "WRONG_TYPE", "path: is no JSON list"),
        ('{"path": [{"point": "0,0", "delta": 1}]}', "OUT_OF_RANGE", "path: a path has 2 to 20 stops, not 1"),
        ('{"path": [{"point": "0,0"}, {}]}', "CONFLICT", "path: stop 1: the first stop needs a delta"),
        (
            '{"path": [{"point": "0,0", "delta": 1, "time": 1}, {}]}',
            "CONFLICT",
            "path: stop 1: the film begins there",
        ),
        (
            '{"path": [{"point": "0,0", "delta": 1}, {"delta": 2}]}',
            "CONFLICT",
            "stop 2: each stop but the first needs",
        ),
        (
            '{"path": [{"point": "0,0", "delta": 1}, {"zoom": 2}]}',
            "UNKNOWN_FIELD",
            "stop 2: has no 'zoom'; a stop has",
        ),
        (
            '{"path": [{"point": "0,0", "delta": 1}, {"time": 0}]}',
            "OUT_OF_RANGE",
            "path: stop 2: time: '0' is out of",
        ),
        (
            '{"path": [{"point": "0,0", "delta": 1}, {"time": 1, "hold": 1, "easing": 0}]}',
            "CONFLICT",
            "stop 2: it is held, so the camera must slow down",
        ),
        (
            '{"path": [{"point": "0,0", "delta": 1}, {"time": 1, "delta": "1e-90000"}]}',
            "TOO_DEEP_ZOOM",
            "stop 2: delta: '1e-90000' is below 1e-20000",
        ),
    ],
)
def test_a_path_that_cannot_be_is_refused(text, code, words):
    error = refused(text)
    assert error.code == code and words in error.message, error.message

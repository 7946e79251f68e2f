"""Files that are dropped onto the page and points that are pasted: read by the code that the client has."""

import base64
import json

import pytest

from mandel.colour.looks import LOOKS
from mandel.payload import in_file
from mandel.places.opened import place_of
from mandel.places.read import found_in
from mandel.places.text import MOST_BYTES
from tests.places import samples

KFR = "Re: -0.5\r\nIm: 0.25\r\nZoom: 4E30\r\nIterations: 10\r\n"


def asked(web, name, data, **shape):
    return web.post("/api/place", {"name": name, "data": base64.b64encode(data).decode(), **shape})


@pytest.mark.parametrize(
    "text, place",
    [
        ("-0.5, 0.25, 1e-30", ("-0.5", "0.25", "1e-30")),
        ("-0.5\n0.25\n1e-30", ("-0.5", "0.25", "1e-30")),
        ("-0.5 0.25", ("-0.5", "0.25", None)),
        ("\u22120.5 + 0.25i", ("-0.5", "0.25", None)),
        ('{"point": "-0.5,0.25", "end_delta": 1e-40}', ("-0.5", "0.25", "1e-40")),
        (
            '{"path": [{"point": "0,1", "delta": "1"}, {"point": "-0.5,0.25", "delta": "1e-40"}]}',
            ("-0.5", "0.25", "1e-40"),
        ),
        ("Re: -0.5\nIm: 0.25", ("-0.5", "0.25", None)),
        (KFR, ("-0.5", "0.25", "1e-30")),
        ('[location]\nreal = "-0.5"\nimag = "0.25"\nzoom = "4e30"', ("-0.5", "0.25", "1e-30")),
    ],
)
def test_pasted_text(web, text, place):
    told = web.post("/api/place", {"text": text})
    assert told.status == 200, told.body
    assert tuple(value and value.lower() for value in told.json["place"].values()) == place


@pytest.mark.parametrize(
    "text", ["no place at all", "1, 2, 3, 4", "", '{"point": 3}', "a = b\nc = d\ne = f\ng"]
)
def test_text_without_a_place_is_refused_in_words(web, text):
    told = web.post("/api/place", {"text": text})
    assert told.status == 400 and told.json["error"]["message"]


@pytest.mark.parametrize(
    "text, code",
    [
        ("1e999999999,0", "NOT_FINITE"),
        ("0,0,0", "OUT_OF_RANGE"),
        ("0,0,-1", "OUT_OF_RANGE"),
        ("0,0,1e-99999999999", "TOO_DEEP_ZOOM"),
        ("0,0,far", "BAD_NUMBER"),
        ('{"point": "0,0", "delta": [1]}', "WRONG_TYPE"),
        ('{"point": "0,0", "delta": true}', "WRONG_TYPE"),
        ('{"point": "0,0", "palette": 5}', "WRONG_TYPE"),
        ('{"point": "0,0", "density": "none"}', "BAD_NUMBER"),
        ('{"point": "0,0", "look": []}', "WRONG_TYPE"),
    ],
)
def test_a_place_that_no_payload_can_have_is_refused(web, text, code):
    told = web.post("/api/place", {"text": text})
    assert (told.status, told.code) == (400, code)


def test_a_file_has_the_extent_that_the_client_gives_it(web):
    found = found_in(KFR, "a.kfr")
    for width, height in ((1600, 900), (900, 1600)):
        told = asked(web, "a.kfr", KFR.encode("utf-16"), width=width, height=height)
        assert told.json["place"]["extent"] == place_of(found, "a.kfr").delta(width, height)
    assert told.json["said"][0].startswith("a.kfr (Kalles Fraktaler)")


def test_a_payload_brings_its_colours(web):
    told = asked(web, "p.json", b'{"point": "0,1", "look": "copper", "relief": 0.25, "fps": 30}').json
    assert (
        told["look"] | {"relief": "0.25", "palette": LOOKS["copper"]["palette"], "density": "0.8"}
        == told["look"]
    )
    assert "fps" not in told["look"]


def test_a_payload_of_a_film_comes_whole(web):
    payload = {"point": "-0.5,0.25", "end_delta": "1e-40", "num_frames": 30, "fps": "30000/1001"}
    for data in (
        json.dumps(payload).encode(),
        b"\0\0\0\x14ftypqt  .." + in_file.text(payload).encode() + b"\0..",
    ):
        told = asked(web, "a", data).json
        assert told["film"]["num_frames"] == 30 and told["film"]["fps"] == "30000/1001"
        assert told["place"] == {"re": "-0.5", "im": "0.25", "extent": "1e-40"}
    for others in ({"num_frames": 1}, {"num_frames": 30, "colour": "blue"}):
        told = asked(web, "a.json", json.dumps(payload | others).encode()).json
        assert told["film"] is None and told["place"]["re"] == "-0.5"
    assert "colour" in told["said"][0]


def test_a_film_of_before_has_the_mapping_that_was_usual(web):
    payload = {"point": "-0.5,0.25", "num_frames": 30}
    film = asked(web, "a.mp4", b"\0\0\0\x14ftypqt  .." + in_file.text(payload).encode()).json
    assert film["look"] == {"mapping": "root"} and film["film"]["mapping"] == "root"
    new = asked(web, "a.json", json.dumps(payload).encode()).json
    assert new["look"] == {} and new["film"]["mapping"] == "even"


def test_a_film_without_a_payload_is_refused(web):
    told = asked(web, "theirs.mp4", b"\0\0\0\x14ftypqt  " + bytes(100))
    assert told.code == "BAD_FILE" and "theirs.mp4 carries no payload" in told.json["error"]["message"]


def test_a_palette_without_a_place(web):
    told = asked(web, "a.gpl", b"GIMP Palette\nName: a\n#\n0 0 0\n255 128 0\n").json
    assert told["place"] is None and told["look"]["palette"].endswith("ff8000")


def test_another_formula_is_refused_by_name(web):
    told = asked(web, "ship.kfr", (KFR + "FractalType: 1\r\n").encode())
    assert told.status == 400 and "Burning Ship" in told.json["error"]["message"]


def test_what_is_too_large_or_no_base64_is_refused(web):
    assert asked(web, "a.kfr", bytes(MOST_BYTES + 1)).code == "TOO_LARGE"
    assert web.post("/api/place", {"name": "a", "data": "%"}).code == "WRONG_TYPE"
    assert web.post("/api/place", {}).code == "MISSING_FIELD"


@pytest.mark.parametrize(
    "data, turn",
    [
        (samples.PLACES["a.upr"].encode(), "-30"),
        (samples.PLACES["a.kfr"].encode(), "30"),
        (samples.PLACES["a.upr"].replace("angle=30", "angle=0").encode(), None),
        (b'{"point": "-0.5,0.25", "end_delta": 1e-4, "rotation": 15.5}', "15.5"),
        (b'{"point": "-0.5,0.25", "end_delta": 1e-4, "rotation": "0"}', None),
        (b'{"point": "-0.5,0.25", "num_frames": 30, "rotation": 15}', None),  # its form has it
    ],
)
def test_a_rotation_that_the_page_does_not_take_is_told_as_such(web, data, turn):
    told = asked(web, "a", data)
    assert told.status == 200, told.body
    said = " ".join(told.json["said"])
    assert ("this page shows all places upright" in said) == (turn is not None)
    assert turn is None or (f"turned by {turn} degrees" in said and f"degrees {turn} in the form" in said)
    assert not any("taken are" in line and "rotation" in line for line in told.json["said"])

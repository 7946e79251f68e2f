"""Whatever a body or an address holds: no answer says INTERNAL, and the head serves on."""

import itertools

import pytest

from tests.service.heads import SMALL

ODD = [
    *("null", "true", "0", "-1", "1.5", "1e400", "NaN", "-0", "9" * 5_000),
    *('""', '"x"', '"\\u0000"', '"\\ud800"', '"' + "f" * 50_000 + '"', '"../../etc/passwd"'),
    *("[]", "[[]]", "[1,2,3]", "{}", '{"a":{"b":[null]}}', "[" * 40 + "]" * 40),
]
PLACES = {
    "/api/login": {"token": '"x"'},
    "/api/anchors": {"level": "8", "x": '"0"', "y": '"0"'},
    "/api/tiles": {"anchor": f'"{"0" * 32}"', "maxiter": "9", "step": "1", "tiles": "[[0,0,0]]"},
    "/api/limit": {"anchor": f'"{"0" * 32}"', "dlevel": "0", "x": "[0,1]", "y": "[0,1]"},
    "/api/locate": {"re": '"x"', "im": '"0"', "delta": '"1"', "max_period": "9"},
    "/api/jobs": dict.fromkeys(("point", "maxiter", "palette", "priority", "client", "op", "token"), '"x"'),
    "/api/check": dict.fromkeys(("point", "num_frames", "fps", "sampling", "keep_strips"), '"x"'),
    f"/api/jobs/{'0' * 64}/recolour": {"palette": '"ember"', "priority": "1", "op": '"list"', "job": '"x"'},
    f"/api/jobs/{'0' * 64}/cancel": {"job": '"x"'},
}


@pytest.mark.parametrize("path", PLACES)
def test_odd_bodies_are_answered(head, web, path):
    fields = PLACES[path]
    bodies = [*ODD, "", "{", '{"a":1}{}', '{"a":1,"a":2}', "\ufeff{}"]
    for name, value in itertools.product(fields, ODD):
        rest = {**fields, name: value}
        bodies.append("{" + ",".join(f'"{key}":{text}' for key, text in rest.items()) + "}")
    for body in bodies:
        told = web.post(path, body.encode("utf-8", "surrogatepass"))
        assert told.status < 500, (path, body[:200], told.status, told.body[:200])
    assert web.get("/api/state").status == 200 and "INTERNAL" not in head.said()


def test_odd_addresses_are_refused(head, web):
    odd = ["0", "-1", "1e9", "x" * 300, "%00", "%2e%2e", "NaN", "9" * 400, "-", "+1", "%D9%A1", "1.0"]
    for value in odd:
        for path in (
            f"/tile/{'0' * 32}/3/{value}/0/0/0",
            f"/tile/{'0' * 32}/3/9/{value}/0/0",
            f"/tile/{'0' * 32}/3/9/0/0/0?step={value}",
            f"/tile/{value}/3/9/0/0/0",
            f"/tile/{'0' * 32}/{value}/9/0/0/0",
            f"/api/jobs/{value}",
            f"/media/{value}/video.mp4",
            f"/static/{value}/{value}",
            f"/api/events/{value}",
        ):
            assert web.get(path).status in (400, 404), path
    assert web.post("/api/jobs", SMALL).status == 202 and "INTERNAL" not in head.said()

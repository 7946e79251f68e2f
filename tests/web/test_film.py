"""A real film by the page's API: ordered, followed, watched, coloured anew; and tiles while it is made."""

import hashlib

import numpy as np
import pytest

from mandel.payload.payload import parse
from tests.support.processes import wait_for

FILM = {"num_frames": 12, "frame_width": 96, "frame_height": 64, "maxiter": 300, "fps": 10}
PNG = b"\x89PNG\r\n\x1a\n"


def test_a_film_from_its_order_to_its_new_colours(real_web):
    payload = {**FILM, "sampling": "shared", "keep_strips": True}
    job = real_web.post("/api/jobs", payload).json["job"]
    events, states = real_web.events(), []
    while "done" not in states:
        event, _, data = events.next()
        rows = data["jobs"] if event == "snapshot" else [data] if event == "job" else []
        states += [row["state"] for row in rows if row["job"] == job]
    events.close()
    poster = real_web.get(f"/media/{job}/poster.png")
    assert poster.body.startswith(PNG) and poster.headers["Content-Type"] == "image/png"
    whole = real_web.get(f"/media/{job}/video.mp4")
    assert (
        whole.body[4:8] == b"ftyp" and whole.headers["ETag"] == f'"{hashlib.sha256(whole.body).hexdigest()}"'
    )
    assert real_web.get(f"/media/{job}/video.mp4", Range="bytes=4-7").body == b"ftyp"
    other = real_web.post(f"/api/jobs/{job}/recolour", {"palette": "ember"})
    assert (
        other.status == 202
        and other.json["job"] == parse({**payload, "palette": "ember", "keep_strips": False}).job_id()
    )
    path = f"/media/{other.json['job']}/video.mp4"
    wait_for(lambda: real_web.get(path).status == 200, 120, "the recoloured film is there")
    assert real_web.get(path).body != whole.body


@pytest.mark.parametrize(
    "codec, container, kind", [("prores", "mov", "video/quicktime"), ("ffv1", "mkv", "video/x-matroska")]
)
def test_a_film_that_no_browser_plays_is_told_by_its_type(real_web, codec, container, kind):
    job = real_web.post("/api/jobs", {**FILM, "codec": codec}).json["job"]
    path = f"/media/{job}/video.mp4"
    wait_for(lambda: real_web.get(path).status == 200, 120, "the film is there")
    told = real_web.ask("HEAD", path + "?download")
    assert told.headers["Content-Type"] == kind
    assert told.headers["Content-Disposition"].endswith(f'.{container}"')
    assert real_web.get(f"/media/{job}/poster.png").body.startswith(PNG)


def test_tiles_come_while_a_film_takes_all_slots_and_the_film_gets_on(real_web):
    film = {**FILM, "num_frames": 3_000, "frame_width": 640, "frame_height": 640, "supersampling": 2}
    job = real_web.post("/api/jobs", film).json["job"]

    def known() -> dict:
        return real_web.get(f"/api/jobs/{job}").json

    wait_for(lambda: known()["done"] > 0, 120, "the film has begun")
    name, before = real_web.anchor(10, -3, 1), known()["done"]
    for n in range(40):
        tile = real_web.tiles(name, 1_234, [[0, n, 0]])[0]
        assert isinstance(tile, np.ndarray), tile
    during = known()
    assert during["state"] == "running", "the film was over before it could be in the way"
    wait_for(lambda: known()["done"] > before, 120, "the film gets on")
    wait_for(lambda: known()["segments"] > 0, 300, "a part is stored")
    picture = real_web.get(f"/api/jobs/{job}/last.png")
    assert picture.status == 200 and picture.body.startswith(PNG)
    assert real_web.get(f"/api/jobs/{job}/last.png", If_None_Match=picture.headers["ETag"]).status in (
        200,
        304,
    )
    assert real_web.post(f"/api/jobs/{job}/cancel").json["state"] == "cancelled"
    assert real_web.get(f"/api/jobs/{job}/last.png").status == 200  # also of what was cancelled

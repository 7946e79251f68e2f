"""Tiles, limits and minibrots, from a real head with Ray, against ``still`` and ``locate``."""

import json
import os
import signal
import socket
import struct
import threading
import time
from contextlib import suppress
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from mandel.cli import locate, still
from mandel.device.context import device_context
from mandel.payload import payload
from mandel.plan.tile import Anchor
from mandel.version import ENGINE
from tests.support.processes import wait_for
from tests.support.service import Service, free_port
from tests.support.web import Web
from tests.support.zooms import Zoomed

SEAHORSES = "-0.743643887037151", "0.131825904205330"
# The tip of a dendrite: orbits near it follow it for as long as they are near, however near that is.
TIP = "0", "1"


def tile_of(re: str, im: str, level: int) -> Anchor:
    """The tile of a level that holds a point."""
    x, y = (int(Fraction(Decimal(text)) * Fraction(2) ** level // 256) for text in (re, im))
    return Anchor(level, x, y)


def decimals(value: Fraction, digits: int) -> str:
    with localcontext() as context:
        context.prec = digits
        return str(Decimal(value.numerator) / Decimal(value.denominator))


def still_of(anchor: Anchor, dx: int, dy: int, maxiter: int, folder) -> np.ndarray:
    """What ``still`` says of the tile (0, dx, dy) of an anchor: smooth counts, float32 (256, 256)."""
    side = Fraction(2) ** (8 - anchor.level)
    digits = max(anchor.level, 0) + 60
    point = ",".join(
        decimals((at + d + Fraction(1, 2)) * side, digits) for at, d in ((anchor.x, dx), (anchor.y, dy))
    )
    out = folder / "still.npz"
    delta = decimals(side, 50)
    code = still.main(
        ["--point", point, "--delta", delta, "--width", "256", "--height", "256", "--maxiter", str(maxiter),
         "--device", "cpu,auto", "-o", str(out)]
    )  # fmt: skip
    assert code == 0
    with np.load(out) as found:
        return found["smooth"]


@pytest.mark.parametrize("level, dx, dy", [(6, 0, 0), (10, -1, 2), (24, 3, -2)])
def test_a_shallow_tile_is_the_still_picture_to_the_last_bit(real_web, tmp_path, level, dx, dy):
    anchor = tile_of(*SEAHORSES, level)
    name = real_web.anchor(anchor.level, anchor.x, anchor.y)
    tile = real_web.tiles(name, 3_000, [[0, dx, dy]])[0]
    assert np.array_equal(tile, still_of(anchor, dx, dy, 3_000, tmp_path))
    assert np.unique(tile).size > 1_000


@pytest.mark.parametrize("level, maxiter", [(60, 40_000), (1_005, 3_000), (16_620, 40_000)])
def test_a_deep_tile_is_the_still_picture(real_web, tmp_path, level, maxiter):
    """1e-16, 1e-300 and 1e-5000. The orbit is another one, which only samples may show whose neighbours differ much."""
    anchor = tile_of(*(SEAHORSES if level == 60 else TIP), level)
    name = real_web.anchor(anchor.level, anchor.x, anchor.y)
    for dx, dy in ((0, 0), (2, -1)):
        tile, picture = (
            real_web.tiles(name, maxiter, [[0, dx, dy]])[0],
            still_of(anchor, dx, dy, maxiter, tmp_path),
        )
        around = np.lib.stride_tricks.sliding_window_view(picture, (3, 3)).reshape(254, 254, 9)
        calm = np.ptp(around, axis=2) < 0.01 * picture[1:-1, 1:-1]
        assert calm.mean() > 0.4 and np.ptp(picture[1:-1, 1:-1][calm]) > 1
        assert np.allclose(tile[1:-1, 1:-1][calm], picture[1:-1, 1:-1][calm], rtol=1e-6, atol=0)


def test_a_coarse_tile_is_part_of_a_level_above(real_web):
    anchor = tile_of(*SEAHORSES, 12)
    name = real_web.anchor(anchor.level, anchor.x - anchor.x % 8, anchor.y - anchor.y % 8)
    found = real_web.tiles(name, 1_000, [[0, 1, 2]], step=8)[0]
    above = real_web.tiles(name, 1_000, [[-3, 0, 0]])[0]
    assert found.shape == (32, 32)
    assert np.mean(np.abs(found - above[256 - 3 * 32 : 256 - 2 * 32, 32:64]) < 1e-3) > 0.99


def test_a_tile_by_its_address_is_the_same_and_may_be_kept(real_web):
    anchor = tile_of(*SEAHORSES, 14)
    name = real_web.anchor(anchor.level, anchor.x, anchor.y)
    told = real_web.get(f"/tile/{name}/{ENGINE}/500/1/-3/4?step=2")
    assert told.status == 200 and "immutable" in told.headers["Cache-Control"]
    assert struct.unpack_from("<4sHHII", told.body) == (b"MTL1", 128, 128, 500, 0)
    again = real_web.tiles(name, 500, [[1, -3, 4]], step=2)[0]
    assert np.frombuffer(told.body, "<f4", offset=16).tobytes() == again.tobytes()
    assert real_web.get(f"/tile/{name}/{ENGINE + 1}/500/1/-3/4").status == 404


@pytest.mark.parametrize("level", [10, 60])
def test_a_shaded_tile_has_distances_and_slopes(real_web, level):
    """In spacings and in 127ths; they point and grow as the differences of the counts say."""
    anchor = tile_of(*SEAHORSES, level)
    name = real_web.anchor(anchor.level, anchor.x, anchor.y)
    path = f"/tile/{name}/{ENGINE}/40000/0/0/0"
    plain, shaded = real_web.get(path).body, real_web.get(f"{path}?shaded=1").body
    samples = 256 * 256
    assert struct.unpack_from("<4sHHII", shaded) == (b"MTL1", 256, 256, 40_000, 2)
    assert len(shaded) == len(plain) + 4 * samples
    counts = np.frombuffer(shaded, "<f4", samples, 16).reshape(256, 256)
    assert np.allclose(counts, np.frombuffer(plain, "<f4", samples, 16).reshape(256, 256), rtol=1e-5)
    distance = np.frombuffer(shaded, "<f2", samples, 16 + 4 * samples).reshape(256, 256).astype(float)
    slope = np.frombuffer(shaded, "i1", 2 * samples, 16 + 6 * samples).reshape(256, 256, 2) / 127
    calm = (distance > 2) & (counts > 0)
    assert calm.sum() > 200
    assert np.allclose(np.hypot(*np.moveaxis(slope[calm], 1, 0)), 1, atol=0.02)
    down, right = np.gradient(counts.astype(float))
    size = np.hypot(right, down)
    inner = calm & (size > 0)
    inner[[0, -1]] = inner[:, [0, -1]] = False
    # Counts grow towards the set; the slope of z / (dz/dc) leads away from it.
    along = -(slope[..., 0] * right - slope[..., 1] * down)[inner] / size[inner]
    assert np.median(along) > 0.95


def test_the_curve_is_that_of_a_film_whatever_the_anchor(real_web):
    """A place has the same colours however one came there: anchors and what was seen before change nothing."""
    told = []
    for level, reach in ((20, 1), (23, 8), (18, Fraction(1, 4))):  # one extent, by anchors of three levels
        anchor = tile_of(*SEAHORSES, level)
        side = Fraction(2) ** (8 - level)
        x, y = (
            (Fraction(Decimal(text)) / side - at)
            for text, at in zip(SEAHORSES, (anchor.x, anchor.y), strict=True)
        )
        part = {"x": [float(x - reach / 2), float(x + reach / 2)], "y": [float(y - reach), float(y + reach)]}
        view = {"anchor": real_web.anchor(level, anchor.x, anchor.y), "dlevel": 0, **part}
        asked = {"views": [view], "maxiter": 700}
        told.append(
            real_web.post("/api/curve", asked, timeout=300).json["knots"]
        )  # the first starts the explorer
    fields = {"point": ",".join(SEAHORSES), "end_delta": "0.000244140625", "num_frames": 2, "maxiter": 700}
    film = Zoomed(device_context("cpu"), payload.parse(fields))
    assert told[0] == told[1] == told[2] == [list(knot) for knot in film.style().curve]
    for wrong in (
        {"views": []},
        {"views": [view] * 65},
        {"views": [[1]]},
        {"views": [view | {"x": [2, 1]}]},
        {"views": [view], "maxiter": 0},
    ):
        assert real_web.post("/api/curve", wrong).status == 400


def test_what_is_all_alike_is_small(real_web):
    name = real_web.anchor(10, 0, 0)
    told = real_web.get(f"/tile/{name}/{ENGINE}/100/0/0/0")
    assert len(told.body) == 20 and not np.frombuffer(told.body, "<f4", offset=16).any()


def test_anchors_have_the_same_name_after_a_restart(real_web):
    assert real_web.anchor(100, -5, 255) == real_web.anchor(100, -5, 255) != real_web.anchor(101, -5, 255)
    told = real_web.post("/api/anchors", {"level": 100, "x": "-05", "y": "00ff"})
    assert told.json["anchor"] == real_web.anchor(100, -5, 255)


@pytest.mark.parametrize(
    "fields, code",
    [
        ({"level": 10**7, "x": "0", "y": "0"}, "OUT_OF_RANGE"),
        ({"level": "8", "x": "0", "y": "0"}, "WRONG_TYPE"),
        ({"level": 1.5, "x": "0", "y": "0"}, "WRONG_TYPE"),
        ({"level": 8, "x": "0x1", "y": "0"}, "BAD_NUMBER"),
        ({"level": 8, "x": "", "y": "0"}, "BAD_NUMBER"),
        ({"level": 8, "x": 5, "y": "0"}, "WRONG_TYPE"),
        ({"level": 8, "x": "1" * 4_000, "y": "0"}, "OUT_OF_RANGE"),
        ({"level": 8, "x": "0"}, "MISSING_FIELD"),
        ({"level": 8, "x": "0", "y": "0", "z": "0"}, "UNKNOWN_FIELD"),
        ([], "NOT_OBJECT"),
    ],
)
def test_a_wrong_anchor_is_refused(real_web, fields, code):
    told = real_web.post("/api/anchors", fields)
    assert (told.status, told.code) == (400, code)


def test_wrong_tiles_are_refused(real_web):
    name = real_web.anchor(8, 0, 0)
    good = {"anchor": name, "maxiter": 100, "tiles": [[0, 0, 0]]}
    for change, code in (
        ({"anchor": "0" * 32}, "NO_ANCHOR"),
        ({"anchor": "../../etc"}, "NO_ANCHOR"),
        ({"maxiter": 0}, "OUT_OF_RANGE"),
        ({"maxiter": 10**30}, "OUT_OF_RANGE"),
        ({"step": 3}, "OUT_OF_RANGE"),
        ({"tiles": []}, "OUT_OF_RANGE"),
        ({"tiles": [[0, 0, 0]] * 513}, "OUT_OF_RANGE"),
        ({"tiles": [[0, 0]]}, "WRONG_TYPE"),
        ({"tiles": [[41, 0, 0]]}, "OUT_OF_RANGE"),
        ({"tiles": [[0, 2**31, 0]]}, "OUT_OF_RANGE"),
        ({"tiles": [[0, 0.5, 0]]}, "WRONG_TYPE"),
        ({"tiles": "all"}, "OUT_OF_RANGE"),
    ):
        assert real_web.post("/api/tiles", good | change).code == code, change


def test_the_limit_of_a_view(real_web):
    anchor = tile_of(*TIP, 1_005)
    name = real_web.anchor(anchor.level, anchor.x, anchor.y)
    # Sides so different that a quotient might be no double: this too is answered.
    narrow = real_web.post("/api/limit", {"anchor": name, "dlevel": 0, "x": [0, 1024], "y": [0, 1e-9]})
    assert narrow.status == 200
    for x, y in (([0, 5e-324], [0, 1]), ([0, 1], [0, 1e-310]), ([0, 1e-100], [0, 1e-100])):
        told = real_web.post("/api/limit", {"anchor": name, "dlevel": 0, "x": x, "y": y})
        assert told.code == "OUT_OF_RANGE"
    told = real_web.post("/api/limit", {"anchor": name, "dlevel": 0, "x": [-2.5, 3.5], "y": [-1, 2]})
    assert told.status == 200 and told.json["resolved"] and 1_000 <= told.json["maxiter"] <= 5_000
    tile = real_web.tiles(name, told.json["maxiter"], [[0, 0, 0]])[0]
    assert (tile > 0).mean() > 0.99
    assert (
        real_web.post("/api/limit", {"anchor": name, "dlevel": 0, "x": [1, 1], "y": [0, 1]}).code
        == "OUT_OF_RANGE"
    )
    assert (
        real_web.post("/api/limit", {"anchor": name, "dlevel": 0, "x": "all", "y": [0, 1]}).code
        == "WRONG_TYPE"
    )


def test_a_minibrot_is_found_as_the_command_finds_it(real_web, capsys):
    where = "-1.7548", "0.0001", "0.01"
    told = real_web.post("/api/locate", dict(zip(("re", "im", "delta"), where, strict=True)))
    found = json.loads(told.body.splitlines()[-1])["found"]
    assert locate.main([f"--point={where[0]},{where[1]}", "--delta", where[2], "--json", "--quiet"]) == 0
    by_command = json.loads(capsys.readouterr().out)
    assert f"{found.pop('re')},{found.pop('im')}" == by_command.pop("point") and found == by_command
    told = real_web.post("/api/locate", {"re": "2", "im": "2", "delta": "1e-9"})
    assert json.loads(told.body.splitlines()[-1])["error"]["code"] == "NO_NUCLEUS"
    told = real_web.post("/api/locate", {"re": "x", "im": "2", "delta": "1e-9"})
    assert (told.status, told.code, told.json["error"]["field"]) == (400, "BAD_NUMBER", "point")
    assert (
        real_web.post("/api/locate", {"re": "0", "im": "2", "delta": "-1"}).json["error"]["field"] == "delta"
    )


def test_what_nobody_waits_for_is_not_made(real_web):
    """Tiles that take minutes are asked for and left: others are made soon all the same."""
    name = real_web.anchor(8, 0, 0)
    slow = {"anchor": name, "maxiter": 1_900_000_000, "tiles": [[4, 4 + n, 0] for n in range(64)]}
    connection, answer = real_web.open("POST", "/api/tiles", slow)
    assert answer.status == 200
    time.sleep(0.5)
    connection.sock and connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()
    answer.close()
    assert (real_web.tiles(name, 77, [[0, -1, 0]])[0] >= 0).all()


def test_many_who_want_the_same_tile_wait_for_one(real_web):
    anchor = tile_of(*SEAHORSES, 18)
    name, found = real_web.anchor(anchor.level, anchor.x, anchor.y), []

    def look() -> None:
        found.append(real_web.tiles(name, 4_321, [[0, n, 0] for n in range(6)]))

    crowd = [threading.Thread(target=look) for _ in range(12)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert len(found) == 12
    for tiles in found:
        assert all(np.array_equal(tiles[n], found[0][n]) for n in range(6))


def test_a_service_without_ray_has_tiles_too(tmp_path):
    web = Web(free_port())
    running = Service(tmp_path / "DB", "--address", "embedded", "--web-port", str(web.port))
    try:
        wait_for(lambda: "the web page" in running.output(), 30, "the page is served")
        anchor = tile_of(*TIP, 1_005)
        name = web.anchor(anchor.level, anchor.x, anchor.y)
        for place in ([0, 0, 0], [0, 1, 0]):
            tile = web.tiles(name, 3_000, [place])[0]
            assert np.array_equal(tile, still_of(anchor, *place[1:], 3_000, tmp_path))
        told = web.post("/api/limit", {"anchor": name, "dlevel": 0, "x": [0, 2], "y": [0, 1]})
        assert told.json["resolved"]
        told = web.post("/api/locate", {"re": "-1.7548", "im": "0.0001", "delta": "0.01"})
        assert json.loads(told.body.splitlines()[-1])["found"]["period"] == 3
        assert running.stop() == 0
    finally:
        running.kill()


def test_the_explorer_follows_the_driver_to_another_cluster(real_service, real_web):
    name = real_web.anchor(9, 0, 0)
    assert real_web.tiles(name, 60, [[0, 0, 0]])[0].shape == (256, 256)
    starts = real_web.get("/api/state").json["service"]["driver"]["starts"]
    driver = [pid for pid, command in real_service.processes().items() if " mandel.driver.main" in command]
    for pid in driver:
        with suppress(ProcessLookupError):  # its leash was first
            os.kill(pid, signal.SIGKILL)

    def tile() -> bool:
        return isinstance(real_web.tiles(name, 61, [[0, 1, 1]])[0], np.ndarray)

    wait_for(
        lambda: real_web.get("/api/state").json["service"]["driver"]["starts"] > starts, 60, "a new driver"
    )
    wait_for(tile, 180, "tiles are made again")


def test_the_explorer_comes_back_when_its_process_has_ended(real_service, real_web):
    name = real_web.anchor(9, 0, 0)
    assert real_web.tiles(name, 50, [[0, 0, 0]])[0].shape == (256, 256)
    pids = [pid for pid, command in real_service.processes().items() if " mandel.explorer.main" in command]
    assert pids
    for pid in pids:
        with suppress(ProcessLookupError):  # its leash was first
            os.kill(pid, signal.SIGKILL)

    def tile() -> bool:
        return isinstance(real_web.tiles(name, 51, [[0, 1, 1]])[0], np.ndarray)

    wait_for(tile, 120, "tiles are made again")

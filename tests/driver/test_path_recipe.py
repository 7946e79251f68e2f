"""Frames of a path: each is the view of its own centre, made about the stop near it, whatever leads there."""

import json
from dataclasses import replace
from decimal import Context, Decimal
from pathlib import Path

import pytest

from mandel.device.context import device_context
from mandel.driver.recipes.choose import recipe_of
from mandel.driver.recipes.recipe import FRAME, LIMIT, REFERENCE, VIDEO_BAILOUT, WorkItem
from mandel.errors import PayloadError
from mandel.payload.decimal_text import Number
from mandel.payload.payload import parse
from mandel.payload.recolour import recoloured
from mandel.plan.arithmetic import PERTURBED, arithmetic
from mandel.protocol.strict_json import loads
from mandel.render.frame import FrameRenderer
from mandel.settings import PayloadLimits
from tests.support.zooms import Zoomed, psnr

# Near the tip of the antenna and in Seahorse Valley: minibrots with all the digits that 1e-40 and 1e-30 need.
TIP = "-1.99999911758766165543764649311537154663,0"
SEA = "-0.743643887037158704752191506114774,0.131825904205311970493132056385139"
PATH = [
    {"point": "-0.5,0", "delta": "2.5"},
    {"point": SEA, "delta": "1e-25", "time": 6, "rotation": 50},
    {"point": TIP, "delta": "1e-22", "time": 6, "easing": 0},
    {"point": SEA, "delta": "1e-3", "time": 4},
]
EXACT = Context(prec=400, Emin=-(10**6), Emax=10**6)


def payload_of(**more):
    small = {"frame_width": 64, "frame_height": 36, "fps": "5", "mapping": "even"}
    return parse({"path": json.dumps(PATH), **small, **more})


def about_its_centre(view):
    centre = (
        EXACT.add(Decimal(text), EXACT.multiply(Decimal(view.delta), Decimal(part)))
        for text, part in ((view.re, view.shift.real), (view.im, view.shift.imag))
    )
    re, im = map(str, centre)
    return replace(view, re=re, im=im, shift=0j)


def test_a_frame_is_the_view_of_its_own_centre():
    zoomed = Zoomed(device_context(), payload_of())
    shifted = deep = 0
    for frame in range(0, zoomed.payload.num_frames, 6):
        picture, unit = zoomed.frame(frame), zoomed.recipe.unit(WorkItem(FRAME, frame))
        alone = FrameRenderer(device_context()).picture(
            about_its_centre(unit.view), unit.maxiter, VIDEO_BAILOUT, unit.style, 1
        )
        # Coordinates differ by less than 1e-9 of a pixel: a sample in a thousand may be at an edge.
        assert (picture != alone).any(axis=2).mean() < 0.005, frame
        shifted += unit.view.shift != 0
        deep += unit.view.shift != 0 and arithmetic(unit.view.grid()).engine == PERTURBED
    assert shifted > 8 and deep > 3


def test_between_places_that_only_150_digits_tell_apart():
    """Frames whose offsets do not fit a double, about an orbit at 1e-150 from their centres."""
    point = parse(loads(Path("payloads/deep-300.json").read_bytes())).point
    re, im = point.split(",")
    aside = EXACT.add(Decimal(re), Decimal("3e-150"))
    path = [{"point": point, "delta": "1e-152"}, {"point": f"{aside},{im}", "delta": "2e-152", "time": 2}]
    zoomed = Zoomed(device_context(), payload_of(path=json.dumps(path)))
    for frame in (4, 6):
        picture, unit = zoomed.frame(frame), zoomed.recipe.unit(WorkItem(FRAME, frame))
        assert arithmetic(unit.view.grid()).name == "extended perturbed" and abs(unit.view.shift) > 0.05
        alone = FrameRenderer(device_context()).picture(
            about_its_centre(unit.view), unit.maxiter, VIDEO_BAILOUT, unit.style, 1
        )
        assert (picture != alone).any(axis=2).mean() < 0.005 and picture.std() > 10


def test_orbits_are_made_once_for_each_point_and_serve_its_frames():
    payload = payload_of()
    recipe, camera = recipe_of(payload), payload.camera
    needed = {
        frame: need for frame in range(payload.num_frames) for need in recipe.needs(WorkItem(FRAME, frame))
        if need.kind == REFERENCE
    }  # fmt: skip
    assert set(needed.values()) == {WorkItem(REFERENCE, 0), WorkItem(REFERENCE, 1)}
    for frame, need in needed.items():
        unit, view = recipe.unit(need), camera.view(frame)
        assert (unit.re, unit.im) == (view.re, view.im)
        assert Decimal(unit.radius) <= Decimal(view.delta)
        assert frame <= recipe.last_frame(need)


@pytest.mark.parametrize("mapping", ["even", "root"])
def test_limits_come_from_key_views_about_the_same_point(mapping):
    payload = payload_of(mapping=mapping, fps="30")
    recipe, camera = recipe_of(payload), payload.camera
    for frame in range(0, payload.num_frames, 7):
        keys = [need for need in recipe.needs(WorkItem(FRAME, frame)) if need.kind == LIMIT]
        views = [recipe.unit(key).view for key in keys]
        if mapping == "root":
            assert {(view.re, view.im) for view in views} == {(camera.view(frame).re, camera.view(frame).im)}
        # There is one as deep or deeper, four octaves at most, unless the frame is that of the deepest stop.
        nearest = max(
            (Decimal(v.delta) for v in views if Decimal(v.delta) <= Decimal(camera.delta(frame)) * 2),
            default=0,
        )
        assert nearest >= Decimal(camera.delta(frame)) / 17
    few = recipe_of(payload_of(mapping="root", fps="0.5"))
    assert (
        len({need for frame in range(9) for need in few.needs(WorkItem(FRAME, frame)) if need.kind == LIMIT})
        == 9
    )


INWARDS = [
    {"point": SEA, "delta": "1e-3", "rotation": 10, "hold": 1},
    {"point": SEA, "delta": "1e-6", "time": 3, "easing": 0},
    {"point": SEA, "delta": "1e-7", "time": 3, "rotation": -20, "hold": 1},
    {"point": SEA, "delta": "1e-12", "time": 3},
]


@pytest.mark.parametrize("stops", [INWARDS, [stop | {"time": 2} for stop in INWARDS[:0:-1]]])
def test_a_path_about_one_point_is_made_from_strips(stops):
    stops = [{k: v for k, v in stop.items() if number or k != "time"} for number, stop in enumerate(stops)]
    more = {"path": json.dumps(stops), "fps": "10", "maxiter": 20_000, "mapping": "log"}
    shared = Zoomed(device_context(), payload_of(sampling="shared", **more))
    exact = Zoomed(device_context(), payload_of(supersampling=4, **more))
    last = exact.payload.num_frames - 1
    shares = [shared.payload.zoom.share(frame) for frame in range(last + 1)]
    assert shares == sorted(shares) and (shares[0], shares[-1]) == (0, 1)
    for frame in (3, last // 3, last // 2, last - 8):
        own = psnr(shared.frame(frame), exact.frame(frame))
        assert own > 20
        for other in (frame - 1, frame + 1):
            if shares[other] != shares[frame]:
                assert psnr(shared.frame(frame), exact.frame(other)) < own - 3, (frame, other)


def test_a_path_is_made_again_from_its_strips_at_another_rate():
    source = payload_of(path=json.dumps(INWARDS), sampling="shared", keep_strips=True)
    again = recoloured(source, source, "0" * 64, {"fps": Number("10"), "palette": "ember"}, PayloadLimits())
    assert (source.num_frames, again.num_frames) == (56, 111)
    assert again.path == source.path


@pytest.mark.parametrize("pair", [(PATH[0], PATH[1]), (INWARDS[0], INWARDS[1], INWARDS[0])])
def test_other_paths_have_no_strips(pair):
    stops = [stop | ({"time": 2} if number else {}) for number, stop in enumerate(pair)]
    with pytest.raises(PayloadError, match='can be "shared"'):
        payload_of(path=json.dumps(stops), sampling="shared")

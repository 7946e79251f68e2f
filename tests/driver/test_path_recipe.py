"""Frames of a path: each is the view of its own centre, made about the stop near it, whatever leads there."""

import json
from dataclasses import replace
from decimal import Context, Decimal
from pathlib import Path

import numpy as np
import pytest

from mandel.device.context import device_context
from mandel.driver.recipes.choose import recipe_of
from mandel.driver.recipes.recipe import FRAME, LIMIT, REFERENCE, VIDEO_BAILOUT, WorkItem
from mandel.payload.decimal_text import Number
from mandel.payload.payload import parse
from mandel.payload.recolour import recoloured
from mandel.plan.arithmetic import PERTURBED, arithmetic
from mandel.protocol.strict_json import loads
from mandel.render.frame import FrameRenderer
from mandel.settings import PayloadLimits
from mandel.tasks.units import ResampleUnit
from tests.driver.test_recolour import Zoom as Made
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


def differing(picture: np.ndarray, other: np.ndarray) -> float:
    """The share of pixels that differ by more than rounding, which where the curve is steep is a level or two."""
    return float((np.abs(picture.astype(int) - other) > 2).any(axis=2).mean())


def test_a_frame_is_the_view_of_its_own_centre():
    zoomed = Zoomed(device_context(), payload_of())
    shifted = deep = 0
    for frame in range(0, zoomed.payload.num_frames, 6):
        picture, unit = zoomed.frame(frame), zoomed.recipe.unit(WorkItem(FRAME, frame))
        alone = FrameRenderer(device_context()).picture(
            about_its_centre(unit.view), unit.maxiter, VIDEO_BAILOUT, unit.style, 1
        )
        # Coordinates differ by less than 1e-9 of a pixel: a sample in a thousand may be at an edge.
        assert differing(picture, alone) < 0.005, frame
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
        assert differing(picture, alone) < 0.005 and picture.std() > 10


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


# From place to place: all but the tops of two curves is made from strips; about SEA it goes in, stays, and comes out.
VIA = [
    {"point": "-0.5,0", "delta": "2.5"},
    {"point": SEA, "delta": "1e-6", "time": 5, "hold": 0.5, "rotation": 40},
    {"point": SEA, "delta": "1e-4", "time": 2},
    {"point": "-1.76877880004456962773548,-0.00173890993898926807", "delta": "1e-5", "time": 5},
]


@pytest.fixture(scope="module")
def via():
    """The path from strips, and each frame on its own with 16 samples a pixel."""
    more = {"path": json.dumps(VIA), "fps": "10", "maxiter": 5000, "frame_width": 128, "frame_height": 72}
    shared = payload_of(sampling="shared", **more)
    return Zoomed(device_context(), shared), Zoomed(device_context(), payload_of(supersampling=4, **more))


def test_frames_whose_centre_is_near_a_stop_are_made_from_strips(via):
    shared, truth = via
    stretches, camera = shared.payload.stretches, shared.payload.camera
    inside = {frame for it in stretches for frame in it.frames}
    assert 0.75 * camera.num_frames < len(inside) < camera.num_frames
    aside = 0
    for frame in range(0, camera.num_frames, 3):
        own = psnr(shared.frame(frame), truth.frame(frame))
        unit = shared.recipe.unit(WorkItem(FRAME, frame))
        assert isinstance(unit, ResampleUnit) == (frame in inside)
        assert own > 20, frame
        if frame in inside and abs(unit.aside) > 0.5:
            aside += 1
            away = replace(unit, aside=0j)
            inputs = [shared.make(need) for need in shared.recipe.needs(WorkItem(FRAME, frame))]
            assert (
                psnr(shared.resampler.picture(away, inputs, "rgb").astype(int), truth.frame(frame)) < own - 3
            )
    assert aside > 3


def test_nothing_is_seen_where_strips_and_exact_frames_meet(via):
    """From frame to frame pictures change no more there than those with 16 samples a pixel, or than beside it."""
    shared, _ = via
    last = shared.payload.num_frames - 1

    def more(frame):
        """By how much a path's picture changes more than the truth does, of the squares."""
        changes = [np.mean((zoom.frame(frame + 1) - zoom.frame(frame)) ** 2) for zoom in via]
        return changes[0] - changes[1]

    ends = {it.first - 1 for it in shared.payload.stretches} | {
        it.frames[-1] for it in shared.payload.stretches
    }
    seams = [frame for frame in sorted(ends) if 0 <= frame < last]
    assert len(seams) >= 4
    for seam in seams:
        beside = [more(frame) for frame in (seam - 2, seam - 1, seam + 1, seam + 2) if 0 <= frame < last]
        noise = 255**2 / 10 ** (2.4)  # of two pictures at 24 dB
        assert more(seam) < max(*beside, 0) + 2 * noise, seam


def test_on_the_way_in_and_out_the_same_samples_are_shown(via):
    shared, _ = via
    inwards, outwards = (it for it in shared.payload.stretches if it.reference_point == 1)
    before, after = (shared.recipe.unit(WorkItem(FRAME, f)) for f in (inwards.frames[-1], outwards.first))
    assert before.around == after.around
    view = replace(after, origin=before.origin, column=before.column, aside=before.aside)
    needs = [shared.recipe.needs(WorkItem(FRAME, f)) for f in (inwards.frames[-1], outwards.first)]
    one, other = (
        shared.resampler.picture(unit, [shared.make(need) for need in of], "rgb").astype(int)
        for unit, of in zip((before, view), needs, strict=True)
    )
    assert psnr(one, other) > 45


def test_a_path_about_places_is_recoloured(tmp_path):
    """Frames of the stretches are painted from the strips, byte for byte as new ones; the others are iterated."""
    more = {
        "path": json.dumps(VIA[:2]),
        "fps": "6",
        "maxiter": 500,
        "keep_strips": True,
        "sampling": "shared",
    }
    source = Made(payload_of(**more), tmp_path)
    last = source.payload.num_frames - 1
    source.frames(*range(last + 1))
    asked = recoloured(
        source.payload, source.payload, "0" * 64, {"palette": "ember", "fps": Number("8")}, PayloadLimits()
    )
    same = replace(asked, fps="6", num_frames=last + 1)
    again, anew = Made(same, tmp_path, source.kept, source.payload), Made(same, tmp_path)
    shown = {frame for it in same.stretches for frame in it.frames}
    for frame in range(last + 1):
        a, b = again.frames(frame)[0], anew.frames(frame)[0]
        assert np.array_equal(a, b), frame
    assert not again.iterated and anew.iterated and 0 < len(shown) <= last
    # At another rate frames show other places of the same strips.
    faster = Made(asked, tmp_path, source.kept, source.payload)
    assert asked.num_frames > last + 1
    faster.frames(*(it.frames[-1] for it in asked.stretches))
    assert not faster.iterated


def test_paths_that_turn_back_have_strips_of_their_own_for_each_way():
    path = [INWARDS[0], INWARDS[1] | {"hold": 1, "easing": 1}, INWARDS[0] | {"time": 2}]
    stretches = payload_of(path=json.dumps(path), sampling="shared", fps="30").stretches
    assert [it.number for it in stretches] == [0, 3]
    assert stretches[0].frames.stop == stretches[1].first
    assert not any(it.zoom.aside(0) for it in stretches)

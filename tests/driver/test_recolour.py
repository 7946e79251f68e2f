"""A zoom made again from kept strips: nothing is iterated, and the frames are those of a new rendering."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from mandel.driver.files.strip_files import StripFiles
from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.policy import DEFAULT_POLICY
from mandel.driver.recipes.choose import recipe_of
from mandel.driver.recipes.recipe import FRAME, LEARNED, LIMIT, REFERENCE, STRIP, WorkItem
from mandel.driver.recipes.shared import MIPS
from mandel.payload.payload import Payload, parse
from mandel.protocol.strict_json import loads
from mandel.tasks.units import StripUnit
from mandel.worker.functions import FUNCTIONS, Slot

SLOT = Slot("cpu")
SMALL = {
    "point": "-0.743643887037151,0.131825904205330",
    "num_frames": 7,
    "frame_width": 160,
    "frame_height": 90,
    "maxiter": 500,
    "start_delta": "2",
    "end_delta": "0.02",
    "sampling": "shared",
    "keep_strips": True,
}
# Another point each: the seahorse valley, and a spiral beyond what doubles can tell apart.
DEEP = {
    "point": "-1.759817130804847813610825010561798238244,-0.01259331079974986538374663184326485845034",
    "start_delta": "2e-16",
    "end_delta": "1e-17",
    "maxiter": 2000,
}


def payload(**fields) -> Payload:
    return parse(loads(json.dumps(SMALL | {"mapping": "even"} | fields).encode()))


class Zoom:
    """Frames made one after the other; raw strips go to a folder, or come from one."""

    def __init__(self, p: Payload, folder, found: dict | None = None, source: Payload | None = None):
        self.files = StripFiles("job", folder, found, keeps=p.keep_strips or source is not None)
        self.files.seen(self.files.look())
        self.payload, self.recipe = p, recipe_of(p, self.files, source)
        self.made, self.iterated, self.kept = {}, [], {}

    def make(self, item: WorkItem):
        if item in self.made:
            return self.made[item]
        inputs = [(need, self.make(need)) for need in self.recipe.needs(item)]
        inputs = [made for need, made in inputs if need.kind not in LEARNED]
        unit = self.recipe.unit(item)
        if item.kind == STRIP and not isinstance(unit, StripUnit):
            inputs = [self.files.file(item.index).read()]
        self.made[item], facts = FUNCTIONS[item.kind](unit, SLOT, *inputs)
        if item.kind in LEARNED:
            self.recipe.learn(item, self.made[item])
        if isinstance(unit, StripUnit):
            self.iterated.append(item.index)
            if (raw := facts.get("raw")) is not None:
                event = self.files.write(self.files.made(item.index), unit.layout.finest, raw)
                self.kept[item.index] = [event.path, event.base, event.bytes, event.sha256]
        return self.made[item]

    def frames(self, *indices: int) -> list[np.ndarray]:
        return [self.make(WorkItem(FRAME, index)) for index in indices]


@pytest.fixture(scope="module", params=[{}, DEEP], ids=["direct", "perturbed"])
def kept(request, tmp_path_factory):
    """A zoom rendered once: its payload, where its strips are, its frames."""
    zoom = Zoom(p := payload(**request.param), tmp_path_factory.mktemp("strips"))
    frames = zoom.frames(*range(p.num_frames))
    assert set(zoom.kept) == set(zoom.iterated)
    return p, zoom.kept, frames


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(255**2 / max(np.mean((a.astype(float) - b) ** 2), 1e-9))


def test_keeping_changes_no_pixel(kept, tmp_path):
    p, _, frames = kept
    plain = Zoom(replace(p, keep_strips=False), tmp_path)
    assert all(
        (a == b).all() for a, b in zip(plain.frames(0, 3, 6), (frames[0], frames[3], frames[6]), strict=True)
    )


def test_another_palette_is_the_direct_rendering(kept, tmp_path):
    p, strips, frames = kept
    asked = replace(p, palette="ember", keep_strips=False)
    again, direct = Zoom(asked, tmp_path, strips, p), Zoom(asked, tmp_path)
    for index in (0, 3, 6):
        a, b = again.frames(index)[0], direct.frames(index)[0]
        assert (a == b).all() and (a != frames[index]).any()
    # Beside frames only the key views are made again, and what these need: they tell how colours follow the counts.
    assert not again.iterated and {LIMIT, STRIP} < {item.kind for item in again.made}
    root = Zoom(replace(asked, mapping="root"), tmp_path, strips, p)
    root.frames(0, 6)
    assert not {item.kind for item in root.made} & {LIMIT, REFERENCE}


def test_a_job_whose_strips_are_all_there_is_not_measured(kept, tmp_path):
    """It would need limits and the reference orbit for that, and nothing else."""
    p, strips, _ = kept
    asked = replace(p, palette="ember", mapping="root", keep_strips=False)
    policy, files = replace(DEFAULT_POLICY, forecast_seconds=0.0), StripFiles("job", tmp_path, strips)
    run = JobRun("j" * 64, asked, tmp_path, {}, strips=files, source=p, policy=policy)
    made = set()
    while (given := run.next("cpu")) is not None:
        item, _task = given
        made.add(item)
        run.ended(item, None)
        run.record_seconds(item, "cpu", 1.0)
    assert {WorkItem(FRAME, frame) for frame in range(p.num_frames)} < made
    assert {item.kind for item in made} <= {FRAME, STRIP, MIPS}
    assert run.work_left.rendering == 0


def test_what_is_there_is_not_counted_in_an_estimate(kept, tmp_path):
    p, strips, _ = kept
    asked, left = replace(p, palette="ember", mapping="root", keep_strips=False), []
    for found in (None, dict(list(strips.items())[::2]), strips):
        files = StripFiles("job", tmp_path, found, keeps=True)
        run = JobRun("j" * 64, asked, tmp_path, {}, strips=files, source=p, estimated=True)
        left.append(run.work_left.rendering)
    assert left[0] > left[1] > left[2] > 0  # frames are resampled in any case


LOOKS = [
    {"density": "2.5", "offset": "0.3"},
    {"mapping": "linear", "density": "0.5"},
    {"mapping": "log"},
    {"mapping": "even"},
    {"mapping": "even", "density": "0.7", "relief": "0.3"},
    {"interior": "ff8000", "palette": "102030,f0e0d0,80a0ff"},
    {"relief": "0.8", "relief_angle": "20"},
    {"edge": "3"},
    {"relief": "0.8", "edge": "3", "interior": "203040", "palette": "silver"},
]


@pytest.mark.parametrize("look", LOOKS, ids="-".join)
@pytest.mark.parametrize("shaded", [False, True])
def test_every_look_is_the_direct_rendering(kept, shaded, look, tmp_path, shaded_strips):
    """Strips of a look with relief have all that looks need; from others relief and edge are iterated anew."""
    p, strips, _ = kept
    asked = replace(p, keep_strips=False, **look)
    again, direct = Zoom(asked, tmp_path, shaded_strips if shaded else strips, p), Zoom(asked, tmp_path)
    for index in (0, 6):
        assert np.array_equal(again.frames(index)[0], direct.frames(index)[0])
    needs_more = not shaded and ("relief" in look or "edge" in look)
    assert bool(again.iterated) == needs_more


@pytest.fixture(scope="module")
def shaded_strips(kept, tmp_path_factory):
    """The strips of the same zoom with relief."""
    zoom = Zoom(replace(kept[0], relief="0.5"), tmp_path_factory.mktemp("shaded"))
    zoom.frames(*range(kept[0].num_frames))
    return zoom.kept


@pytest.mark.parametrize(
    "fields, least",
    [
        ({"num_frames": 12, "easing": "1"}, 40),
        ({"frame_width": 120, "frame_height": 68}, 27),
        ({"frame_width": 240, "frame_height": 136, "strip_density": "0.73"}, 24),
        ({"frame_width": 90, "frame_height": 120}, 22),
        ({"rotation": "70"}, 40),
    ],
    ids=["more frames, eased", "smaller", "larger", "upright", "turned"],
)
def test_other_frames_look_as_if_rendered_anew(kept, tmp_path, fields, least):
    p, strips, _ = kept
    asked = replace(p, keep_strips=False, **fields)
    again, direct = Zoom(asked, tmp_path, strips, p), Zoom(asked, tmp_path)
    for index in (0, asked.num_frames // 2, asked.num_frames - 1):
        height = asked.frame_height
        a, b = again.frames(index)[0][:height], direct.frames(index)[0][:height]
        assert psnr(a, b) > least, (index, psnr(a, b))
    assert not again.iterated


def test_what_was_not_kept_is_iterated(kept, tmp_path):
    p, strips, _ = kept
    wider = replace(p, frame_width=400, frame_height=90, strip_density="0.5", keep_strips=False)
    zoom = Zoom(wider, tmp_path, strips, p)
    zoom.frames(0)
    assert zoom.iterated and max(zoom.iterated) < 0  # what lies beyond the corners of the first frames
    some = dict(list(strips.items())[::2])
    zoom = Zoom(replace(p, keep_strips=False), tmp_path, some, p)
    zoom.frames(6)
    assert zoom.iterated and not set(zoom.iterated) & set(some)


def test_a_damaged_file_is_noticed(kept, tmp_path):
    p, strips, _ = kept
    (number, (path, base, size, _)) = next(iter(strips.items()))
    wrong = strips | {number: [path, base, size, hashlib.sha256(b"").hexdigest()]}
    files = StripFiles("job", tmp_path, wrong, keeps=True)
    recipe = recipe_of(replace(p, mapping="root"), files)
    assert not recipe.needs(WorkItem(STRIP, number)) and files.file(number).read() is None
    files.forget(number)
    assert isinstance(recipe.unit(WorkItem(STRIP, number)), StripUnit)


def test_a_shape_that_makes_frames_finer_is_not_made_of_coarse_strips(tmp_path):
    """Deltas are of the shorter side: frames six times as high, of the same width, are six times as fine."""
    p = payload(frame_height=20, num_frames=3, end_delta="0.2")
    first = Zoom(p, tmp_path)
    first.frames(*range(3))
    asked = replace(p, frame_height=120, strip_density="0.88", keep_strips=False)
    again, direct = Zoom(asked, tmp_path, first.kept, p), Zoom(asked, tmp_path)
    a, b = again.frames(2)[0][:120], direct.frames(2)[0][:120]
    assert psnr(a, b) > 25.5 and again.iterated, psnr(a, b)

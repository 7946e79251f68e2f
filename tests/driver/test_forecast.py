"""What a job is expected to take: the arithmetic of a forecast, and how it is measured."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mandel.driver.files.strip_files import StripFiles
from mandel.driver.jobs.forecast import Forecast
from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.policy import DEFAULT_POLICY
from mandel.driver.jobs.scheduler import Scheduler
from mandel.driver.jobs.timings import Timings
from mandel.driver.recipes.choose import recipe_of
from mandel.driver.recipes.recipe import COSTS, FRAME, LIMIT, REFERENCE, WorkItem
from mandel.payload.payload import EXACT, SHARED, parse
from mandel.plan.blocks import blocks
from mandel.plan.cost import Costs, KeyCost, deltas_to_measure
from mandel.plan.iteration_limit import IterationLimit
from mandel.plan.segment_plan import cut
from mandel.protocol import control
from mandel.video import coding

SIZE = {"frame_width": 64, "frame_height": 36, "num_frames": 40}
DEEP = {"point": "-1.7490812690237,0", "end_delta": "1e-12"}


def forecast(**given):
    payload = parse(SIZE | given)
    recipe = recipe_of(payload, StripFiles("", None))
    return Forecast(payload, recipe), recipe


def left(made, frames=range(40), strips=(), of=40):
    return made.left(np.isin(range(of), frames), list(strips), 0, Timings(DEFAULT_POLICY))


def test_costs_between_views_are_interpolated_by_their_logarithm():
    costs = Costs(
        (KeyCost(0.0, 1e-8, 0.0, 1.0, 0.5), KeyCost(10.0, 1e-4, 2.0), KeyCost(20.0, 1e-4, 2.0, 3.0, 1.5))
    )
    assert costs.seconds(np.array([5.0, 30.0]), np.array([1e6, 10.0])) == pytest.approx([2.0, 2.001])
    key, following = costs.pixel_bytes(np.array([-1.0, 10.0, 20.0]))
    assert key == pytest.approx([1.0, 2.0, 3.0]) and following == pytest.approx([0.5, 1.0, 1.5])
    assert Costs((KeyCost(0.0, 1.0),)).pixel_bytes(np.array([1.0])) is None


@pytest.mark.parametrize("ends", [("2.5", "1e-4"), ("1e-4", "2.5"), ("2.5", "1e-1000"), ("1", "1")])
def test_views_to_measure_include_both_ends_and_are_few(ends):
    deltas = [float(delta) for delta in deltas_to_measure(*ends)]
    assert 1 <= len(deltas) <= 12
    assert deltas[0] == max(map(float, ends)) and deltas[-1] == min(map(float, ends))


@pytest.mark.parametrize("sampling", [EXACT, SHARED])
def test_a_forecast_of_dear_depths_says_so_before_they_are_reached(sampling):
    made, recipe = forecast(sampling=sampling)
    cheap = Costs((KeyCost(-1.3, 1e-6), KeyCost(13.3, 1e-6)))
    made.costs = cheap
    flat = left(made).rendering
    samples = recipe.iterated().samples.sum() * 1e-6
    assert samples < flat < samples + 40 * 0.01
    made.costs = Costs((KeyCost(-1.3, 1e-6), KeyCost(13.3, 1e-3)))
    assert left(made).rendering > 20 * flat


@pytest.mark.parametrize("reverse", [False, True])
def test_what_is_made_is_left_no_more(reverse):
    ends = {"start_delta": "1e-4", "end_delta": "2.5"} if reverse else {}
    made, recipe = forecast(sampling=SHARED, **ends)
    made.costs = Costs((KeyCost(0.0, 1e-4),))
    strips = recipe.iterated().items
    works = [
        left(made, range(frame, 40), strips[:: -1 if reverse else 1][: frame // 4])
        for frame in (0, 8, 20, 39)
    ]
    assert [work.rendering for work in works] == sorted((work.rendering for work in works), reverse=True)
    assert left(made, (), strips).rendering == 0


def test_strips_that_are_alike_are_counted_once():
    _, recipe = forecast(sampling=SHARED, end_delta="1e-14", point="-1.7490812690237,0")
    found = recipe.iterated()
    assert len(found.items) > 30
    assert found.samples.tolist() == [
        sum(block.grid.rows * block.grid.cols for block in blocks(recipe.strips, item.index))
        for item in found.items
    ]
    assert np.all(np.diff(found.depths) > 0)


def test_of_a_path_strips_and_single_frames_are_counted():
    stops = [
        {"point": "-0.5,0", "delta": 2.5},
        {"point": "-0.743643887037151,0.131825904205330", "delta": "1e-8", "time": 4},
    ]
    path = parse({"path": json.dumps(stops), "sampling": SHARED, "frame_width": 64, "frame_height": 36})
    recipe = recipe_of(path, StripFiles("", None))
    made, last = Forecast(path, recipe), path.num_frames
    made.costs = Costs((KeyCost(0.0, 1e-4),))
    works = [left(made, range(first, last), of=last).rendering for first in range(0, last, 8)]
    assert works == sorted(works, reverse=True)
    samples = recipe.iterated().samples.sum() * 1e-4
    assert samples < works[0] < 1.2 * samples
    strips = [item for item in recipe.iterated().items if item.kind != FRAME]
    (first, *_), alone = recipe.iterated().samples[-1:], last - len(path.stretches[0].frames)
    assert left(made, range(last), strips, last).rendering == pytest.approx(alone * first * 1e-4, rel=0.2)


def test_what_items_took_corrects_what_is_left():
    made, recipe = forecast()
    made.costs = Costs((KeyCost(0.0, 1e-4),))
    expected = made.seconds(left(made), {"cpu": 2})
    for frame in range(10):
        made.took(WorkItem(FRAME, frame), "cpu", 3 * float(recipe.iterated().samples[frame]) * 1e-4)
    slower = made.seconds(left(made), {"cpu": 2})
    assert 1.8 * expected[0] < slower[0] < 3 * expected[0] and slower[1] > 1.8 * expected[1]
    assert made.seconds(left(made), {"cpu": 4}) == pytest.approx([value / 2 for value in slower])


@pytest.mark.parametrize("on_gpu, factor", [(False, 0.02), (True, 1.0)])
def test_what_was_measured_on_one_kind_of_device_says_nothing_of_the_other(on_gpu, factor):
    """While long calls held all GPUs a CPU was measured; a zoom of a minute was told to take a quarter of an hour."""
    made, recipe = forecast()
    made.costs = Costs((KeyCost(0.0, 1e-4),), on_gpu)
    for frame in range(2):
        made.took(WorkItem(FRAME, frame), "gpu", factor * float(recipe.iterated().samples[frame]) * 1e-4)
    work = left(made)._replace(encoding=0.0)
    low, high = made.seconds(work, {"gpu": 3})
    assert low < factor * work.rendering / 3 < high


def test_a_few_cheap_frames_say_little_before_anything_is_measured():
    made, _ = forecast()
    expected = made.seconds(left(made), {"cpu": 1})[0]
    each = expected / 40
    for frame in range(4):
        made.took(WorkItem(FRAME, frame), "cpu", each / 100)
    assert 0.5 * expected < made.seconds(left(made), {"cpu": 1})[0] < expected
    for frame in range(4, 12):
        made.took(WorkItem(FRAME, frame), "cpu", 100 * each)
    assert made.seconds(left(made), {"cpu": 1})[0] > 10 * expected


def test_segments_of_few_frames_take_the_time_of_their_processes():
    made, _ = forecast()
    segments = len(cut(40, made._payload.picture_bytes))
    pixels = 40 * 64 * 36 * 1.5 * coding.SECONDS[made._payload.codec, made._payload.quality]
    assert left(made).encoding == pytest.approx(pixels + 0.045 * segments) and segments > 1


def test_gpus_render_while_cpus_encode():
    made, _ = forecast(codec="hevc", frame_width=256, frame_height=144)
    made.costs = Costs((KeyCost(0.0, 1e-9),))
    work = left(made)
    assert work.encoding > work.rendering  # so encoding decides
    low, _ = made.seconds(work, {"cpu": 2, "gpu": 3})
    assert low == pytest.approx(made.seconds(work._replace(rendering=0.0), {"cpu": 2, "gpu": 3})[0])


def job(**given):
    estimated = given.pop("estimated", False)
    return JobRun("j" * 64, parse(SIZE | given), None, {}, estimated=estimated)


def test_an_estimate_makes_what_it_needs_and_no_frame():
    run, made = job(estimated=True, maxiter="auto", sampling=SHARED, **DEEP), []
    while (given := run.next("cpu")) is not None:
        item, task = given
        made.append(item)
        if item.kind == LIMIT:
            run.learn(item, IterationLimit(1000, True))
        if item.kind == COSTS:
            assert task.argument.coding == run.payload.coding
            run.learn(item, Costs((KeyCost(0.0, 1e-6, 0.0, 0.5, 0.5),)))
        run.ended(item, None)
    assert {item.kind for item in made} == {LIMIT, REFERENCE, COSTS} and made[-1].kind == COSTS
    told = run.estimate({"cpu": 2})
    low, high = told["bytes"]
    assert low < 0.5 * 40 * 64 * 36 < high and told["seconds"][0] <= told["seconds"][1]
    assert told["slots"] == {"cpu": 2}


def told_bytes(**given):
    made, _ = forecast(**given)
    made.costs = Costs((KeyCost(0.0, 1e-9, 0.0, 0.5, 0.2),))
    low, high = made.film_bytes()
    return (low + high) / 2 / (64 * 36)


def test_a_film_takes_key_pictures_and_what_moves():
    segments = len(cut(40))
    of_all = told_bytes() / (segments * 0.5 + (40 - segments) * 0.2)
    assert 0.8 < of_all < 1.3
    still = set(range(1, 10)) - {
        segment.first for segment in cut(40)
    }  # half a second shows the first picture
    held = told_bytes(hold_start="0.5", fps="20")
    assert held == pytest.approx(of_all * (segments * 0.5 + (40 - segments - len(still)) * 0.2), rel=0.03)
    own = {"codec": "prores", "fps": "20"}
    assert told_bytes(**own, hold_start="0.5") == pytest.approx(told_bytes(**own))


def test_a_ceiling_of_the_rate_is_kept():
    free, seconds = told_bytes(), 40 / 20
    low = told_bytes(max_bitrate="0.001", fps="20")
    assert low < 0.1 * free
    assert low * 64 * 36 < 1.3 * 0.001e6 / 8 * (seconds + len(cut(40)))


class Endless:
    """An executor whose tasks never end."""

    def __init__(self):
        self.given, self.cancelled = [], set()

    def slots(self):
        return {"cpu": 2}

    def memory(self):
        return 1 << 30

    def nodes(self):
        return []

    def submit(self, batch):
        self.given += batch
        return list(range(len(self.given) - len(batch), len(self.given)))

    def wait(self, timeout):
        return []

    def progress(self, ticket):
        return None

    def heard(self, tickets):
        return dict.fromkeys(tickets, 0.0)

    def cancel(self, ticket):
        self.cancelled.add(ticket)


@pytest.mark.parametrize(
    "fields",
    [{"maxiter": 2_000_000_000}, {"maxiter": "auto"}, {"maxiter": 2_000_000_000, "sampling": SHARED}],
)
def test_where_measuring_takes_too_long_an_estimate_is_a_bound(fields):
    now, events, executor = [0.0], [], Endless()
    scheduler = Scheduler(executor, events.append, clock=lambda: now[0])
    scheduler.add(job(estimated=True, **fields, **DEEP))
    while now[0] < DEFAULT_POLICY.estimate_seconds:
        now[0] += 10
        assert not [event for event in events if isinstance(event, control.Estimated)]
        scheduler.step(0)
    now[0] += 10
    scheduler.step(0)
    told = [event for event in events if isinstance(event, control.Estimated)]
    assert len(told) == 1 and not scheduler.busy
    assert executor.given and executor.cancelled == set(range(len(executor.given)))
    samples = 64 * 36 * (1 if "sampling" not in fields else 0.1)
    most = 1e9 if fields["maxiter"] != "auto" else 1e7
    for low, high in (told[0].seconds, told[0].cpu_seconds):
        assert 0 <= low < 60 and high > samples * most * 1e-9
    assert told[0].bytes is None
    [line] = control.encode(told[0]).splitlines()
    assert json.loads(line)["event"] == "estimated"


@pytest.mark.parametrize("ends", [("2.5", "1e-400"), ("1e-400", "2.5")])
def test_tiles_to_encode_are_no_deeper_than_their_views(ends):
    start, end = ends
    ends = {"start_delta": start, "end_delta": end}
    recipe = recipe_of(parse(SIZE | ends | {"num_frames": 2, "maxiter": 1000, "mapping": "root"}))
    assert recipe.unit(WorkItem(COSTS, 0)).step == 2


def test_a_job_is_measured_once_and_only_when_it_has_taken_a_while():
    policy = replace(DEFAULT_POLICY, forecast_seconds=5.0)
    asked = parse(SIZE | {"maxiter": 1000, "mapping": "root", "num_frames": 40})
    run = JobRun("j" * 64, asked, None, {}, policy=policy)
    kinds = []
    for _ in range(40):
        item, _task = run.next("cpu")
        kinds.append(item.kind)
        if item.kind == COSTS:
            run.learn(item, Costs((KeyCost(0.0, 1e-6),)))
        run.ended(item, None)
        run.record_seconds(item, "cpu", 1.0)
    assert kinds.count(COSTS) == 1 and kinds.index(COSTS) == 6
    assert run.forecast.costs is not None


def test_a_measurement_that_fails_costs_the_job_nothing():
    run = job(maxiter=1000, mapping="root")
    run.frontier.want(WorkItem(COSTS, 0))
    item, _ = run.next("cpu")
    assert item.kind == COSTS
    run.frontier.give_up(item)
    assert run.next("cpu")[0] == WorkItem(FRAME, 0)


PATH = (
    '[{"point": "-0.75,0.1", "delta": 2.5}, {"point": "-0.7436438870,0.1318259042", "delta": 1e-9, "time": 1},'
    ' {"point": "-1.25066,0.02012", "delta": 1e-3, "time": 1}]'
)


def test_a_path_has_as_many_tables_of_skipped_steps_as_a_zoom():
    point = DEEP["point"]
    stops = f'[{{"point": "{point}", "delta": 1e-9, "hold": 1}}, {{"delta": 1e-12, "time": 9, "hold": 1}}]'
    path = parse({"path": stops, "fps": 20, "frame_width": 64, "frame_height": 36})
    zoom = parse(SIZE | DEEP | {"start_delta": "1e-9", "num_frames": path.num_frames})
    works = []
    for payload in (path, zoom):
        recipe = recipe_of(payload, StripFiles("", None))
        made = Forecast(payload, recipe)
        made.costs = Costs(tuple(KeyCost(place, 1e-9, 1.0) for place in (0.0, 50.0)))
        all_frames = np.ones(payload.num_frames, bool)
        works.append(made.left(all_frames, [], 0, Timings(DEFAULT_POLICY)).rendering)
    assert 15 < works[0] < 1.2 * works[1] and works[1] < 1.2 * works[0]


@pytest.mark.parametrize("sampling", [EXACT, SHARED])
def test_a_path_is_measured_along_its_frames(sampling):
    zoom = '[{"point": "-0.75,0.1", "delta": 2.5}, {"delta": 1e-9, "time": 2}]'
    path = PATH if sampling == EXACT else zoom
    payload = parse({"path": path, "fps": 20, "frame_width": 64, "frame_height": 36, "sampling": sampling})
    recipe = recipe_of(payload, StripFiles("", None))
    item = WorkItem(COSTS, 0)
    needs = recipe.needs(item)
    for need in needs:
        if need.kind == LIMIT:
            recipe.learn(need, IterationLimit(1000 + need.index, True))
    unit = recipe.unit(item)
    orbits = [need for need in needs if need.kind == REFERENCE]
    assert {number for number in unit.orbits if number is not None} == set(range(len(orbits)))
    assert len(unit.views) <= 12 and list(unit.places) == sorted(unit.places)
    assert len({(view.re, view.im) for view in unit.views}) > 1 or sampling == SHARED
    assert 1.05 < unit.step <= 2  # frames differ
    made = Forecast(payload, recipe)
    made.costs = Costs(tuple(KeyCost(place, 1e-6) for place in unit.places))
    whole = made.left(np.ones(payload.num_frames, bool), [], 0, Timings(DEFAULT_POLICY))
    assert (
        recipe.iterated().samples.sum() * 1e-6 < whole.rendering < recipe.iterated().samples.sum() * 2e-6 + 1
    )

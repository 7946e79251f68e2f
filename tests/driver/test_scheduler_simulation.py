"""Random jobs on random clusters that fail at random, in virtual time: none stalls, nothing is lost or made twice."""

import hashlib
import json
import random
from concurrent.futures import Executor, Future
from pathlib import Path

import pytest

from mandel.driver.files.disk_work import DiskWork
from mandel.driver.files.segment_files import write_segment
from mandel.driver.jobs.job_run import JobRun
from mandel.driver.jobs.scheduler import Scheduler
from mandel.errors import RenderError
from mandel.payload.payload import parse
from mandel.plan.segment_plan import cut
from mandel.protocol import control
from mandel.protocol.strict_json import loads
from mandel.settings import PayloadLimits
from tests.support.simulation import FRAME_BYTES, SIDES, Clock, Cluster


class Pictures:
    """A job's cache, in which an earlier driver left some pictures; some are damaged."""

    def __init__(self, name, rng):
        self.name, self.rng = name, rng

    def get(self, key):
        if not key.endswith(".yuv") or self.rng.random() < 0.7:
            return None
        frame = key.removeprefix(f"{self.name}-").removesuffix(".yuv")
        data = f"{self.name} frame {frame}".encode().ljust(FRAME_BYTES, b"\0")
        return (hashlib.sha256(data).digest() if self.rng.random() < 0.9 else bytes(32)) + data

    def keys(self, prefix):
        return [f"{prefix}{frame}.yuv" for frame in range(250)]

    def put(self, key, data):
        pass

    def remove(self, key):
        pass


class AtOnce(Executor):
    """In place of a job's thread for the disk: its work is done when it is asked for."""

    def submit(self, act):
        done = Future()
        done.set_result(act())
        return done


class Films:
    """In place of the finisher: a job's video is there as soon as its segments are."""

    def __init__(self):
        self._over, self._saves, self.active = [], [], False

    def save(self, job, number, data, note):
        saved = Future()
        try:
            saved.set_result(write_segment(job.tmp, job.name, number, data()))
        except RenderError as error:  # lost with its node
            saved.set_exception(error)
        self._saves.append((note, saved))

    @property
    def saving(self):
        return bool(self._saves)

    def saved(self):
        over, self._saves = self._saves, []
        return over

    def late(self, seconds):
        return set()

    def look_at(self, job):
        if len(job.paths) == len(job.segments):
            done = Future()
            done.set_result({"path": "video.mp4", "frames": 1, "bytes": 1, "sha256": ""})
            self._over.append((job.name, done))

    def ended(self):
        over, self._over = self._over, []
        return over

    def forget(self, name):
        pass

    def close(self):
        pass


def payload(rng):
    """Any job: exact or shared, deep or not, inwards or outwards, of one frame or many."""
    deep, auto = rng.random() < 0.3, rng.random() < 0.3
    fields = {
        "num_frames": rng.choice((1, 2, 7, rng.randint(1, 40), rng.randint(1, 250))),
        "frame_width": SIDES[0],
        "frame_height": SIDES[1],
        "sampling": rng.choice(("exact", "shared")),
        "start_delta": "3",
        "end_delta": "1e-20" if deep else rng.choice(("3", "1e-2", "1e-6")),
        "maxiter": "auto" if auto else 500,
        "mapping": rng.choice(("even", "root")),
        "easing": rng.choice(("0", "0.5", "1")),
        "rotation": rng.choice(("0", "90")),
    }
    if rng.random() < 0.3:
        fields["start_delta"], fields["end_delta"] = fields["end_delta"], fields["start_delta"]
    return parse(loads(json.dumps(fields).encode()), PayloadLimits())


FAULTS = {
    "none": {"worker": 0, "error": 0, "hang": 0, "node": 0},
    "workers": {"worker": 0.01, "error": 0.01, "hang": 0, "node": 0},
    "nodes": {"worker": 0.002, "error": 0, "hang": 0, "node": 0.01},
    "hangs": {"worker": 0, "error": 0, "hang": 0.005, "node": 0},
    # As a zoom towards a minibrot: each strip takes half as long again as the one before it.
    "deeper": {"worker": 0, "error": 0, "hang": 0, "node": 0, "deeper": 1.5},
}


class World:
    def __init__(self, seed, faults, tmp, memory=None):
        self.rng, self.clock, self.tmp = random.Random(seed), Clock(), tmp
        rng = self.rng
        nodes = [(rng.choice((0, 1, 2, 8)), rng.choice((0, 0, 1, 2))) for _ in range(rng.randint(1, 4))]
        nodes[0] = (rng.randint(1, 8), nodes[0][1])
        memory = memory or int(10 ** rng.uniform(6, 8.5))
        self.cluster = Cluster(rng, self.clock, nodes, memory, FAULTS[faults])
        self.events, self.to_adopt, self.jobs, self.finished = [], [], {}, {}
        self.late = self.largest = 0
        self.cluster.submit = self._submit
        self.scheduler = Scheduler(
            self.cluster,
            self._told,
            clock=self.clock.monotonic,
            assembler=Films(),
            disk=DiskWork(lambda: None, 8, clock=self.clock.monotonic, thread=AtOnce),
        )

    def _told(self, told):
        event = control.as_json(told)
        self.events.append(event)
        said = event.get("message", "")
        self.late += "started once more" in said
        if "suspiciously long" in said:
            self.cluster.suspected.add(said.removeprefix("job ").partition(" takes")[0].replace(":", ""))
        if event["event"] == "segment":
            self.to_adopt.append((event["job"], event["index"], event["path"]))

    def _submit(self, batch):
        for task in batch:
            name, kind, index = task.label.split()
            if kind == "segment":
                frames = self.jobs[name].segments[int(index)].frames
                assert [handle.label for handle in task.inputs] == [
                    f"{name} frame {frame}" for frame in frames
                ]
        return type(self.cluster).submit(self.cluster, batch)

    def add(self, name, client="", shape=None):
        shape, rng = shape or payload(self.rng), self.rng
        segments = cut(shape.num_frames, FRAME_BYTES)
        finished = (
            {s.index: Path("there") for s in segments if rng.random() < 0.2} if rng.random() < 0.2 else {}
        )
        cache = Pictures(name, rng) if rng.random() < 0.2 else None
        made = JobRun(
            name, shape, self.tmp, finished, rng.choice((0, 0, 1, -1)), cache, client or rng.choice("abc")
        )
        self.jobs[name], self.finished[name] = made, set(finished)
        self.largest = max(self.largest, made.held_bytes + segments[0].count * FRAME_BYTES)
        self.scheduler.add(made)

    def disturb(self):
        """A client thinks better of it, now and then; a job that was cancelled may come again at once."""
        if self.rng.random() < 0.01 and (running := list(self.scheduler._jobs)):
            name = self.rng.choice(running)
            if self.rng.random() < 0.5:
                self.scheduler.change(name, self.rng.choice((-1, 2)), self.rng.choice("abcd"))
                return
            self.scheduler.cancel(name)
            self.to_adopt = [known for known in self.to_adopt if known[0] != name]
            self.events = [event for event in self.events if event.get("job") != name]
            self.add(name)

    def step(self):
        self.scheduler.step(0.2)
        self.disturb()
        if not self.scheduler.tasks:
            self.clock.now += 0.2
            self.cluster.strike()
        while self.to_adopt and self.rng.random() < 0.7:
            name, index, path = self.to_adopt.pop(0)
            self.scheduler.adopted(name, index, Path(path))

    def run(self):
        idle, until = 0, self.clock.now + 50_000
        while self.scheduler.busy or self.scheduler.tasks:
            self.step()
            idle = 0 if self.scheduler.tasks or self.to_adopt else idle + 1
            assert idle < 500 and self.clock.now < until, (
                self.cluster.slots(),
                [
                    (job.name, job.payload, job.frontier.frames_left, vars(job.timings), vars(job.attempts))
                    for job in self.jobs.values()
                ],
            )

    def of(self, name, *kinds):
        return [event for event in self.events if event["event"] in kinds and event.get("job") == name]


@pytest.mark.parametrize("seed", [*range(6), 1193, 1215])
@pytest.mark.parametrize("faults", FAULTS)
def test_every_job_ends_and_every_frame_is_in_one_segment(seed, faults, tmp_path):
    world = World(seed, faults, tmp_path)
    for number in range(world.rng.choice((1, 2, 5))):
        world.add(f"j{number}")
        for _ in range(world.rng.choice((0, 10))):
            world.step()
    world.run()
    for name, job in world.jobs.items():
        (end,) = world.of(name, "video", "failed")
        assert end["event"] == "video" or (faults == "workers" and "failed 3 times" in end["message"]), end
        if end["event"] == "video":
            made = sorted(event["index"] for event in world.of(name, "segment"))
            assert made == sorted({segment.index for segment in job.segments} - world.finished[name])
    assert world.cluster.again <= world.late
    print(
        f"{faults} {seed}: {world.cluster.wasted:.1f} of {world.cluster.busy:.0f} slot seconds spent on "
        f"{len(world.cluster.copies)} copies of late tasks",
        world.cluster.slots(),
    )
    if faults in ("none", "deeper"):
        assert world.cluster.wasted <= 0.02 * world.cluster.busy, "nothing was stuck"
    # What was cancelled holds on to its inputs a little longer.
    assert world.cluster.store.most <= 0.8 * world.cluster.memory() + world.largest
    world.scheduler.close()
    assert not world.cluster.live and not world.cluster.unwanted


@pytest.mark.parametrize("seed", range(24))
def test_newcomers_see_a_frame_soon_whatever_fills_the_slots(seed, tmp_path):
    world = World(seed, "none", tmp_path, memory=300_000_000)
    cluster, rng, made = world.cluster, world.rng, []
    world.disturb = lambda: None
    # Tasks of long jobs outlast the test; those of newcomers last a tenth of a second.
    cluster._seconds = lambda task: 1e5 if task.label.startswith("long") else 0.1
    cluster._make = lambda task, node: made.append(task) or type(cluster)._make(cluster, task, node)
    for number in range(rng.randint(1, 3)):
        world.add(f"long{number}", "x")
    for _ in range(20):
        world.step()
    waits, full = [], sum(cluster.slots().values())
    for number in range(8):
        if rng.random() < 0.5:  # one that would stay where newcomers are served
            world.add(f"longer{number}", f"y{number}")
            for _ in range(rng.randint(0, 40)):
                world.step()
        names = [f"new{number}{k}" for k in range(rng.choice((1, 1, 2, 3)))]
        begun, before = world.clock.now, len(made)
        for name in names:
            world.add(name, f"client of {name}")
        while not all(world.of(name, "frame", "kept", "video") for name in names):
            world.step()
            assert world.clock.now < begun + 60, names
        # They may need strips and limits first, and share a place: what that takes is no waiting.
        waits.append(world.clock.now - begun - 0.2 * (len(made) - before))
        for name in names:
            world.scheduler.cancel(name)
    assert not any(world.of(name, "failed") for name in world.jobs)
    assert len(cluster.running) <= full + 2 * len(cluster.alive), (
        "one beside each node's slots, and one that ends"
    )
    print(f"waited {max(waits):.1f} s at most", cluster.slots())
    assert max(waits) < 5
    world.scheduler.close()


@pytest.mark.parametrize(
    "sampling, mapping, end",
    [
        ("shared", "root", "1e-4"),
        ("exact", "even", "1e-4"),
        ("exact", "even", "1e-20"),
        ("shared", "even", "1e-4"),
    ],
)
@pytest.mark.parametrize("in_the_place", [False, True])
@pytest.mark.parametrize("seed", [*range(4), 8, 14, 18, 26, 35, 42, 43])
def test_what_a_first_frame_needs_is_made_in_few_calls_beside_full_slots(
    seed, in_the_place, sampling, mapping, end, tmp_path
):
    """Where slots are full, a call takes half a second however little it does; a first frame needs 25 small tasks."""
    world = World(seed, "none", tmp_path, memory=300_000_000)
    cluster, calls = world.cluster, []
    world.disturb = lambda: None
    cluster._seconds = lambda task: 1e5 if task.label.startswith("long") else 0.02
    submit = cluster.submit
    cluster.submit = lambda batch: calls.append(batch[0]) or submit(batch)
    cluster.call_seconds = 0.5
    world.add("long", "x")
    for _ in range(20):
        world.step()
    if in_the_place:
        for number in range(len(cluster.alive)):
            world.add(f"longer{number}", f"y{number}")
        for _ in range(40):
            world.step()
    fields = {
        "num_frames": 50,
        "frame_width": SIDES[0],
        "frame_height": SIDES[1],
        "sampling": sampling,
        "mapping": mapping,
    }
    text = json.dumps(fields | {"start_delta": "3", "end_delta": end, "maxiter": "auto"})
    begun = world.clock.now
    world.add("new", "z", parse(loads(text.encode()), PayloadLimits()))
    while not world.of("new", "frame", "kept"):
        world.step()
    beside = sum(task.label.startswith("new") and bool(task.node) for task in calls)
    print(f"first frame after {world.clock.now - begun:.1f} s, {beside} calls", cluster.slots())
    assert world.clock.now - begun < 5
    world.scheduler.close()


def calm_node(tmp_path, cpus: int, gpus: int) -> World:
    """One node, which nothing disturbs."""
    world = World(1, "none", tmp_path, memory=300_000_000)
    world.disturb = lambda: None
    world.cluster.alive.clear()
    world.cluster.free.clear()
    world.cluster.join(cpus, gpus)
    return world


def pass_seconds(world: World, seconds: float) -> None:
    until = world.clock.now + seconds
    while world.clock.now < until:
        world.step()


def test_an_estimate_does_not_wait_for_gpus_that_are_held(tmp_path):
    """Not even that of a client who has tasks on them, and so gets no place beside the slots."""
    world = calm_node(tmp_path, 2, 1)
    cluster = world.cluster
    cluster._seconds = lambda task: 1e5 if task.kind == "gpu" else 0.1
    fields = {"num_frames": 50, "frame_width": SIDES[0], "frame_height": SIDES[1], "start_delta": "3"}
    long, new = (
        parse(loads(json.dumps(fields | {"end_delta": end, "maxiter": 500}).encode()), PayloadLimits())
        for end in ("1e-3", "1e-4")
    )
    world.add("long", "x", long)
    pass_seconds(world, 10)
    (gpus,) = (node["gpu"] for node in cluster.alive.values())
    assert sum(task.kind == "gpu" for task in cluster.live.values()) >= gpus
    begun = world.clock.now
    world.scheduler.add(JobRun("new", new, tmp_path, {}, 0, None, "x", estimated=True))
    while not world.of("new", "estimated"):
        world.step()
        assert world.clock.now < begun + 10
    world.scheduler.close()


@pytest.mark.parametrize(
    "attackers, honest, every",
    [
        (["a"] * 16, "a", 0),
        ([f"n{number}@a" for number in range(60)], "honest@a", 0),
        ([f"n{number}@a" for number in range(60)], "honest@a", 3),
        ([f"n{number}@a" for number in range(60)], "b", 3),
        ([f"a{number}" for number in range(60)], "b", 0),
    ],
    ids=["one client", "names", "names that come", "another address", "addresses"],
)
def test_who_fills_the_slots_with_large_jobs_keeps_no_small_one_waiting(attackers, honest, every, tmp_path):
    """Not one of the same address either, nor of the same client; ``every`` so many seconds one more name comes."""
    world = calm_node(tmp_path, 2, 0)
    cluster, fields = world.cluster, {"num_frames": 8, "frame_width": SIDES[0], "frame_height": SIDES[1]}
    cluster._seconds = lambda task: 1e5 if task.label.startswith("long") else 0.1
    cluster.call_seconds = 0.2
    shape = parse(loads(json.dumps(fields | {"maxiter": 500}).encode()), PayloadLimits())
    for number, client in enumerate(attackers):
        world.add(f"long{number}", client, shape)
    pass_seconds(world, 10)
    world.add("new", honest, shape)
    begun = last = world.clock.now
    more = 0
    while not world.of("new", "video"):
        world.step()
        assert world.clock.now < begun + 5 or world.of("new", "frame", "kept"), "its first frame"
        assert world.clock.now < begun + 15, "its video"
        if every and world.clock.now > last + every:
            last, more = world.clock.now, more + 1
            world.add(f"longer{more}", f"more{more}@a", shape)
    print(f"video after {world.clock.now - begun:.1f} s")
    world.scheduler.close()


@pytest.mark.parametrize("call_seconds", [1.9, 2.5, 8.0])
@pytest.mark.parametrize("seconds", [0.1, 10, 60])
def test_calls_that_need_longer_than_a_turn_to_begin_are_done_some_day(call_seconds, seconds, tmp_path):
    """As on a machine so busy that a worker takes that long to start; and newcomers wait no longer for it."""
    world = calm_node(tmp_path, 2, 0)
    cluster, fields = world.cluster, {"num_frames": 8, "frame_width": SIDES[0], "frame_height": SIDES[1]}
    cluster._seconds = lambda task: 1e5 if task.label.startswith("long") else 0.1
    cluster.call_seconds = call_seconds
    shape = parse(loads(json.dumps(fields | {"maxiter": 500}).encode()), PayloadLimits())

    def add(name, client):  # of which nothing is there yet
        world.jobs[name] = JobRun(name, shape, tmp_path, {}, 0, None, client)
        world.scheduler.add(world.jobs[name])

    for number in range(8):
        add(f"long{number}", f"n{number}@a")
    pass_seconds(world, seconds)
    add("new", "b")
    begun = world.clock.now
    while not world.of("new", "video"):
        world.step()
        assert world.clock.now < begun + 60 or world.of("new", "frame", "kept"), "its first frame"
        assert world.clock.now < begun + 200, "its video"
    pass_seconds(world, 300)  # the turns of those that are left have grown
    cluster.call_seconds = 0.2
    add("newer", "c")
    begun = world.clock.now
    while not world.of("newer", "frame", "kept"):
        world.step()
        assert world.clock.now < begun + 5
    world.scheduler.close()


def test_a_client_of_many_large_jobs_loses_one_turn_with_each(tmp_path):
    """Its jobs take turns beside its own in the slots only until each has been seen to be long."""
    world = calm_node(tmp_path, 2, 0)
    cluster, fields = world.cluster, {"num_frames": 8, "frame_width": SIDES[0], "frame_height": SIDES[1]}
    cluster._seconds = lambda task: 1e5
    shape, beside, submit = (
        parse(loads(json.dumps(fields | {"maxiter": 500}).encode()), PayloadLimits()),
        [],
        cluster.submit,
    )
    cluster.submit = lambda batch: (
        beside.extend(task.label for task in batch[:1] if task.node) or submit(batch)
    )
    for number in range(6):
        world.add(f"long{number}", "a", shape)
    pass_seconds(world, 100)
    jobs = [label.split()[0] for label in beside]
    assert 3 <= len(jobs) == len(set(jobs)) <= 6
    world.scheduler.close()

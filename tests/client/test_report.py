"""Results in words."""

import pytest

from mandel.client.report import report

JOB = "239de3" + "0" * 58
NODES = ["a" * 56, "b" * 56, "c" * 56]


def lines(result, op="status"):
    pairs = (line.strip().partition("  ") for line in report(op, result).splitlines())
    return {name: text.strip() for name, _, text in pairs}


def test_a_job_names_hosts_not_nodes():
    told = lines(
        {
            "job": JOB,
            "state": "running",
            "frames": 50,
            "done": 30,
            "seconds_left": [6.0, 70],
            "asked": 0.5,
            "payload": {"point": "1" * 500, "palette": "ember"},
            "pinned": False,
            "seconds": 185.2,
            "nodes": {NODES[0]: 20, NODES[1]: 7, NODES[2]: 3},
            "hosts": {NODES[0]: "left", NODES[1]: "left"},
            "error": {"code": "LOST", "message": "gone", "field": None, "limit": None},
        }
    )
    assert told["job"] == JOB[:12] and told["frames"] == "30 of 50" and told["left"] == "6 s to 1:10"
    assert told["nodes"] == f"left: 27 frames (2 nodes), {'c' * 12}: 3 frames"
    assert told["took"] == "3:05" and told["pinned"] == "no" and told["error"] == "LOST: gone"
    assert told["asked"].startswith("19") and "hosts" not in told


def test_the_service_in_words():
    text = report(
        "status",
        {
            "version": "1",
            "uptime": 7385.2,
            "connections": 1,
            "driver": {"state": "ready", "starts": 1, "error": None, "pid": 7},
            "cluster": {
                "address": "h:1",
                "joined": True,
                "dashboard": None,
                "slots": {"cpu": 8, "gpu": None},
                "nodes": [
                    {"id": NODES[0], "host": "left", "alive": True},
                    {"id": NODES[1], "host": "left", "alive": True},
                    {"id": NODES[2], "alive": True},
                    {"id": "d", "host": "x", "alive": False},
                ],
            },
            "jobs": {"queued": 0, "running": 1, "done": 3},
            "live": [{"job": JOB, "state": "running"}],
        },
    )
    for words in (
        "2:03:05",
        "ready, started once",
        "left (2 nodes), cccccccccccc, 1 dead",
        "cpu 8",
        "running already",
        "1 running, 3 done",
        f"{JOB[:12]} running",
    ):
        assert words in text
    assert not set('{}[]"') & set(text) and "dashboard" not in text


def test_what_the_service_stores_in_words():
    storage = {
        "total": 3_400_000_000,
        "limit": 60e9,
        "free": 80e9,
        "jobs": 3e9,
        "cache": 5e6,
        "lost": 4096,
        "pinned": 12_300_000,
    }
    told = lines({"storage": storage, "bytes": 12_345_678, "kept": 5_000})
    assert told["DB"] == "3400.0 MB of 60.0 GB (pinned 12.3 MB, cache 5.0 MB); 80.0 GB free on its disk"
    assert told["film"] == "12.3 MB" and told["kept strips"] == "5.0 kB"
    assert lines({"bytes": 12_345_678, "kept": 10_000_000})["film"] == "2.3 MB"
    assert lines({"storage": {"error": "gone"}})["DB"] == "error gone"


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"storage": {"total": "x", "limit": [], "free": {}, "lost": "y"}, "bytes": -1, "kept": 1e300},
        {"storage": 3},
        {"jobs": [{"bytes": "x", "pinned": 7}]},
        {"job": 3, "nodes": {"": "x"}, "hosts": 1},
        {"jobs": [3, {"job": None, "seconds_left": [1]}]},
        {"jobs": 3, "driver": [], "cluster": {"nodes": 5}, "live": [1]},
        {"cluster": {"nodes": [{}, 3]}},
        {"asked": 1e300, "uptime": "x", "error": 7, "payload": None, "frames": {"a": [{}]}},
    ],
)
@pytest.mark.parametrize("op", ["status", "list", "cancel"])
def test_anything_can_be_told(op, result):
    assert isinstance(report(op, result), str)


def test_a_list_shows_names_sizes_lengths_and_looks():
    job = {"job": JOB, "state": "done", "frames": 900, "done": 900, "bytes": 5_000_000, "asked": 0.5}
    told = report(
        "list", {"jobs": [job | {"length": 30.0, "look": "evening, ember", "name": "deep\x1b dive"}, job]}
    )
    head, named, nameless = told.splitlines()
    assert head.split()[-3:] == ["length", "look", "name"]
    assert "5.0 MB" in named and named.split()[-5:] == ["s", "evening,", "ember", "deep?", "dive"]
    assert nameless.split()[-2:] == ["-", "-"]
    _, told = report("list", {"jobs": [job | {"kept": 4_000_000, "pinned": True}]}).splitlines()
    assert " 1.0 MB + 4.0 MB of strips, pinned " in told


def test_an_estimate_says_time_cpu_time_and_size():
    told = {
        "job": "ab" * 32,
        "state": None,
        "frames": 60,
        "length": 3.0,
        "seconds": [1.2, 65],
        "cpu_seconds": [2.0, 130.4],
        "bytes": [3e5, 2e6],
        "rendering": 50.0,
        "encoding": 0.2,
        "slots": {"cpu": 2, "gpu": 1},
    }
    assert report("estimate", told).splitlines() == [
        "film      60 frames, 3.0 s",
        "time      1.2 s to 1:05 with 2 cpu slots, 1 gpu slot, if nothing else runs",
        "CPU time  2.0 s to 2:10: rendering about 50 s, encoding 0.2 s",
        "size      300.0 kB to 2.0 MB",
    ]
    told |= {"state": "done", "bytes": None}
    size, job = report("estimate", told).splitlines()[3:]
    assert "not known" in size and job == "job       abababababab is done already"
    told |= {"others": 1, "load": 0.4, "cores": 2}
    assert report("estimate", told).splitlines()[2] == (
        "but       1 other job shares the slots: it will take longer"
    )
    told |= {"others": 0, "load": 5.31}
    assert report("estimate", told).splitlines()[2] == (
        "but       the service's machine was busy (load 5.31 on 2 cores in the last minute): it will take longer"
    )
    assert report("estimate", {"seconds": "x", "slots": [], "bytes": [1], "cpu_seconds": {}})


@pytest.mark.parametrize(
    "op, state, told",
    [
        ("cancel", "done", f"nothing to cancel: {JOB[:12]} is done"),
        ("pause", "cancelled", f"nothing to pause: {JOB[:12]} is cancelled"),
        ("retry", "done", f"nothing to retry: {JOB[:12]} is done"),
        ("cancel", "cancelled", f"cancelled {JOB[:12]}"),
        ("retry", "queued", f"queued {JOB[:12]}"),
    ],
)
def test_a_change_that_changes_nothing_is_told_as_such(op, state, told):
    assert report(op, {"job": JOB, "state": state}) == told


def test_a_service_without_ray_in_words():
    cluster = {"address": "", "joined": False, "dashboard": "", "slots": {"cpu": 2}, "store": 6_319_127_552}
    told = report("status", {"version": "1", "cluster": cluster}).splitlines()
    assert "renders in   processes of this machine, without Ray" in told
    assert "for results  6319.1 MB of memory" in told
    assert not any(line.startswith(("Ray", "dashboard", "store")) for line in told)

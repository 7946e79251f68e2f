"""What a driver says that cannot be: refused whole, and no file that is not a job's own is touched."""

import json
import os
from dataclasses import replace

import pytest

from mandel import notes
from mandel.protocol import control
from tests.service.heads import SMALL, expected_video
from tests.support.processes import wait_for

JOB = "0123456789abcdef" * 4
SHA = "f" * 64
GOOD = [
    {"event": "alive"},
    {
        "event": "ready",
        "address": "10.0.0.1:6379",
        "dashboard": "",
        "joined": True,
        "nodes": [{"id": "a", "alive": True}],
    },
    {
        "event": "cluster",
        "nodes": [
            {
                "id": "a",
                "host": "h",
                "address": "x",
                "alive": False,
                "resources": {"CPU": 2.0, "memory": 1e10},
            }
        ],
        "slots": {"cpu": 2},
        "tasks": 3,
    },
    {"event": "unavailable", "code": "NO_CLUSTER", "message": "none"},
    {"event": "log", "level": "warning", "message": "words"},
    {
        "event": "frame",
        "job": JOB,
        "frame": 11,
        "seconds": 0.1,
        "node": "a",
        "host": "h",
        "device": "d",
        "attempt": 1,
        "found": {
            "flat": True,
            "auto": False,
            "reached": 0.5,
            "late": 0,
            "maxiter": 9,
            "delta": "1.00e-9",
            "decimals": 3,
        },
    },
    {"event": "kept", "job": JOB, "frame": 0, "found": {"flat": False, "auto": True}},
    {
        "event": "limit",
        "job": JOB,
        "notes": {"gave_up": {"views": 1, "delta": "2.50e+0", "maxiter": 0, "reason": "r"}},
    },
    {"event": "stage", "job": JOB, "stage": "reference", "done": 1, "total": 2},
    {
        "event": "segment",
        "job": JOB,
        "index": 0,
        "first": 0,
        "frames": 12,
        "path": "p",
        "bytes": 1,
        "sha256": SHA,
        "notes": {"reached": {"frame": 3, "share": 1.0, "maxiter": 9}},
    },
    {"event": "spoilt", "job": JOB, "index": 11},
    {"event": "strip", "job": JOB, "strip": -3, "found": False},
    {
        "event": "strip",
        "job": JOB,
        "strip": 3,
        "found": False,
        "path": "p",
        "base": -1,
        "bytes": 1,
        "sha256": SHA,
    },
    {"event": "unneeded", "job": JOB, "strips": [1, 2]},
    {"event": "video", "job": JOB, "path": "p", "poster": "q", "frames": 12, "bytes": 1, "sha256": SHA},
    {"event": "failed", "job": JOB, "code": "INTERNAL", "message": "m"},
    {"event": "cancelled", "job": JOB},
    {"event": "left", "job": JOB, "least": 1.5, "most": 3},
    {
        "event": "estimated",
        "job": JOB,
        "seconds": [1.0, 2.0],
        "cpu_seconds": [2, 3],
        "bytes": [100, 900],
        "rendering": 1.5,
        "encoding": 0.5,
        "slots": {"cpu": 2},
    },
]


def heard(message: dict) -> control.Event:
    return control.decode_event(json.dumps(message).encode())


def refused(message: dict) -> str:
    with pytest.raises(control.BadMessage) as caught:
        heard(message)
    assert caught.value.code == "BAD_MESSAGE"
    return caught.value.message


def test_what_drivers_say_is_taken():
    assert {message["event"] for message in GOOD} == set(control.EVENTS)
    for message in GOOD:
        event = heard(message)
        assert type(event) is control.EVENTS[message["event"]]
        assert control.as_json(event).items() >= message.items()  # and the defaults of what it lacks
        assert heard({**message, "more": [1]}) == event == control.decode_event(control.encode(event))
        nulls = {name: None for name, field in control.fields_of(type(event)).items() if field.optional}
        assert heard({**nulls, **message}) == event


ORDERS = [
    control.Render(
        job=JOB,
        payload={"num_frames": 12},
        tmp="/DB/tmp/a",
        cache="/DB/cache",
        segments=[control.SegmentFile(0, "/DB/jobs/0.h264")],
        source={"num_frames": 9},
        strips=[control.StripFile(-3, "/DB/strips/-3", -1, 1, SHA)],
        priority=-2,
        client="me",
    ),
    control.Render(job=JOB, payload={}, tmp="/DB/tmp/a", segments=[], strips=[]),
    control.Estimate(job=JOB, payload={"num_frames": 12}, cache="/DB/cache", client="me", strips=[]),
    control.Adopted(job=JOB, index=0, path="/DB/jobs/0.h264"),
    control.Change(job=JOB, priority=3, client=""),
    control.Cancel(job=JOB),
    control.Stop(seconds=2.5),
]


def test_orders_arrive_as_they_were_given():
    assert {type(order) for order in ORDERS} == set(control.ORDERS.values())
    for order in ORDERS:
        line = control.encode(order)
        assert line.endswith(b"}\n") and line.count(b"\n") == 1
        assert control.decode_order(line) == order


@pytest.mark.parametrize(
    "changed",
    [
        {"payload": None},
        {"segments": {"0": "path"}},
        {"segments": [{"index": -1, "path": "p"}]},
        {"segments": [{"index": 1}]},
        {"strips": [{"strip": 1, "path": "p", "base": 0, "bytes": 1, "sha256": "x"}]},
        {"priority": "high"},
        {"tmp": None},
        {"do": "nosuch"},
    ],
)
def test_orders_are_checked_as_events_are(changed):
    said = control.as_json(ORDERS[1]) | changed
    with pytest.raises(control.BadMessage) as caught:
        control.decode_order(json.dumps(said).encode())
    assert caught.value.job == JOB and next(iter(changed)) in caught.value.message


@pytest.mark.parametrize("line", [b"", b"no JSON", b"[1]", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_about_no_job(line):
    with pytest.raises(control.BadMessage, match="no JSON object") as caught:
        control.decode_event(line)
    assert caught.value.job is None


@pytest.mark.parametrize("message", GOOD, ids=lambda message: message["event"])
def test_each_field_is_of_its_kind(message):
    optional = {
        name for name, field in control.fields_of(control.EVENTS[message["event"]]).items() if field.optional
    }
    for name in set(message) - {"event"}:
        wrong = [{} if name not in ("slots", "notes") else 7, -(2**63), 2**63, float("nan"), "x" * (2 << 20)]
        wrong += (
            [[1.5]]
            if isinstance(message[name], list)
            else [[], "" if name in ("job", "sha256", "code") else []]
        )
        for value in wrong:
            assert name in refused({**message, name: value}), (name, value)
        # A strip's file has all of these fields, or there is none.
        if name not in optional or (message["event"] == "strip" and name in ("base", "bytes", "sha256")):
            assert name in refused({key: it for key, it in message.items() if key != name})


@pytest.mark.parametrize("event", [None, 7, "nosuch", [], {}])
def test_there_are_no_other_events(event):
    assert "no event" in refused({"event": event, "job": JOB})


def test_a_path_is_a_file_of_the_folder(tmp_path):
    folder, theirs = tmp_path / "tmp", tmp_path / "theirs"
    folder.mkdir()
    (folder / "inner").mkdir()
    (folder / "good").write_text("good")
    theirs.write_text("theirs")
    (folder / "symbolic").symlink_to(theirs)
    os.link(theirs, folder / "hard")
    os.mkfifo(folder / "pipe")
    (tmp_path / "link").symlink_to(folder)
    for good in ("good", "gone"):
        video = control.Video(job=JOB, path=str(folder / good), frames=12, bytes=1, sha256=SHA)
        control.check_of_job(video, 12, folder)
        assert list(control.files_of(video)) == [str(folder / good)]
    bad = [
        str(theirs),
        str(folder),
        f"{folder}/",
        f"{folder}/.",
        f"{folder}/..",
        f"{folder}/../theirs",
        "good",
        "",
        f"{folder}//good",
        f"{folder}/inner",
        f"{folder}/inner/x",
        f"{folder}/symbolic",
        f"{folder}/hard",
        f"{folder}/pipe",
        f"{folder}/a\0b",
        f"{folder}/{'x' * 300}",
        f"{tmp_path}/link/good",
        "/etc/passwd",
    ]
    for name in ("path", "poster"):
        for path in bad:
            with pytest.raises(control.BadMessage, match=r"no file|no regular|name too long"):
                control.check_of_job(replace(video, **{name: path}), 12, folder)
    with pytest.raises(control.BadMessage):
        control.check_of_job(replace(video, path=f"{tmp_path}/link/good"), 12, tmp_path / "link")


@pytest.mark.parametrize("name, value", [("frame", 12), ("index", 12), ("first", 12), ("frames", 13)])
def test_a_job_has_so_many_frames(tmp_path, name, value):
    segment = control.Segment(
        job=JOB, index=11, first=11, frames=12, path=f"{tmp_path}/x", bytes=1, sha256=SHA
    )
    event = control.Frame(job=JOB, frame=11) if name == "frame" else segment
    control.check_of_job(event, 12, tmp_path)
    with pytest.raises(control.BadMessage, match=f"{name} is {value}"):
        control.check_of_job(replace(event, **{name: value}), 12, tmp_path)


UNKNOWN = "0" * 64


@pytest.mark.parametrize(
    "lie",
    [
        {
            "event": "segment",
            "job": UNKNOWN,
            "index": 0,
            "frames": 5,
            "path": "{theirs}",
            "bytes": 1,
            "sha256": SHA,
        },
        {
            "event": "segment",
            "job": "{job}",
            "index": 0,
            "frames": 5,
            "path": "{theirs}",
            "bytes": 1,
            "sha256": SHA,
        },
        {
            "event": "segment",
            "job": "{job}",
            "index": 12,
            "frames": 5,
            "path": "{tmp}/x",
            "bytes": 1,
            "sha256": SHA,
        },
        {
            "event": "video",
            "job": "{job}",
            "frames": 12,
            "path": "{tmp}/symbolic",
            "bytes": 6,
            "sha256": "{sha}",
        },
        {"event": "video", "job": "{job}", "frames": 12, "path": "{tmp}/hard", "bytes": 6, "sha256": "{sha}"},
        {"event": "spoilt", "job": "{job}", "index": -1},
        {"event": "nosuch", "job": "{job}"},
        {"event": "frame", "job": UNKNOWN, "frame": "one"},
        {"event": "frame", "job": [], "frame": 1},
        {"event": "cluster", "nodes": "all"},
        "no JSON",
    ],
)
def test_a_driver_that_lies_harms_nobody(heads, lie):
    """attacks.md 1 f: a folder of others was removed, and a file of others was sent to a client as its video.

    A lie about the job in hand costs that job an attempt; one about no job of the driver's costs the driver its life.
    What is right in itself, about a job that it does not have, is passed over.
    """
    import hashlib

    head = heads()
    theirs = head.orders / "theirs"
    theirs.write_text("secret")
    folder = head.orders / "folder"
    folder.mkdir()
    (folder / "mine").touch()
    text = lie if isinstance(lie, str) else json.dumps(lie)
    unknown = "path" in lie and lie["job"] == UNKNOWN
    (head.orders / "lie").write_text(
        text.replace("{theirs}", str(folder if unknown else theirs)).replace(
            "{sha}", hashlib.sha256(b"secret").hexdigest()
        )
    )
    reply = head.ask(**SMALL)
    assert (head.orders / "lied").exists() and reply.video == expected_video(reply.parts[0].fields["job"])
    assert theirs.read_text() == "secret" and (folder / "mine").exists()
    of_job = "{job}" in text
    assert ("what the driver said is not right" in head.said()) == of_job
    assert ("said what cannot be" in head.said()) == (not of_job and not unknown)
    assert len(head.lines("lives")) == (1 if of_job or unknown else 2)
    wait_for(lambda: not list((head.db / "tmp").iterdir()), 20, "nothing is left of it")


FOUND = {
    "flat": True,
    "auto": False,
    "reached": 0.5,
    "late": 0.2,
    "maxiter": 9,
    "delta": "1.00e-9",
    "decimals": 3,
}


@pytest.mark.parametrize(
    "found",
    [
        FOUND,
        FOUND | {"flat": False},
        {"flat": True, "auto": False},
        FOUND | {"reached": None},
        FOUND | {"late": None},
        FOUND | {"maxiter": None},
        FOUND | {"delta": None},
        FOUND | {"decimals": None, "reached": 1},
        FOUND | {"maxiter": 0},
    ],
)
def test_what_is_found_of_frames_becomes_notes_whatever_is_missing(found):
    """What a driver may say of frames can be told, merged and said again of a segment."""
    said = heard({"event": "frame", "job": JOB, "frame": 1, "found": found}).found
    one, two = notes.of_frame(1, said), notes.of_frame(2, FOUND)
    for known in (one, notes.merged(one, two), notes.merged(two, one)):
        assert heard({"event": "limit", "job": JOB, "notes": known}).notes == known


@pytest.mark.parametrize(
    "wrong",
    [
        {"reached": 1.1},
        {"reached": "x"},
        {"late": -0.1},
        {"maxiter": 1.5},
        {"flat": None},
        {"delta": "1" * 41},
        {"more": 1},
        {"decimals": float("nan")},
        {"auto": 1},
    ],
)
def test_what_is_found_of_frames_is_nothing_else(wrong):
    refused({"event": "frame", "job": JOB, "frame": 1, "found": FOUND | wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"short": {}},
        {"reached": {"frame": 1, "share": 2, "maxiter": 1}},
        {"flat": {"frames": 1, "first": 0, "last": 0}},
        {"gave_up": {"views": 1, "delta": "1", "maxiter": 1, "reason": "x" * 1001}},
        {"more": {}},
        {"reached": {"frame": 1, "share": 1, "maxiter": 1, "more": 1}},
    ],
)
def test_notes_are_nothing_else(wrong):
    refused({"event": "limit", "job": JOB, "notes": wrong})

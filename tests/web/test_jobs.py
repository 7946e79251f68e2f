"""Jobs by HTTP: the operations of the socket, with its checks and its errors."""

import http.client
import json

import pytest

from mandel.payload import stops
from mandel.payload.payload import parse
from tests.service.heads import SMALL, expected_video
from tests.support.processes import wait_for


def done(web, job: str) -> dict:
    """What is known of a job, once it is done."""
    wait_for(lambda: web.get(f"/api/jobs/{job}").json["state"] == "done", 60, "the job is done")
    return web.get(f"/api/jobs/{job}").json


def test_a_job_is_the_same_whichever_way_it_comes(head, web):
    told = web.post("/api/jobs", {**SMALL, "client": "page", "priority": 3})
    assert told.status == 202
    assert told.json["job"] == parse(SMALL).job_id() and told.json["client"] == "page@127.0.0.1"
    assert told.json["priority"] == 3 and told.json["payload"]["num_frames"] == 12
    known = done(web, told.json["job"])
    assert head.ask(op="status", job=told.json["job"]).last == known
    assert head.ask(**SMALL).video == expected_video(told.json["job"])
    listed = web.get("/api/jobs").json["jobs"]
    assert listed == head.ask(op="list").last["jobs"] and listed[0]["job"] == told.json["job"]
    assert web.get(f"/api/jobs/{told.json['job'][:6]}").json["job"] == told.json["job"]


def test_what_the_socket_refuses_is_refused_with_the_same_words(head, web):
    wrong = [
        {**SMALL, "frame_width": 15},
        {**SMALL, "num_frames": 10**9},
        {**SMALL, "maxiter": 1.5},
        {**SMALL, "maxiter": "many"},
        {**SMALL, "palette": "mud"},
        {**SMALL, "fps": "NaN"},
        {**SMALL, "end_delta": "1e-99999"},
        {**SMALL, "keep_strips": True},
        {**SMALL, "priority": 10},
        {**SMALL, "client": "\n"},
        {**SMALL, "num_frame": 3},
        {"point": "1"},
    ]
    for payload in wrong:
        by_socket = head.ask(**payload).last
        for path in ("/api/jobs", "/api/check"):
            told = web.post(path, payload)
            assert (told.status, told.json["error"]) == (400, by_socket), payload
        assert by_socket["field"]
    assert web.post("/api/jobs", {"op": "list"}).code == "NOT_OBJECT"
    assert web.post("/api/jobs", b"[1]").code == "NOT_OBJECT"
    assert web.post("/api/jobs", b'{"num_frames": 1} {}').code == "TRAILING_DATA"


def test_a_check_does_nothing(head, web):
    payload = {**SMALL, "maxiter": 77}
    told = web.post("/api/check", payload)
    assert told.status == 200 and told.json["state"] is None and told.json["job"] == parse(payload).job_id()
    assert told.json["frames"] == 12 and told.json["samples"] == 12 * 256
    assert web.get(f"/api/jobs/{told.json['job']}").status == 404
    web.post("/api/jobs", payload)
    done(web, told.json["job"])
    assert web.post("/api/check", payload).json["state"] == "done"


def test_an_estimate_is_told_and_does_nothing(head, web):
    payload = {**SMALL, "maxiter": 78}
    told = web.post("/api/estimate", payload)
    assert told.status == 200 and told.json["seconds"] == [1.0, 2.5] and told.json["state"] is None
    assert web.get(f"/api/jobs/{told.json['job']}").status == 404
    assert web.post("/api/estimate", {**SMALL, "fps": 0}).code == "OUT_OF_RANGE"


def test_an_estimate_that_nobody_waits_for_is_dropped(heads):
    head, web = heads()
    head.order("hold")
    for number in range(4):
        browser = http.client.HTTPConnection("127.0.0.1", web.port)
        body = json.dumps({**SMALL, "num_frames": 20 + number})
        browser.request(
            "POST", "/api/estimate", body, {"Origin": web.origin, "Content-Type": "application/json"}
        )
        wait_for(lambda number=number: len(head.lines("estimated")) > number, 20, "it was asked for")
        browser.close()
    wait_for(lambda: len(head.lines("dropped")) == 4, 30, "all have hung up")
    head.withdraw("hold")
    assert web.post("/api/estimate", SMALL).status == 200


def test_a_job_is_paused_resumed_cancelled_retried_pinned_and_deleted(head, web):
    head.order("hold")
    job = web.post("/api/jobs", {**SMALL, "maxiter": 12}).json["job"]
    for verb, state in (
        ("pause", "paused"), ("resume", None), ("cancel", "cancelled"), ("retry", None), ("pause", "paused"),
    ):  # fmt: skip
        told = web.post(f"/api/jobs/{job}/{verb}")
        assert told.status == 200 and told.json["state"] in ((state,) if state else ("queued", "running")), (
            verb
        )
    told = web.ask("DELETE", f"/api/jobs/{job}")
    assert (told.status, told.code) == (409, "NOT_ENDED")
    assert web.post(f"/api/jobs/{job}/resume").status == 200
    head.withdraw("hold")
    done(web, job)
    assert web.post(f"/api/jobs/{job}/pin").json["pinned"] is True
    assert web.post(f"/api/jobs/{job}/unpin").json["pinned"] is False
    assert web.ask("DELETE", f"/api/jobs/{job}").json["state"] == "deleted"
    assert web.get(f"/api/jobs/{job}").status == 404


@pytest.mark.parametrize("job", ["0" * 64, "zz", "..", "%2e%2e", "0" * 65, "DROP TABLE jobs", "0"])
def test_an_unknown_job_is_not_found(web, job):
    path = f"/api/jobs/{job.replace(' ', '%20')}"
    for told in (
        web.get(path),
        web.post(f"{path}/cancel"),
        web.ask("DELETE", path),
        web.get(f"{path}/last.png"),
    ):
        assert (told.status, told.code) == (404, "NOT_FOUND")
    assert web.post(f"/api/jobs/{'0' * 64}/explode").status == 404


def test_recolouring_says_what_it_needs(web):
    job = web.post("/api/jobs", {**SMALL, "maxiter": 13}).json["job"]
    done(web, job)
    told = web.post(f"/api/jobs/{job}/recolour", {"palette": "ember"})
    assert (told.status, told.code) == (409, "NO_STRIPS")
    assert web.post(f"/api/jobs/{job}/recolour", {"maxiter": 5}).code == "UNKNOWN_FIELD"


def test_the_state_tells_what_the_page_must_know(web):
    told = web.get("/api/state").json
    assert told["session"] == {"needed": False, "open": True}
    assert {field["name"] for field in told["fields"]} == set(parse(SMALL).canonical())
    assert told["palettes"]["dusk"][0] == [0.0, "070b2b"] and told["limits"]["max_depth"] == 20_000
    assert told["limits"]["max_stops"] == stops.MOST
    assert told["service"]["storage"]["total"] > 0 and told["service"]["driver"]["state"] == "ready"

"""DB/ as clients see it: deleted jobs, beginnings of ids, lists, limits, a full disk, a folder that is gone."""

import json
import shutil
import sqlite3
import threading

import pytest

from mandel.errors import MandelError, StoreError
from mandel.payload.payload import parse
from mandel.service.jobs.registry import Registry
from mandel.service.jobs.shared_answers import SharedAnswers
from mandel.store import proof
from mandel.store.states import CANCELLED, DONE, PAUSED, QUEUED
from mandel.store.store import Store
from tests.service.heads import SMALL, expected_video
from tests.service.test_operations import start, state
from tests.support.processes import wait_for


def test_a_job_is_deleted(head):
    job = head.ask(**SMALL).parts[0].fields["job"]
    head.ask(op="pin", job=job)
    size = head.ask(op="status", job=job).last["bytes"]
    told = head.ask(op="delete", job=job[:10]).last
    assert told == {"job": job, "state": "deleted", "bytes": size} and size > 4096
    assert not list(head.db.glob("jobs/*/*")) and not list((head.db / "tmp").iterdir())
    assert head.ask(op="list").last["jobs"] == []
    for op in ("delete", "attach", "status"):
        assert head.ask(op=op, job=job).code == "NOT_FOUND"
    assert head.ask(**SMALL).video == expected_video(job)  # and is made again


def test_a_job_that_has_not_ended_is_not_deleted(head):
    head.order("hold")
    job = start(head)
    assert head.ask(op="delete", job=job).code == "NOT_ENDED"
    head.ask(op="pause", job=job)
    reply = head.ask(op="delete", job=job)
    assert reply.code == "NOT_ENDED" and "--cancel" in reply.last["message"]
    head.ask(op="cancel", job=job)
    assert head.ask(op="delete", job=job).last["state"] == "deleted"


def test_the_service_knows_a_job_by_the_beginning_of_its_id(heads):
    head = heads()
    jobs = [start_and_cancel(head, maxiter) for maxiter in (20, 21)]
    assert head.ask(op="status", job=jobs[0][:4]).last["job"] == jobs[0]
    assert head.ask(op="cancel", job=jobs[1][:12]).last["job"] == jobs[1]
    for beginning in (jobs[0][:3], "", "0" * 63, "xyzw"):
        assert head.ask(op="status", job=beginning).code == "NOT_FOUND"


def start_and_cancel(head, maxiter: int) -> str:
    head.order("hold")
    job = start(head, maxiter=maxiter)
    head.ask(op="cancel", job=job)
    return job


@pytest.fixture
def store(tmp_path):
    own = Store(tmp_path / "DB")
    yield own
    own.close()


def add(store, number: int, state: str = CANCELLED, digits: int = 10) -> str:
    job, payload = f"{number:064x}", {"num_frames": 10, "point": "1" * digits}
    store.add(job, payload, json.dumps(payload, sort_keys=True, separators=(",", ":")), 10)
    if state != QUEUED:
        store.set_state(job, state)
    return job


def ask(registry, number: int):
    return registry.ask(parse({"num_frames": 10, "frame_width": 2, "frame_height": 2, "maxiter": number}))


def test_several_jobs_with_one_beginning(store):
    jobs = [add(store, number) for number in range(2)]
    registry = Registry(store, 0, 100, 100)
    assert registry.resolve(jobs[0]) == jobs[0]
    with pytest.raises(MandelError) as caught:
        registry.resolve("0000")
    assert caught.value.code == "AMBIGUOUS" and "more digits" in caught.value.message
    with pytest.raises(MandelError) as caught:
        registry.resolve("1111")
    assert caught.value.code == "NOT_FOUND"


def test_a_list_reads_no_payloads(store, monkeypatch):
    jobs = [add(store, number, (CANCELLED, QUEUED, PAUSED)[number % 3], digits=60_000) for number in range(9)]
    registry = Registry(store, 0, 100, 100)

    def read(*_):
        raise AssertionError("a payload was read")

    monkeypatch.setattr(proof, "payload_of", read)
    monkeypatch.setattr(store, "payload", read)
    rows = json.loads(registry.list())
    assert [row["job"] for row in rows] == jobs[::-1]
    assert {"state", "frames", "done", "asked", "bytes", "pinned"} <= set(rows[0]) and len(
        registry.list()
    ) < 3_000


def test_many_who_ask_at_once_are_told_by_two_looks():
    """However many ask while one looks: the next look, which begins after they asked, serves them all."""
    looks, entered, go_on = [], threading.Event(), threading.Event()

    def look() -> bytes:
        looks.append(1)
        entered.set()
        go_on.wait(30)
        return b"look %d" % len(looks)

    shared, told = SharedAnswers(look), []
    first = threading.Thread(target=lambda: told.append(shared.get()))
    first.start()
    entered.wait(30)
    others = [threading.Thread(target=lambda: told.append(shared.get())) for _ in range(16)]
    for other in others:
        other.start()
    # All of them wait for the first look to end before it does.
    wait_for(lambda: shared.waiting == 16, 30, "they wait")
    go_on.set()
    for thread in (first, *others):
        thread.join(30)
    assert sorted(told) == [b"look 1"] + [b"look 2"] * 16
    assert shared.get() == b"look 3"  # nobody is told what was so before he asked


def test_eviction_holds_nobody_up(store, monkeypatch):
    """900 jobs are to go: a new one is accepted while at most a turn's few have gone."""
    import mandel.store.evict as evict_module

    for number in range(300):
        add(store, number)
    registry = Registry(store, 1, 1000, 1000)
    monkeypatch.setattr(evict_module.time, "time", lambda now=evict_module.time.time: now() + 3600)
    gone, accepted = [], []
    forget = evict_module.forget

    def slowly(*given):
        gone.append(1)
        if len(gone) == 3:
            begin.set()
        return forget(*given)

    begin = threading.Event()
    monkeypatch.setattr(evict_module, "forget", slowly)

    def come():
        begin.wait(30)
        before = len(gone)
        ask(registry, 10_000)
        accepted.append(len(gone) - before)

    client = threading.Thread(target=come)
    client.start()
    turns = 0
    while registry.make_room():
        turns += 1
    client.join(30)
    assert len(gone) == 300 and turns >= 300 // 8
    print(f"accepted while {accepted[0]} jobs went, of 300")
    assert accepted[0] <= 16


def test_pins_are_refused_in_words(heads):
    head = heads("--max-db-bytes", "300000")
    jobs = [head.ask(**SMALL | {"maxiter": 20 + number}).parts[0].fields["job"] for number in range(4)]
    size = head.ask(op="status", job=jobs[0]).last["bytes"]
    may = 150_000 // size
    assert 1 <= may < len(jobs)
    for job in jobs[:may]:
        assert head.ask(op="pin", job=job).last["pinned"] is True
    assert head.ask(op="status").last["storage"]["pinned"] == may * size
    reply = head.ask(op="pin", job=jobs[may])
    assert reply.code == "TOO_MANY_PINS" and "unpin" in reply.last["message"]
    assert reply.last["limit"] == {"jobs": 1000, "bytes": 150_000}
    head.ask(op="unpin", job=jobs[0])
    assert head.ask(op="pin", job=jobs[may]).last["pinned"] is True


def test_what_is_there_is_served_from_a_full_disk(heads):
    head = heads()
    job = head.ask(**SMALL).parts[0].fields["job"]
    assert head.stop() == 0
    with sqlite3.connect(head.db / "index.sqlite3") as index:
        index.execute("UPDATE jobs SET used = NULL")  # long ago
    index.close()
    head = heads(failpoint="wish.commit.before:enospc")  # the note that the video is used
    assert head.ask(**SMALL).video == expected_video(job)
    assert "could not be noted" in head.said()


@pytest.mark.parametrize("op, ends", [("cancel", "cancelled"), ("pause", "paused")])
def test_a_full_disk_keeps_no_job_going(heads, op, ends):
    head = heads(failpoint="state.commit.before:enospc")
    head.order("hold")
    job = start(head)
    wait_for(lambda: state(head, job) == "running", 20, "it runs")
    told = head.ask(op=op, job=job).last
    assert told["state"] == ends and "not stored yet" in told["unsaved"]
    wait_for(
        lambda: "unsaved" not in head.ask(op="status", job=job).last,
        20,
        "it is stored as there is room again",
    )
    assert state(head, job) == ends
    head.kill()
    head = heads()
    assert state(head, job) == ends


def test_a_cancel_that_is_not_stored_is_not_forgotten(store, monkeypatch):
    job = add(store, 1, QUEUED)
    registry = Registry(store, 0, 100, 100)
    set_state = store.set_state

    def full(*_):
        raise StoreError("DISK_FULL", "no space left")

    monkeypatch.setattr(store, "set_state", full)
    assert registry.cancel(job).state == CANCELLED == registry.find(job).state
    assert json.loads(registry.list())[0]["state"] == CANCELLED and registry.next() is None
    registry.save()  # still full
    assert store.get(job).state == QUEUED
    monkeypatch.setattr(store, "set_state", set_state)
    registry.save()
    assert store.get(job).state == CANCELLED and "unsaved" not in registry.describe(registry.find(job))


def test_a_cancelled_job_asked_for_again_on_a_full_disk_goes_on(store, monkeypatch):
    registry = Registry(store, 0, 100, 100)
    job = ask(registry, 1)
    set_state = store.set_state

    def full(*_):
        raise StoreError("DISK_FULL", "no space left")

    monkeypatch.setattr(store, "set_state", full)
    registry.cancel(job.id)
    monkeypatch.setattr(store, "set_state", set_state)
    again = ask(registry, 1)
    registry.save()
    assert again.state == QUEUED == store.get(job.id).state and registry.next() is again


def test_a_folder_that_is_gone_is_told_as_such(heads):
    head = heads()
    head.ask(**SMALL)
    shutil.rmtree(head.db)
    for reply in (head.ask(**SMALL | {"maxiter": 11}), head.ask(**SMALL)):
        assert reply.code == "DB_GONE" and "restart the service" in reply.last["message"]
    assert head.ask(op="status").last["jobs"]["done"] == 1  # it answers on
    assert "went away" not in head.said() and "DB_GONE" in head.said()


def test_an_evicted_video_is_not_told_to_be_damaged(store, caplog):
    job = add(store, 1, DONE)
    registry = Registry(store, 0, 100, 100)
    store.evict(0, idle=-1)
    with pytest.raises(StoreError) as caught:
        registry.open(job)
    assert caught.value.code == "EVICTED" and "damaged" not in caplog.text


def test_what_the_folder_takes_and_may_take_is_told(heads):
    head = heads("--max-db-bytes", "50000000")
    assert "may take 50.0 MB" in head.said()
    job = head.ask(**SMALL).parts[0].fields["job"]
    storage = head.ask(op="status").last["storage"]
    assert storage["limit"] == 50_000_000 and storage["free"] > 0
    assert storage["total"] >= sum(path.lstat().st_size for path in head.db.rglob("*"))
    (row,) = head.ask(op="list").last["jobs"]
    assert row["bytes"] == head.ask(op="status", job=job).last["bytes"] == storage["jobs"]


def test_the_default_protects_the_disk(heads):
    head = heads()
    storage = head.ask(op="status").last["storage"]
    assert "80% of that and what is free" in head.said()
    assert 0.7 * storage["free"] < storage["limit"] < 0.9 * (storage["free"] + storage["total"]) + (1 << 30)


def test_the_folder_is_for_its_owner_alone(heads):
    head = heads()
    head.ask(**SMALL)
    assert head.stop() == 0
    assert head.db.stat().st_mode & 0o777 == 0o700
    for path in head.db.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_lost_payload_is_put_back_by_whoever_sends_it_again(head):
    head.order("hold")
    job = start(head)
    head.ask(op="cancel", job=job)
    path = head.db / "jobs" / job[:2] / job / "payload.json"
    text = path.read_text()
    path.write_text("{")
    assert head.ask(op="status", job=job).last["payload"] is None
    head.withdraw("hold")
    assert head.ask(**SMALL).video == expected_video(job) and path.read_text() == text

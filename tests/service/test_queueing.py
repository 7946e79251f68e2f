"""Whose turn it is, and how many may wait."""

import threading

import pytest

from mandel.errors import MandelError
from mandel.payload.payload import Payload
from mandel.service.jobs.job import Job
from mandel.service.jobs.queueing import MOST_ADDRESSES, MOST_CLIENTS, MOST_RUNNING, check_queue, next_job
from mandel.store.states import QUEUED
from mandel.store.store import Record

LOCK = threading.RLock()


def queue(*clients: str, priorities=()) -> list[Job]:
    """Waiting jobs, oldest first."""
    wishes = [*priorities, *[0] * (len(clients) - len(priorities))]
    return [
        Job(LOCK, Record(f"{n}", {}, 10, QUEUED, 0.0, None, {}, wish, client=client), Payload)
        for n, (client, wish) in enumerate(zip(clients, wishes))
    ]


def begun(jobs: list[Job], cancel_confirmed=()) -> list[str]:
    """The ids of jobs in the order in which they begin, as long as one may."""
    order = []
    with LOCK:
        while (job := next_job(jobs, cancel_confirmed, len(cancel_confirmed))) is not None:
            job.apply("start")
            order.append(job.id)
    return order


def test_clients_take_turns_and_each_has_its_own_order():
    assert begun(queue(*"aaaabb")) == list("041523")
    assert begun(queue(*"aaaabb", priorities=(0, 1, 9, 1, 0, 1))) == list("251430")


def test_a_client_without_a_running_job_starts_one_beyond_the_usual_number():
    jobs = queue(*"a" * (MOST_RUNNING + 5))
    assert len(begun(jobs)) == MOST_RUNNING
    assert begun(jobs + queue(*"bb")) == ["0"]


def test_clients_are_too_many_at_some_time():
    assert len(begun(queue(*(f"{n}@here" for n in range(100))))) == MOST_CLIENTS
    assert len(begun(queue(*map(str, range(100))))) == MOST_ADDRESSES
    assert len(begun(queue(*"a" * 50), cancel_confirmed={"0", "49"})) == MOST_RUNNING - 2


def test_names_that_are_made_up_keep_no_other_address_waiting():
    jobs = queue(*(f"{n}@a" for n in range(90)), "b", "1@c", "2@c")
    assert begun(jobs)[:4] == ["0", "90", "91", "1"]
    jobs = queue(*(f"{n}@a" for n in range(90)))
    assert len(begun(jobs)) == MOST_CLIENTS
    assert begun(jobs + queue("b", "1@c", "2@c")) == ["0", "1"]
    assert begun(jobs + queue("a")) == []


def test_the_clients_at_one_address_do_not_fill_the_queue():
    jobs = queue("1@a", "2@a", "3@a")
    check_queue(jobs, "b", 4, 4)
    with pytest.raises(MandelError) as refused:
        check_queue(jobs, "4@a", 4, 4)
    assert refused.value.code == "BUSY" and "of your address" in refused.value.message


@pytest.mark.parametrize("addresses", [1, 2, 7, 40])
def test_addresses_that_fill_the_queue_leave_room_for_one_more(addresses):
    """Two of them filled it, each by names that it made up."""
    jobs, turned_away = [], 0
    while turned_away < addresses:
        turned_away = 0
        for place in range(addresses):
            try:
                check_queue(jobs, f"{len(jobs)}@{place}", 400, 100)
                jobs += queue(f"{len(jobs)}@{place}")
            except MandelError:
                turned_away += 1
    check_queue(jobs, "new", 400, 100)
    print(f"{addresses} addresses fill {len(jobs)} of 400 places")


@pytest.mark.parametrize("client, most, most_of_one", [("a", 9, 2), ("b", 3, 9), ("c", 3, 9)])
def test_a_full_queue(client, most, most_of_one):
    check_queue(queue(*"aab"), "b", 4, 2)
    with pytest.raises(MandelError) as refused:
        check_queue(queue(*"aab"), client, most, most_of_one)
    assert refused.value.code == "BUSY" and refused.value.limit["retry_after"] > 0

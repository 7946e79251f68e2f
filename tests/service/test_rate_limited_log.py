"""Clients cannot fill the disk with log lines."""

import logging

from mandel.service.net.rate_limited_log import RateLimitFilter


def record(number: int, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("mandel.clients", level, "", 0, "client %d", (number,), None)


def test_a_flood_is_cut_and_counted(monkeypatch):
    clock = 100.0
    monkeypatch.setattr("mandel.service.net.rate_limited_log.time.monotonic", lambda: clock)
    sparing = RateLimitFilter(burst=10, per_second=2)
    assert sum(sparing.filter(record(n)) for n in range(1_000)) == 10
    assert sparing.filter(record(0, logging.ERROR))
    clock += 1
    again = [record(n) for n in range(5)]
    assert [sparing.filter(one) for one in again] == [True, True, False, False, False]
    assert again[0].getMessage() == "client 0 (990 lines before were left out)"
    assert again[1].getMessage() == "client 1"
    clock += 1_000
    assert sum(sparing.filter(record(n)) for n in range(1_000)) == 10

"""How fast a video is read, and when that is too slow."""

import math

from mandel.service.net.read_rate import LEAST_RATE, SEND_BUFFER, WATCHED_SECONDS, ReadRate


def read(rate: float, seconds: int, reading: ReadRate | None = None, begin: float = 0.0) -> ReadRate:
    """A client that takes so many bytes each second, once the socket's buffer is full."""
    if reading is None:
        reading = ReadRate()
        reading.took(0, begin)
        reading.took(SEND_BUFFER, begin)
    for second in range(1, seconds + 1):
        reading.took(int(rate), begin + second)
    return reading


def test_nothing_is_known_at_first():
    assert ReadRate().rate(1e9) == math.inf and not ReadRate().is_slow(1e9)
    assert not read(1, int(WATCHED_SECONDS) - 1).is_slow(WATCHED_SECONDS - 1)


def test_slow_and_fast_enough():
    for seconds in (30, 45, 60, 1_000):
        assert read(LEAST_RATE - 1, seconds).is_slow(seconds)
        assert read(LEAST_RATE, seconds).rate(seconds) == LEAST_RATE
        assert not read(LEAST_RATE, seconds).is_slow(seconds)


def test_who_reads_nothing_is_slow():
    reading = ReadRate()
    reading.took(0, 0.0)
    reading.took(SEND_BUFFER - 1, 0.0)
    assert not reading.is_slow(29.0) and reading.is_slow(30.0)


def test_only_the_last_minute_counts():
    reading = read(10 * LEAST_RATE, 100)
    assert not reading.is_slow(100)
    assert read(0, 65, reading, 100.0).is_slow(165)
    assert not read(2 * LEAST_RATE, 65, reading, 165.0).is_slow(230)
    assert reading.is_slow(10_000)  # it takes nothing at all any more

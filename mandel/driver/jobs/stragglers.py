"""Finds tasks that take suspiciously long: their worker may hang, or their node may have stopped.

Ray notices processes that die. It does not notice one that was stopped: its connections stay open, and its tasks may
never end, even after Ray has given up the node.

Patience counts from when a worker began a call. Slots take calls in the order in which they were submitted, one at a
time, so the first calls have begun, as many as there are slots. Long calls send signs of life (heartbeats.py). One that
does is slow, not lost: it is started once more only where a slot has nothing else to do.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mandel.driver.jobs.policy import DEFAULT_POLICY, Clock, SchedulingPolicy

Heard = Callable[[Iterable[int]], Mapping[int, float]]


@dataclass
class _Watched:
    """A task submitted and not ended; ``begun`` once a slot must have taken its call, ``told`` once it was late."""

    submitted: float
    like: tuple[str, str, str]
    call: int
    more: int
    begun: float | None = None
    told: bool = False


class Stragglers:
    """Watches tasks by ticket."""

    def __init__(self, policy: SchedulingPolicy = DEFAULT_POLICY, clock: Clock = time.monotonic):
        self._policy, self._clock = policy, clock
        self._watched: dict[int, _Watched] = {}
        self._usual: dict[tuple[str, str, str], float] = {}
        self._looked = 0.0

    def submitted(
        self, ticket: int, call: int, job: str, item_kind: str, slot_kind: str, copies: int = 0
    ) -> None:
        """A task was submitted, in a call; ``copies`` of it before, each of which has made more patience due."""
        like = job, item_kind, slot_kind
        self._watched[ticket] = _Watched(self._clock(), like, call, self._policy.copy_patience**copies)

    def ended(self, ticket: int, seconds: float | None = None) -> None:
        """A task is over; ``seconds`` it took, if it went well."""
        watched = self._watched.pop(ticket, None)
        if watched is not None and seconds is not None:
            self._usual[watched.like] = max(
                seconds, self._policy.late_decay * self._usual.get(watched.like, 0.0)
            )

    def unwanted(self, ticket: int) -> None:
        """A task will be late no more, but has its slot until it ends."""
        if (watched := self._watched.get(ticket)) is not None:
            watched.told = True

    def goes_on(self, ticket: int) -> None:
        """A task that was late has told that it goes on: patience begins anew."""
        if (watched := self._watched.get(ticket)) is not None:
            watched.told, watched.begun = False, self._clock()

    def age(self, ticket: int) -> float:
        """Seconds since a task was submitted; 0 if it is not watched any more."""
        return self._clock() - self._watched[ticket].submitted if ticket in self._watched else 0.0

    def forget(self, job: str) -> None:
        """A job is over; what it has under way tells nothing of others."""
        for watched in self._watched.values():
            watched.told = watched.told or watched.like[0] == job
        for like in [like for like in self._usual if like[0] == job]:
            del self._usual[like]

    def late(self, slots: Mapping[str, int], heard: Heard) -> list[int]:
        """Tickets of the tasks that have become late since the last call.

        A task that waits for a slot becomes late too where its kind has no slot left: none will ever take it.

        Args:
            slots: how many slots of each kind there are.
            heard: the executor's method: seconds since the last sign of life, by ticket, of those that gave one.
        """
        now = self._clock()
        if now - self._looked < self._policy.late_look_seconds:
            return []
        self._looked = now
        suspects = {
            ticket
            for ticket, one in self._watched.items()
            if self._age(one, now) > self._patience(one, self._policy.late_when_idle)
        }
        heard_of = (
            {ticket for ticket, ago in heard(suspects).items() if ago < self._policy.silent_seconds}
            if suspects
            else set()
        )
        lost = {self._watched[ticket].call for ticket in suspects - heard_of}
        taken: Counter[str] = (
            Counter()
        )  # slots of each kind by calls that are not lost, waiting ones included
        seen: set[int] = set()
        for one in self._watched.values():
            kind = one.like[2]
            if one.call not in lost and one.call not in seen:
                seen.add(one.call)
                taken[kind] += 1
            if one.begun is None and (taken[kind] <= slots.get(kind, 0) or kind not in slots):
                one.begun = now
        late = []
        for ticket in suspects:
            one = self._watched[ticket]
            idle = taken[one.like[2]] < slots.get(one.like[2], 1)
            long = self._age(one, now) > self._patience(one, self._policy.late_when_busy)
            # One that is heard of has its slot to itself: a copy would only wait, unless there is an idle one.
            if not one.told and (idle and long if ticket in heard_of else idle or long):
                one.told = True
                late.append(ticket)
        return late

    def _age(self, one: _Watched, now: float) -> float:
        return (now - one.begun) / one.more if one.begun is not None else 0.0

    def _patience(self, one: _Watched, measure: tuple[float, float]) -> float:
        times, least = measure
        return max(times * self._usual.get(one.like, self._policy.unknown_seconds), least)

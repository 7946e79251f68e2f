"""A job's life: the table of its states, and what the head knows of a live job."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from functools import reduce
from typing import TYPE_CHECKING, Any

from mandel import notes
from mandel.errors import MandelError, RenderError
from mandel.payload.fields import JsonObject
from mandel.payload.payload import Payload
from mandel.protocol.control import NOTES
from mandel.store.states import CANCELLED, DONE, FAILED, PAUSED, QUEUED
from mandel.store.store import Record

if TYPE_CHECKING:
    from _typeshed import SupportsGetItem

# Never stored: it is a fact about a living driver. A restart finds the job queued.
RUNNING = "running"

# state -> event -> next state; what is not here is not allowed.
TABLE = {
    QUEUED: {"ask": QUEUED, "start": RUNNING, "pause": PAUSED, "fail": FAILED, "cancel": CANCELLED},
    RUNNING: {
        "ask": RUNNING,
        "requeue": QUEUED,
        "pause": PAUSED,
        "finish": DONE,
        "fail": FAILED,
        "cancel": CANCELLED,
    },
    PAUSED: {"ask": PAUSED, "pause": PAUSED, "resume": QUEUED, "cancel": CANCELLED},
    DONE: {"ask": DONE, "damage": QUEUED, "cancel": DONE},
    FAILED: {"ask": QUEUED, "retry": QUEUED, "cancel": FAILED},
    CANCELLED: {"ask": QUEUED, "retry": QUEUED, "cancel": CANCELLED},
}
LIVE = (QUEUED, RUNNING, PAUSED)

_RECENT = 64  # frames over which the present rate is taken


def after(state: str, event: str) -> str:
    """The state that ``event`` leads to.

    Raises:
        MandelError: BAD_TRANSITION; a fault of this program.
    """
    try:
        return TABLE[state][event]
    except KeyError:
        raise MandelError("BAD_TRANSITION", f"a {state} job cannot {event}") from None


def check_engine(job: Job) -> None:
    """Refuses a job of an older version: segments that it finished may show other pixels.

    Raises:
        RenderError: OLD_ENGINE, BAD_JOB (its payload is none to this version).
    """
    try:
        same = job.payload.job_id() == job.id
    except MandelError as error:
        raise RenderError(
            "BAD_JOB",
            f"an older version began this job, and this one cannot read it: {error.message}; "
            "send its payload again",
        ) from error
    if not same:
        raise RenderError(
            "OLD_ENGINE",
            "an older version began this job, and this one makes other pictures; send its payload again",
        )


def least_bytes(job: Job) -> int:
    """As ``Payload.least_bytes``; 0 where its payload is lost or none to this version, which others say."""
    try:
        return job.payload.least_bytes
    except MandelError:
        return 0


class Job:
    """A job in memory: its state and, while it is live, its progress.

    Fields are changed under the supervisor's lock, on which ``changed`` is
    built. ``ending`` is held by whoever writes the job's end to the store.

    Args:
        lock: the supervisor's lock.
        record: the job in the store.
        load: gives its payload; called when that is first needed.
        segments: frames of each segment that is stored, by number.
        known: the notes on these (mandel/notes.py).
    """

    def __init__(
        self,
        lock: threading.RLock,
        record: Record,
        load: Callable[[], Payload],
        segments: dict[int, int] | None = None,
        known: Iterable[JsonObject] = (),
    ):
        self.id, self.frames = record.id, record.frames
        self._load = load
        self._payload: Payload | None = None
        self.state, self.error, self.asked = record.state, record.error, record.asked
        self.report: JsonObject = record.report
        self.priority, self.pinned, self.client = record.priority, record.pinned, record.client
        self.name = record.name
        self.source: str | None = record.source  # the job whose strips it is made from
        self.changed = threading.Condition(lock)
        self.ending = threading.Lock()
        # Since its last finished segment; a frame alone proves nothing, as it may be the same one each time.
        self.faults = 0  # times that the driver failed it
        self.deaths = 0  # of drivers that had it; see suspects.py
        self.unsaved = False  # the disk has no room for its state; it is stored as soon as there is some
        self.nodes: Counter[str] = Counter()
        self.hosts: dict[str, str] = {}
        self.room = 0  # bytes that its video takes at least, if that is known
        self.segments: dict[int, int] = {}
        self.begin(segments or {}, known)

    @property
    def payload(self) -> Payload:
        """What was asked for, read from the disk when first needed.

        Raises:
            StoreError: PAYLOAD_LOST.
            PayloadError: an older version accepted it, and to this one it is none.
        """
        if self._payload is None:
            self._payload = self._load()
        return self._payload

    @property
    def room_left(self) -> int:
        """Bytes that are still to be written for it, at least."""
        return self.room * (self.frames - sum(self.segments.values())) // self.frames

    @property
    def live(self) -> bool:
        return self.state in LIVE

    def apply(self, event: str, error: MandelError | None = None) -> None:
        """Goes to the next state and wakes all who wait for this job."""
        self.state = after(self.state, event)
        self.error = error
        self.changed.notify_all()

    def begin(self, segments: dict[int, int], known: Iterable[JsonObject] | None = None) -> None:
        """A driver starts on it, ``segments`` (number -> frames) being finished.

        Args:
            known: the notes on these; None for those there are.
        """
        self.segments = segments
        if known is not None:
            self._known: JsonObject = reduce(notes.merged, filter(NOTES, known), {})
        self._found: dict[int, JsonObject] = {}  # what was found of frames whose segments are not stored yet
        self._before = sum(segments.values())
        self._fresh: set[int] = set()
        self._kept: set[int] = set()
        self._times: deque[float] = deque([time.monotonic()], maxlen=_RECENT)
        self._began = self._times[0]
        self.stage: JsonObject | None = None  # what its frames wait for
        self.left: list[float] | None = None  # seconds that it still takes: the least, the most
        self.retried = 0  # frames that took more than one attempt
        self.strips = {"iterated": 0, "found": 0}  # found in DB/, and only coloured
        self.strips_lost = False  # some could not be stored
        self.again = 0  # frames that were rendered and, after a pause, will be rendered again

    def strip(self, found: bool) -> None:
        """Counts a strip that the driver has iterated, or ``found`` in DB/ and only coloured."""
        self.strips["found" if found else "iterated"] += 1

    def frame(
        self, number: int, node: str, attempt: int, host: str = "", found: JsonObject | None = None
    ) -> None:
        """A frame has been rendered on a node of ``host``, at the ``attempt``-th try; ``found``: notes.of_frame."""
        if found:
            self._found[number] = found
        if number not in self._fresh:
            self.retried += attempt > 1
            self._fresh.add(number)
            self._times.append(time.monotonic())
            self.nodes[node] += 1
            if host:
                self.hosts[node] = host

    def restored(self, number: int, found: JsonObject | None = None) -> None:
        """A frame of an earlier driver was still there."""
        if found:
            self._found[number] = found
        self._kept.add(number)

    def lost_segment(self, number: int) -> None:
        """A finished segment was thrown away."""
        frames = self.segments.pop(number, 0)
        self._before = max(0, self._before - frames)

    def note(self, known: JsonObject, frames: range = range(0)) -> None:
        """Takes notes on limits, or on the ``frames`` of a segment that is stored."""
        for frame in frames:
            self._found.pop(frame, None)
        self._known = notes.merged(self._known, known)

    @property
    def notes(self) -> JsonObject:
        """The notes on all that is known of its frames."""
        if self.state == DONE:
            known: JsonObject = self.report.get("notes", {})
            return known
        return reduce(notes.merged, (notes.of_frame(*found) for found in self._found.items()), self._known)

    @property
    def done(self) -> int:
        """Frames rendered and not lost."""
        return (
            self.frames
            if self.state == DONE
            else min(self.frames, self._before + len(self._fresh | self._kept))
        )

    def account(self) -> JsonObject:
        """How it was rendered: frames by node, the nodes' hosts, frames retried, segments, strips, seconds."""
        if self.state != RUNNING:
            return self.report
        return {
            "nodes": dict(self.nodes),
            "hosts": dict(self.hosts),
            "retried": self.retried,
            "segments": len(self.segments),
            "seconds": round(time.monotonic() - self._began, 3),
            **({"strips": dict(self.strips)} if any(self.strips.values()) else {}),
            **({"notes": known} if (known := self.notes) else {}),
        }

    def progress(self) -> JsonObject:
        """What a ``progress`` part says: frames, rate in 1/s, time left in s as [least, most]."""
        segments = self.report.get("segments", 0) if self.state == DONE else len(self.segments)
        told = {
            "job": self.id,
            "state": self.state,
            "frames": self.frames,
            "done": self.done,
            "segments": segments,
            "rate": None,
            "seconds_left": self.left if self.state == RUNNING else None,
            "stage": self.stage,
            **({"again": self.again} if self.again else {}),
            **({"notes": known} if (known := self.notes) else {}),
        }
        now = time.monotonic()
        if self.state == RUNNING and not self._fresh:
            told["waited"] = round(now - self._began, 1)  # or a client would see nothing move
        if self.state == RUNNING and len(self._fresh) > 1:
            recent = (len(self._times) - 1) / max(now - self._times[0], 1e-3)
            told["rate"] = round(recent, 3)
        return told


def ended(row: SupportsGetItem[str, Any]) -> JsonObject:
    """What a ``progress`` part says of a job that has ended, from its row: id, state, frames, ready."""
    done = row["frames"] if row["state"] == DONE else min(row["frames"], row["ready"])
    return {
        "job": row["id"],
        "state": row["state"],
        "frames": row["frames"],
        "done": done,
        "rate": None,
        "seconds_left": None,
        "stage": None,
    }

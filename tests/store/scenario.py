"""One job from acceptance to video, in a process of its own that a failpoint may end.

``python -m tests.store.scenario DB``: says what the store has promised so far.
"""

import hashlib
import sys
from pathlib import Path

from mandel.errors import StoreError
from mandel.payload.job_id import is_job_id
from mandel.store.states import CANCELLED, DONE, QUEUED
from mandel.store.store import Store

JOB = hashlib.sha256(b"a job").hexdigest()
OTHER = hashlib.sha256(b"another job").hexdigest()
PAYLOAD = {"num_frames": 10}
SEGMENTS = [b"first" * 1000, b"second" * 1000]
STRIP = b"strip" * 1000
VIDEO = b"".join(SEGMENTS)
POSTER = b"poster" * 100


def put(store: Store, data: bytes) -> tuple[Path, str]:
    """A closed file in tmp, as the driver leaves it."""
    path = store.new_tmp(JOB) / "file"
    path.write_bytes(data)
    return path, hashlib.sha256(data).hexdigest()


def complete(store: Store, say=lambda text: None) -> None:
    """Does what is left to do for the job."""
    record = store.get(JOB)
    if record is None:
        store.add(JOB, PAYLOAD, '{"num_frames":10}', 10)
        say("accepted")
    if record is not None and record.state == DONE:
        return
    have = {segment.number for segment in store.segments(JOB)}
    for number, data in enumerate(SEGMENTS):
        if number not in have:
            store.add_segment(JOB, number, *_with_frames(put(store, data)))
            say(f"segment {number}")
    if not store.strips.of(JOB):
        path, sha256 = put(store, STRIP)
        store.strips.add(JOB, 0, 0, path, sha256)
        say("strip")
    path, sha256 = put(store, VIDEO)
    store.finish(JOB, path, put(store, POSTER)[0], 10, sha256, {"seconds": 1.0})
    say("done")


def _with_frames(file: tuple[Path, str]) -> tuple[Path, int, str]:
    return file[0], 5, file[1]


def main() -> None:
    assert is_job_id(JOB)
    store = Store(sys.argv[1])
    try:
        complete(store, lambda text: print(text, flush=True))
        store.add(OTHER, PAYLOAD, '{"num_frames":10}', 10)
        store.set_state(OTHER, CANCELLED)
        print("cancelled", flush=True)
        store.set_state(OTHER, QUEUED)
        store.discard_video(JOB)
        print("discarded", flush=True)
    except StoreError as error:
        print(error.code, flush=True)
    store.close()


if __name__ == "__main__":
    main()

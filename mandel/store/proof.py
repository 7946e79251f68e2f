"""``video.json``: facts about a video, stored beside it, so that a lost index costs no video.

It is written before the video gets its name. If it is missing or torn at a
start, it is made again from the index; a missing row of the index is made again
from it.
"""

from __future__ import annotations

import builtins
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mandel import plain_file
from mandel.errors import StoreError
from mandel.store import durable
from mandel.store.names import VIDEO, Names
from mandel.video.shape import frames_of

_MOST_BYTES = 1 << 20


Content = tuple[int, str]  # bytes, SHA-256 in hex


@dataclass(frozen=True)
class Proof:
    """Facts about a video.

    ``ended`` is in Unix seconds. ``report`` tells how it was rendered. ``witness``: whether
    the proof was written together with the video, not copied from the index later.
    """

    frames: int
    bytes: int
    sha256: str
    ended: float = 0.0
    report: dict[str, Any] = field(default_factory=dict)
    witness: bool = True

    @property
    def content(self) -> Content:
        return self.bytes, self.sha256

    def encode(self) -> builtins.bytes:
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def decode(cls, data: builtins.bytes) -> Proof | None:
        """Reads what ``encode`` wrote; None for any other bytes."""
        try:
            proof = cls(**json.loads(data))
        except (ValueError, TypeError, RecursionError):
            return None
        types = (
            (proof.frames, int),
            (proof.bytes, int),
            (proof.sha256, str),
            (proof.ended, (int, float)),
            (proof.report, dict),
            (proof.witness, bool),
        )
        return proof if all(isinstance(value, kind) for value, kind in types) else None


def read_json(path: Path, most: int = _MOST_BYTES) -> bytes | None:
    """The bytes of a small file; None if it is missing, no regular file, or too large."""
    try:
        with plain_file.reader(path) as file:
            data = file.read(most + 1)
        return data if len(data) <= most else None
    except OSError:
        return None


def read(names: Names, job: str) -> Proof | None:
    """The proof beside a job's video; None if it is missing or cannot be read."""
    data = read_json(names.proof(job))
    return Proof.decode(data) if data is not None else None


def write(names: Names, job: str, proof: Proof) -> None:
    """Writes a proof beside a video that exists already. The file is complete or absent."""
    tmp = names.tmp / f"{job}-video.json"
    tmp.write_bytes(proof.encode())
    tmp.chmod(0o600)
    os.replace(tmp, names.proof(job))


def payload_of(names: Names, job: str) -> dict[str, Any] | None:
    """The payload beside a job's video; None if it is lost."""
    try:
        payload = json.loads(read_json(names.payload(job)) or b"")
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, dict) else None


def payload_lost() -> StoreError:
    """What is told of a job whose payload cannot be read."""
    return StoreError("PAYLOAD_LOST", "this job's payload is lost; send it again, and the job goes on")


def frames_asked(names: Names, job: str) -> int | None:
    """How many frames the payload beside a job's video asks for."""
    frames = (payload_of(names, job) or {}).get("num_frames")
    return (
        frames if isinstance(frames, int) and not isinstance(frames, bool) and 0 < frames < 1 << 40 else None
    )


def prove(names: Names, job: str, *known: Proof | None) -> Proof | None:
    """The proof out of ``known`` that matches the digest of a job's video.

    If no proof is known, a new one is made for a whole mp4 with as many frames
    as the payload asks for. None if the video is missing, damaged or no video.
    """
    proofs = [proof for proof in known if proof is not None]
    try:
        with plain_file.reader(names.file(job, VIDEO)) as file:
            facts, frames = os.fstat(file.fileno()), None if proofs else frames_of(file)
            if facts.st_size not in [proof.bytes for proof in proofs] and not frames:
                return None  # whatever it is, it may be too large to be read
            content = durable.digest(file)
    except OSError:
        return None
    for proof in proofs:
        if proof.content == content:
            return proof
    asked = frames_asked(names, job)
    if not frames or asked not in (None, frames):
        return None
    return Proof(frames, *content, facts.st_mtime, witness=False)

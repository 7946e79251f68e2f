"""What the scheduler tells of a job's progress (docs/design.md)."""

from __future__ import annotations

from mandel.cluster.job import Job
from mandel.cluster.recipe import Item


def frame(job: Job, item: Item, info: dict) -> dict:
    """A frame was rendered; ``info`` as its outcome has it."""
    return {
        "event": "frame", "job": job.name, "frame": item.index, "seconds": round(info["seconds"], 4),
        "cpu_seconds": round(info["cpu_seconds"], 4), "node": info["node"], "host": info["host"],
        "device": info["device"], "attempt": job.attempts[item] + job.losses[item] + 1,
        "found": job.findings.of(item.index),
    }


def kept(job: Job, item: Item) -> dict:
    """A frame of an earlier driver was still there."""
    return {"event": "kept", "job": job.name, "frame": item.index, "found": job.findings.of(item.index)}


def segment(job: Job, item: Item, info: dict, written: dict) -> dict:
    """A segment was encoded and ``written``."""
    own = job.segments[item.index]
    return {
        "event": "segment", "job": job.name, "index": item.index, "first": own.first, "frames": own.count,
        "notes": job.findings.notes(own.frames), "seconds": round(info["seconds"], 4), "host": info["host"], **written,
    }


def limit(job: Job) -> dict:
    """An iteration limit was given up."""
    return {"event": "limit", "job": job.name, "notes": job.findings.given_up()}

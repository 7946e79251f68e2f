"""What the driver tells of a job's items (docs/design.md has all messages)."""

from __future__ import annotations

from mandel.driver.jobs.job_run import JobRun
from mandel.driver.recipes.recipe import WorkItem
from mandel.tasks.executor import Outcome


def frame_event(job: JobRun, item: WorkItem, outcome: Outcome) -> dict:
    """A frame was rendered."""
    info = outcome.info
    return {
        "event": "frame",
        "job": job.name,
        "frame": item.index,
        "seconds": round(info["seconds"], 4),
        "cpu_seconds": round(info["cpu_seconds"], 4),
        "node": info["node"],
        "host": info["host"],
        "device": info["device"],
        "attempt": job.attempts.failures(item) + 1,
        "found": job.findings.of(item.index),
    }


def kept_event(job: JobRun, item: WorkItem) -> dict:
    """A frame of an earlier driver was still there."""
    return {"event": "kept", "job": job.name, "frame": item.index, "found": job.findings.of(item.index)}


def segment_event(job: JobRun, item: WorkItem, outcome: Outcome, written: dict) -> dict:
    """A segment was encoded, and ``written`` as ``write_segment`` tells."""
    own = job.segments[item.index]
    return {
        "event": "segment",
        "job": job.name,
        "index": item.index,
        "first": own.first,
        "frames": own.count,
        "notes": job.findings.notes(own.frames),
        "seconds": round(outcome.info["seconds"], 4),
        "host": outcome.info["host"],
        **written,
    }


def limit_event(job: JobRun) -> dict:
    """An iteration limit was given up."""
    return {"event": "limit", "job": job.name, "notes": job.findings.given_up()}

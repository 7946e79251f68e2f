"""Makes the events that tell the head of a job's items (mandel/protocol/control.py has all messages)."""

from __future__ import annotations

from typing import Any

from mandel.driver.jobs.job_run import JobRun
from mandel.driver.recipes.recipe import WorkItem
from mandel.protocol import control
from mandel.tasks.executor import Outcome


def frame_event(job: JobRun, item: WorkItem, outcome: Outcome) -> control.Frame:
    """A frame was rendered."""
    info = outcome.info
    return control.Frame(
        job=job.name,
        frame=item.index,
        seconds=round(info["seconds"], 4),
        cpu_seconds=round(info["cpu_seconds"], 4),
        node=info["node"],
        host=info["host"],
        device=info["device"],
        attempt=job.attempts.failures(item) + 1,
        found=job.findings.of(item.index),
    )


def kept_event(job: JobRun, item: WorkItem) -> control.Kept:
    """A frame of an earlier driver was still there."""
    return control.Kept(job=job.name, frame=item.index, found=job.findings.of(item.index))


def segment_event(job: JobRun, item: WorkItem, outcome: Outcome, written: dict[str, Any]) -> control.Segment:
    """A segment was encoded, and ``written`` as ``write_segment`` tells."""
    own = job.segments[item.index]
    return control.Segment(
        job=job.name,
        index=item.index,
        first=own.first,
        frames=own.count,
        notes=job.findings.notes(own.frames),
        seconds=round(outcome.info["seconds"], 4),
        host=outcome.info["host"],
        **written,
    )


def limit_event(job: JobRun) -> control.Limit:
    """An iteration limit was given up."""
    return control.Limit(job=job.name, notes=job.findings.given_up())

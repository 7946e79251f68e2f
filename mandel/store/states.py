"""The states of a job that the index stores; mandel/server/jobs.py holds the table of them."""

QUEUED, PAUSED, DONE, FAILED, CANCELLED = "queued", "paused", "done", "failed", "cancelled"

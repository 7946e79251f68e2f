"""The states of a job that the index stores; mandel/service/jobs/job.py holds the table of them."""

QUEUED, PAUSED, DONE, FAILED, CANCELLED = "queued", "paused", "done", "failed", "cancelled"

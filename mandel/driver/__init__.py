"""The driver's process: it hands out the tasks of jobs to workers. It may be killed at any time."""

"""What driver and workers agree on: units of work, results, and the signs of life of tasks."""

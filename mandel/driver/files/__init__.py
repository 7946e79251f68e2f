"""What the driver writes: into the job's tmp folder, and into the cache."""

"""What the driver reads and writes: the job's tmp folder, strips in DB, the cache."""

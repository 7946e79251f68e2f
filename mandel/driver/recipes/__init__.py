"""What a job's frames are made from."""

"""The explorer's process: tiles, limits and minibrots for those who look around, on the jobs' cluster."""

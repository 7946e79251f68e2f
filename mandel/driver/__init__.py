"""The driver's process: shares jobs out among a Ray cluster's workers. It may be killed at any time."""

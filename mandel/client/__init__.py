"""The client's process: standard library alone."""

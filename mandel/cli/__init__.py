"""The other commands: zoom, head, still, locate, tune, doctor."""

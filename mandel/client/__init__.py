"""The client's process. It needs only the standard library."""

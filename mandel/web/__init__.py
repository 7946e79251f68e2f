"""The page and its API, served by the head on a port and a thread of their own; docs/web.md."""

"""Where tasks run: Ray."""

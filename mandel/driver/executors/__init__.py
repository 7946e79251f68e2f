"""Where tasks run: on a Ray cluster, or in processes of this machine."""

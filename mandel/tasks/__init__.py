"""What driver and workers agree on: what a task is asked, what it returns, how it is heard of."""

"""Jobs shared out among workers: recipes, scheduling, executors, the driver process."""

"""The jobs that one driver renders: what to start next, what became of it."""

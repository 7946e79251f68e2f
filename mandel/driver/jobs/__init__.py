"""The jobs that one driver renders: what starts next, and what becomes of it."""

"""The jobs as the head knows them: states, queue, archive."""

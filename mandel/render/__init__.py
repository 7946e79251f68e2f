"""From a unit of work to a picture, here or on a Ray cluster."""

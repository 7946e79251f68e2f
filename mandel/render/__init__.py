"""From a unit of work to a picture, on one device."""

"""Makes pictures from units of work, on one device."""

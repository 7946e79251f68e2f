"""How raw samples become a picture: palettes, looks, and the colouring in plain numpy."""

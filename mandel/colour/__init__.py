"""Palettes and colour styles: how raw samples become colours."""

"""Encodes frames to segments and joins segments to a film, with ffmpeg as a subprocess."""

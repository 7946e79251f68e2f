"""Encodes frames to segments and joins segments to an mp4, with ffmpeg as a subprocess."""

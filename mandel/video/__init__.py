"""Frames to segments to an mp4, by ffmpeg as a subprocess."""

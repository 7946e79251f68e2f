"""Shared by all commands on a terminal: command lines, text for people, files that are written whole."""

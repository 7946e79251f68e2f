"""Places and palettes in the files of other programs, and coordinates as people paste them.

It runs in the client, with the standard library alone. A file may be hostile: its size, its numbers' lengths and what
it nests are bounded, and nothing in it is ever executed or followed to another file. ``read.py`` has the table of
formats, one module reads each.
"""

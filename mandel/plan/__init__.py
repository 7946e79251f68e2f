"""Pure numbers: which views a payload asks for and which arithmetic each needs.

Nothing here imports ray, pyopencl or socket, opens a file or reads a clock.
"""

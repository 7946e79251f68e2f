"""Pure numbers: the views that a payload asks for, and the arithmetic that each of them needs.

Nothing here imports ray, pyopencl or socket, opens a file or reads a clock.
"""

"""Distributed Mandelbrot zooms: payload -> plan -> render -> colour -> video -> store.

Importing this package is cheap and pulls in nothing but the standard library;
the client relies on that.
"""

from mandel.version import ENGINE, VERSION

__all__ = ["ENGINE", "VERSION"]

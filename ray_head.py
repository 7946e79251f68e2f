"""The Mandelbrot zoom service: ``python ray_head.py --help``."""

import sys

from mandel.cli.head import main

if __name__ == "__main__":
    sys.exit(main())

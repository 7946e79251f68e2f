#!/usr/bin/env python3
"""Sends a payload to the Mandelbrot service and brings back the video; see --help."""

import sys

from mandel.client.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The head as ray_head.py starts it, with the stand-in for its driver."""

import sys
from pathlib import Path

from mandel.cli.head import main

if __name__ == "__main__":
    driver = [sys.executable, str(Path(__file__).with_name("stand_in_driver.py"))]
    sys.exit(main(driver=lambda settings: driver))

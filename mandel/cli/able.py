"""Whether the renderer can ever work with its settings: the head asks, in a process of its own, before it starts.

    python -m mandel.cli.able ADDRESS DEVICE

A cluster may come later, and which devices it has is not known here: what cannot be told now counts as right.
"""

from __future__ import annotations

import json
import sys

from mandel.device.choose import choose
from mandel.driver.executors.ray_cluster import find_cluster
from mandel.errors import MandelError


def main(address: str, device: str) -> None:
    """Prints the error as JSON, if there is one."""
    try:
        if find_cluster(address) is None and device != "auto":
            choose(device)
    except MandelError as error:
        if error.code != "NO_CLUSTER":
            print(json.dumps(error.as_dict()))


if __name__ == "__main__":
    main(*sys.argv[1:])

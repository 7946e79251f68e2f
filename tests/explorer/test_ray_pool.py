"""Tile makers in a real cluster."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import processes

ROOT = Path(__file__).parents[2]
PROGRAM = """
from mandel.driver.executors.ray_token import ensure_token
ensure_token()
import asyncio, ray
ray.init(address="local", num_cpus=1, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
from mandel.explorer.ray_pool import RayMaker

async def main():
    maker = RayMaker("ab12" * 14, "cpu")  # the id of a node that is not there any more
    print("ready", await maker._actor.__ray_ready__.remote())

asyncio.run(main())
ray.shutdown()
"""


@pytest.mark.ray
def test_a_maker_whose_node_is_gone_works_on_another():
    mark = processes.new_mark()
    environment = os.environ | {processes.VARIABLE: mark, "PYTHONPATH": str(ROOT)}
    try:
        said = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    finally:
        processes.end_all(mark)
    assert "ready True" in said.stdout, said.stderr

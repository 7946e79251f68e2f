"""Tile makers in a real cluster."""

from pathlib import Path

import pytest

from tests.support.processes import run_with_ray

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
    said = run_with_ray(PROGRAM)
    assert "ready True" in said.stdout, said.stderr

"""Where tiles are made."""

import pytest

from mandel.driver.executors.ray_token import ensure_token

ensure_token()  # before ray is imported
from mandel.explorer.ray_pool import _places  # noqa: E402


def node(name: str, cpus: float, gpus: float = 0, alive: bool = True) -> dict:
    return {"NodeID": name, "Alive": alive, "Resources": {"CPU": cpus, **({"GPU": gpus} if gpus else {})}}


@pytest.mark.parametrize(
    "nodes, device, places",
    [
        ([node("a", 2)], "auto", [("a", "cpu,auto")]),
        ([node("a", 2), node("b", 8, 1)], "auto", [("b", "gpu")]),
        ([node("a", 2), node("b", 8, 1)], "gpu", [("b", "gpu")]),
        ([node("a", 2), node("b", 8, 1)], "cpu", [("b", "cpu"), ("a", "cpu")]),
        ([node("a", 2), node("b", 8, alive=False)], "auto", [("a", "cpu,auto")]),
        ([node(str(n), n) for n in range(9)], "auto", [(str(n), "cpu,auto") for n in (8, 7, 6, 5)]),
        ([node("a", 2)], "pocl", [("a", "pocl")]),
    ],
)
def test_tiles_are_made_on_gpus_or_on_the_largest_machines(nodes, device, places):
    assert _places(nodes, device) == places

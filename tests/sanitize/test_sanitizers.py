"""All kernels under clang's sanitizers, driven by the real renderers: ``make sanitize``.

SANITIZE=1 runs these, SANITIZE=long all scenarios; docs/design.md says more.
"""

import os

import numpy as np
import pytest

from mandel import kernels
from tests.sanitize import compiler, sanitized
from tests.sanitize.child import ENDED
from tests.sanitize.scenarios import SCENARIOS

WANTED = os.environ.get("SANITIZE", "")
pytestmark = [
    pytest.mark.skipif(not WANTED, reason="`make sanitize` runs the sanitizers"),
    pytest.mark.skipif(bool(WANTED) and compiler.missing() is not None, reason=str(compiler.missing())),
]
NAMES = [name for name, scenario in SCENARIOS.items() if WANTED == "long" or not scenario.long]


@pytest.fixture(scope="module", autouse=True)
def runs(request, tmp_path_factory):
    """The scenarios that this session's tests want, begun."""
    names = [
        item.callspec.params["name"]
        for item in request.session.items
        if item.name.startswith("test_scenario[")
    ]
    begun = sanitized.Runs(names, tmp_path_factory.mktemp("sanitized"))
    yield begun
    begun.stop()


FAULTS = {
    "private_array 1 8 64b": ("stack-buffer-overflow", "faults.h:3", "faults.cl:8"),
    "private_array 1 -1 64b": ("stack-buffer-underflow", "faults.h:3", "faults.cl:8"),
    "read_buffer 1 16 64b": ("heap-buffer-overflow", "faults.cl:11"),
    "read_buffer 1 -1 64b": ("heap-buffer-overflow", "faults.cl:11"),
    "vector_store 1 1 16b": ("heap-buffer-overflow", "faults.cl:15"),
    "overflow 1 1073741824 4b": ("signed integer overflow", "faults.cl:18"),
    "index_overflow 1 65536 65536 4b": ("signed integer overflow", "faults.cl:22"),
    "conversion 1 3000000000.0 4b": ("outside the range", "faults.cl:25"),
    "vector_conversion 1 -3000000000.0 64b": ("outside the range", "faults.cl:29"),
    "division 1 0 4b": ("division by zero", "faults.cl:32"),
    "misaligned 1 2 16b": ("misaligned address", "faults.cl:36"),
    "local_array 1 4 4b": ("out of bounds", "faults_in_groups.cl:6"),
    "lonely_barrier 4 1 4b": ("a barrier that not all work items of a group come to",),
    "sum_of_four 4 1 12b": ("heap-buffer-overflow", "faults_in_groups.cl:22"),
    "negation 1 -2147483648 4b": ("negation of", "faults.cl:39"),
}
RIGHT = (
    "private_array 1 7 64b",
    "read_buffer 1 15 64b",
    "vector_store 1 1 20b",
    "overflow 1 1073741823 4b",
    "index_overflow 1 46340 46340 4b",
    "conversion 1 2000000000.0 4b",
    "division 1 1 4b",
    "misaligned 1 4 16b",
    "local_array 1 3 4b",
    "lonely_barrier 4 0 4b",
    "sum_of_four 4 1 16b",
)


@pytest.fixture(scope="module")
def launches():
    """What each of FAULTS and RIGHT said."""
    said = {}
    for file in ("faults.cl", "faults_in_groups.cl"):
        own = [
            launch
            for launch in (*FAULTS, *RIGHT)
            if f"void {launch.split()[0]}(" in (compiler.HERE / file).read_text()
        ]
        ended = sanitized.run("--launch", str(compiler.HERE / file), *own)
        said |= dict(part.split("\n", 1) for part in ended.stdout.split(ENDED)[1:])
    assert said.keys() == {*FAULTS, *RIGHT}, ended.stdout
    return said


@pytest.mark.parametrize("launch", FAULTS)
def test_a_fault_is_reported_with_file_and_line(launch, launches):
    report = sanitized.report(launches[launch])
    assert all(words in report for words in FAULTS[launch]), launches[launch]
    assert "status 0" not in launches[launch]


@pytest.mark.parametrize("launch", RIGHT)
def test_what_is_right_is_not_reported(launch, launches):
    assert launches[launch].strip().endswith("status 0") and not sanitized.report(launches[launch])


@pytest.mark.parametrize("path", sorted(compiler.KERNELS.glob("*.cl")), ids=lambda path: path.name)
def test_what_is_compiled_is_what_devices_get(path):
    lines = [line for line in compiler.marked(path).split("\n") if not line.startswith("#line ")]
    assert "\n".join(line for line in lines if line) == "\n".join(
        line for line in kernels.source(path.name).split("\n") if line
    )


@pytest.mark.parametrize("name", NAMES)
def test_scenario(name, runs):
    """No report, and what comes out is what a device makes."""
    ended = runs.ended(name)
    if ended.returncode:
        pytest.fail(sanitized.report(ended.stdout) or ended.stdout[-4000:], pytrace=False)
    with np.load(runs.result(name)) as arrays:
        made = dict(arrays)
    want = SCENARIOS[name].on_device()
    assert made.keys() == want.keys()
    wrong = [
        f"{key}: {said}" for key in made if (said := _differs(key.rpartition(": ")[2], made[key], want[key]))
    ]
    assert not wrong, "\n".join(wrong[:20])


def _differs(kind: str, made: np.ndarray, want: np.ndarray) -> str:
    """What is wrong, "" if nothing is. Whole numbers are equal; others as far as built-in functions are alike."""
    if made.shape != want.shape or made.dtype != want.dtype:
        return f"{made.shape} {made.dtype} instead of {want.shape} {want.dtype}"
    if kind == "any":
        return ""
    if made.dtype == np.float32:
        off = ~np.isclose(made, want, rtol=1e-5, atol=2e-6, equal_nan=True)
    elif kind == "count" or made.dtype != np.uint8:
        off = made != want
    else:
        off = np.abs(made.astype(int) - want) > 1
    # A step near the limit may be an edge or not, a pixel between two levels may be made from either.
    allowed = off.size // 100 if kind in ("adaptive picture", "resampled picture") else 0
    return f"{np.count_nonzero(off)} of {off.size} differ" if np.count_nonzero(off) > allowed else ""

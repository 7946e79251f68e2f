"""Python and the kernels agree on their numbers: each is written once, in mandel/kernels/contract.py."""

import re
from importlib import resources

import numpy as np
import pytest

from mandel import kernels
from mandel.device.context import device_context
from mandel.errors import DeviceError
from mandel.kernels import contract
from mandel.plan.bla_table import first_block

FILES = sorted(path.name for path in resources.files(kernels).iterdir() if path.name.endswith((".cl", ".h")))
NOTHING = "kernel void nothing(global int *at) { at[0] = 0; }\n"


def test_the_header_asks_for_every_number_and_for_no_other():
    asked = re.findall(r"!defined\((\w+)\)", kernels.source("contract.h"))
    assert sorted(asked) == [name for name, _ in contract.DEFINES]


@pytest.mark.parametrize("file", [name for name in FILES if name.endswith(".cl")])
def test_every_kernel_file_has_the_header(file):
    assert kernels.source("contract.h").strip() in kernels.source(file)


@pytest.mark.parametrize("given", [0, 1, len(contract.DEFINES) - 1])
def test_nothing_is_built_without_all_numbers(given):
    ctx, text = device_context("cpu"), kernels.source("contract.h") + NOTHING
    ctx.build(text, kernels.options())
    with pytest.raises(DeviceError, match="does not build"):
        ctx.build(text, kernels.options()[:given])


@pytest.mark.parametrize("file", FILES)
def test_no_file_writes_a_number_of_the_contract_itself(file):
    text = resources.files(kernels).joinpath(file).read_text()
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
    telling = {v for _, v in contract.DEFINES if abs(v) > 100}
    telling |= {contract.CURVE_ENTRIES - 1, (1 << contract.LIGHT_BITS) - 1, 2 << contract.REACH_BITS}
    found = {int(word, 0) for word in re.findall(r"(?<![\w.])(?:0x[0-9a-f]+|[1-9][0-9]*)(?![\w.])", text)}
    found |= {int(float(word)) for word in re.findall(r"(?<![\w.])([1-9][0-9]*\.0)f?\b", text)}
    assert not found & {abs(value) for value in telling}


def test_a_power_of_the_last_term_is_found_by_squaring():
    """perturb.cl makes |u|^SERIES_TERMS so."""
    assert contract.SERIES_TERMS.bit_count() == 1


def test_kernels_find_a_block_where_the_table_has_it():
    ctx, tops = device_context("cpu"), 11
    text = kernels.source("blocks.h") + (
        "kernel void find(int tops, global int *at)\n"
        "{ at[get_global_id(0)] = first_block(get_global_id(0), tops); }\n"
    )
    program = ctx.build(text, kernels.options((("WIDTH", 1), ("LOW", 2))))
    found = ctx.empty(4 * 2000)
    ctx.cl.Kernel(program, "find")(ctx.queue, (2000,), None, np.int32(tops), found)
    found = ctx.download(found, np.empty(2000, np.int32))
    assert found.tolist() == [first_block(s, tops) for s in range(2000)]

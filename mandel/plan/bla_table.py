"""The BLA table in the form that kernels read: flat arrays, ordered by the index at which blocks start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mandel.kernels.contract import PLAIN_Z_EXPONENT, REACH_BITS
from mandel.plan.bla import EPSILON_BITS, Level, levels
from mandel.plan.reference import Reference
from mandel.plan.scaled import Scaled

NEVER = -(2**31)
# Blocks of fewer than 2**LOWEST_LEVEL iterations are left out: single steps are
# as fast, and the table is much smaller without them.
LOWEST_LEVEL = 2
# Offsets below this need a block's c term in extended range (kernels/perturb.cl).
PLAIN_C_EXPONENT = -896


@dataclass(frozen=True)
class BlaTable:
    """Blocks of a reference orbit. Blocks that start at the same index lie side by side.

    Attributes:
        low: the lowest level in the table; block start s is index m = 1 + (s << low).
        last: the index at which samples rebase at the latest.
        tops: number of levels in the table.
        blocks: float64 (n, 8): A, B, D as re, im pairs, two unused.
        reach: int32 (n,): log2(R**2) with REACH_BITS after the binary point, rounded down; NEVER where the block
            cannot be used in plain double.
        deep_blocks, deep_reach: the same blocks for extended range, with the exponents of A, B, D
            and a 0 as int32 in the last two doubles; None where double suffices.
        c_max_exponent: the radii hold for |c| < 2**c_max_exponent.
    """

    low: int
    last: int
    tops: int
    blocks: np.ndarray
    reach: np.ndarray
    deep_blocks: np.ndarray | None
    deep_reach: np.ndarray | None
    c_max_exponent: int


def first_block(s: int, tops: int) -> int:
    """Row of the first block of start ``s``: the closed form that kernels/blocks.h uses."""
    return tops + 2 * (s - 1) - (s - 1).bit_count() if s else 0


def first_blocks(starts: int, tops: int) -> np.ndarray:
    """``first_block`` of 0 ... starts - 1: start s has ctz(s) + 1 rows, start 0 has tops."""
    s = np.maximum(np.arange(starts, dtype=np.int64) - 1, 0)
    ones = np.zeros(starts, np.int64)
    for bit in range(int(starts).bit_length()):
        ones += (s >> bit) & 1
    rows = tops + 2 * s - ones
    rows[:1] = 0
    return rows


def _reach(radius: Scaled) -> np.ndarray:
    """A block's reach as ``BlaTable.reach`` has it, by the kernels' rough logarithm, rounded down; NEVER for 0."""
    mantissa, shift = np.frexp(radius.mantissa**2)
    exponent = shift + 2 * radius.exponent.astype(np.int64) - 1
    rough = (exponent << REACH_BITS) + np.floor((2 * mantissa - 1) * (1 << REACH_BITS)).astype(np.int64) - 1
    # A value that int32 cannot hold is made smaller, never larger: a block may be missed, not misused.
    return np.where(radius.mantissa > 0, np.clip(rough, NEVER, 2**31 - 1), NEVER).astype(np.int32)


def _pairs(*numbers: np.ndarray) -> np.ndarray:
    out = np.zeros((len(numbers[0]), 8))
    for k, number in enumerate(numbers):
        out[:, 2 * k] = number.real
        out[:, 2 * k + 1] = number.imag
    return out


def _plain(level: Level, c_max_exponent: int) -> tuple[np.ndarray, np.ndarray]:
    rows = _pairs(level.a.at(0), level.b.at(0), level.d.at(0))
    reach = _reach(level.radius)
    usable = (level.a.exponent < 1000) & (level.b.exponent < 1000) & (level.d.exponent < 1000)
    if c_max_exponent < PLAIN_C_EXPONENT:
        # c underflows to 0 here, so B c must be negligible beside A z for every z kept in plain double.
        lead = level.a.exponent - level.b.exponent
        usable &= lead > c_max_exponent - PLAIN_Z_EXPONENT + 64
    rows[~usable] = 0
    return rows, np.where(usable, reach, NEVER).astype(np.int32)


def _deep(level: Level) -> tuple[np.ndarray, np.ndarray]:
    rows = _pairs(level.a.mantissa, level.b.mantissa, level.d.mantissa)
    tail = rows.view(np.int32).reshape(len(rows), 16)
    for k, part in enumerate((level.a, level.b, level.d)):
        tail[:, 12 + k] = part.exponent
    return rows, _reach(level.radius)


def bla_table(
    reference: Reference,
    last: int,
    c_max_exponent: int,
    deep: bool,
    low: int = LOWEST_LEVEL,
    bits: int = EPSILON_BITS,
) -> BlaTable:
    """Makes the table for samples whose |c| < 2**c_max_exponent.

    Args:
        last: index at which samples rebase at the latest, ``reference.end(bailout)``.
        deep: also make the blocks for extended range.
        low, bits: see BlaTable.low and plan/bla.py.
    """
    starts = max(last - 1, 0) >> low  # blocks of the lowest level; each higher level has half as many
    tops = starts.bit_length()
    rows = first_blocks(starts, tops)
    size = tops + 2 * (starts + 1)
    blocks, reach = np.zeros((size, 8)), np.full(size, NEVER, np.int32)
    deep_blocks, deep_reach = (np.zeros((size, 8)), np.full(size, NEVER, np.int32)) if deep else (None, None)
    for k, level in enumerate(levels(reference, last, c_max_exponent, bits, low)):
        at = rows[:: 1 << k][: len(level.a)] + k
        blocks[at], reach[at] = _plain(level, c_max_exponent)
        if deep_blocks is not None and deep_reach is not None:
            deep_blocks[at], deep_reach[at] = _deep(level)
    return BlaTable(low, last, tops, blocks, reach, deep_blocks, deep_reach, c_max_exponent)

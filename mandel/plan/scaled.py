"""Arrays of numbers far beyond the range of double: mantissa and exponent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_LOWEST = -(2**30)


@dataclass(frozen=True)
class Scaled:
    """Numbers mantissa * 2**exponent: the range of int32 with the precision of double.

    Attributes:
        mantissa: float64 or complex128, 1-d; largest component in [0.5, 1), or 0.
        exponent: int32, 1-d; 0 where the mantissa is 0.
    """

    mantissa: np.ndarray
    exponent: np.ndarray

    @classmethod
    def of(cls, mantissa: np.ndarray, exponent: np.ndarray | int = 0) -> Scaled:
        """The normal form of ``mantissa * 2**exponent``."""
        if np.iscomplexobj(mantissa):
            _, shift = np.frexp(np.maximum(np.abs(mantissa.real), np.abs(mantissa.imag)))
            mantissa = mantissa * np.ldexp(1.0, -shift)
        else:
            mantissa, shift = np.frexp(mantissa)
        return cls(mantissa, np.where(mantissa == 0, 0, shift + exponent).astype(np.int32))

    def __getitem__(self, key: Any) -> Scaled:
        return Scaled(self.mantissa[key], self.exponent[key])

    def __len__(self) -> int:
        return len(self.mantissa)

    def times(self, other: Scaled) -> Scaled:
        return Scaled.of(self.mantissa * other.mantissa, self.exponent + other.exponent)

    def plus(self, other: Scaled) -> Scaled:
        top = np.maximum(
            np.where(self.mantissa == 0, _LOWEST, self.exponent),
            np.where(other.mantissa == 0, _LOWEST, other.exponent),
        )
        top = np.where(top == _LOWEST, 0, top)
        return Scaled.of(self.at(top) + other.at(top), top)

    def over(self, other: Scaled) -> Scaled:
        return Scaled.of(self.mantissa / other.mantissa, self.exponent - other.exponent)

    def magnitude(self) -> Scaled:
        return Scaled.of(np.abs(self.mantissa), self.exponent)

    def negated(self) -> Scaled:
        return Scaled(-self.mantissa, self.exponent)

    def root(self) -> Scaled:
        """Square root of real numbers >= 0."""
        odd = self.exponent & 1
        return Scaled.of(np.sqrt(self.mantissa * (1 + odd)), (self.exponent - odd) // 2)

    def shifted(self, bits: int) -> Scaled:
        """Times 2**bits."""
        return Scaled(self.mantissa, np.where(self.mantissa == 0, 0, self.exponent + bits).astype(np.int32))

    def at(self, exponent: np.ndarray | int) -> np.ndarray:
        """The numbers as doubles in units of 2**exponent. Too small ones become 0, too large ones inf."""
        shift = np.clip(self.exponent - exponent, -1_100, 1_100)
        shift = np.where(self.mantissa == 0, 0, shift).astype(np.int32)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return self.mantissa * np.ldexp(1.0, shift)

    def below(self, other: Scaled) -> np.ndarray:
        """Elementwise self < other, for real numbers >= 0."""
        return (other.mantissa > 0) & (
            (self.mantissa == 0)
            | (self.exponent < other.exponent)
            | ((self.exponent == other.exponent) & (self.mantissa < other.mantissa))
        )


def least(*numbers: Scaled) -> Scaled:
    """Elementwise least of real numbers >= 0."""
    found = numbers[0]
    for other in numbers[1:]:
        first = found.below(other)
        found = Scaled(
            np.where(first, found.mantissa, other.mantissa), np.where(first, found.exponent, other.exponent)
        )
    return found

"""How long a reference orbit may become before it takes more memory than it may."""

from __future__ import annotations

from dataclasses import dataclass

from mandel.errors import RenderError
from mandel.plan.arithmetic import DEEP_EXPONENT
from mandel.plan.precision import GUARD_BITS

# Bytes a step, measured: of an orbit while it grows, of which 20 stay; and what each worker makes from it, the table of
# blocks and what the device holds, at most at any time; more where samples need exponents of their own.
GROWING = 70
_WORKER, _DEEP_WORKER = 144, 186


def announcement(limit: int) -> str:
    """What is said before an orbit of at most so many steps is begun."""
    return f"its reference orbit may become {limit:,} steps long, which would take {limit * GROWING / 1e9:.3g} GB"


@dataclass(frozen=True)
class OrbitRoom:
    """What orbits may take.

    Attributes:
        bytes: of memory, by one orbit and all that is made from it on a machine.
        workers: of the machine, each of which makes that for itself.
    """

    bytes: int
    workers: int = 1

    def steps(self, bits: int) -> int:
        """The steps that an orbit of so many bits after the binary point may have; the same on every try."""
        worker = _DEEP_WORKER if bits > GUARD_BITS - DEEP_EXPONENT else _WORKER
        return max(1, self.bytes // (GROWING + self.workers * worker))

    def refusal(self, bits: int) -> RenderError:
        """What is said of an orbit that has become longer."""
        most = self.steps(bits)
        return RenderError(
            "JOB_TOO_BIG",
            f"this place's reference orbit has not ended after {most:,} iterations; with {self.bytes / 1e9:.1f} GB for "
            f"it and {self.workers} worker{'s' * (self.workers > 1)} here, maxiter may be up to {most:,}",
            field="maxiter",
            limit=most,
        )

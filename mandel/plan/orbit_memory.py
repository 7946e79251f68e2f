"""How long a reference orbit may become in a machine's memory."""

from __future__ import annotations

from dataclasses import dataclass

from mandel.errors import RenderError
from mandel.plan.arithmetic import DEEP_EXPONENT
from mandel.plan.precision import GUARD_BITS

# Bytes a step, measured. GROWING: of an orbit while it is computed; 20 of them stay. _WORKER: of the BLA table and
# its copy on the device, which each worker makes. _DEEP_WORKER: the same where samples need exponents of their own.
GROWING = 70
_WORKER, _DEEP_WORKER = 144, 186
_MUCH = 1.0  # GB


def announcement(limit: int) -> str:
    """A sentence for people, before an orbit of at most ``limit`` steps is begun; much memory is named."""
    memory = limit * GROWING / 1e9
    much = f", which take up to {memory:.1f} GB" if memory >= _MUCH else ""
    return f"computes its reference orbit, {limit:,} steps at most{much}"


@dataclass(frozen=True)
class OrbitRoom:
    """The memory that one orbit may take on a machine.

    Attributes:
        bytes: memory for the orbit and everything that the workers make from it.
        workers: number of workers on the machine; each makes a table of its own.
    """

    bytes: int
    workers: int = 1

    def steps(self, bits: int) -> int:
        """The most steps of an orbit with ``bits`` bits after the binary point. Free memory does not change it."""
        worker = _DEEP_WORKER if bits > GUARD_BITS - DEEP_EXPONENT else _WORKER
        return max(1, self.bytes // (GROWING + self.workers * worker))

    def refusal(self, bits: int) -> RenderError:
        """The error for an orbit that would become longer than ``steps(bits)``: JOB_TOO_BIG."""
        most = self.steps(bits)
        return RenderError(
            "JOB_TOO_BIG",
            f"this place's reference orbit has not ended after {most:,} iterations; with {self.bytes / 1e9:.1f} GB for "
            f"it and {self.workers} worker{'s' * (self.workers > 1)} here, maxiter may be up to {most:,}",
            field="maxiter",
            limit=most,
        )

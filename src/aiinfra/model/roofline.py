"""The roofline: an operator takes as long as the slower of its arithmetic and its memory traffic.

Source: S. Williams, A. Waterman and D. Patterson, "Roofline: an insightful visual performance
model for multicore architectures", CACM 52(4), 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Bound = Literal["compute", "memory"]


@dataclass(frozen=True)
class OperatorTime:
    """Seconds an operator spends on arithmetic and on memory traffic, fully overlapped."""

    compute: float
    memory: float

    @property
    def seconds(self) -> float:
        """The longer of the two."""
        return max(self.compute, self.memory)

    @property
    def bound(self) -> Bound:
        """What the operator waits for."""
        return "compute" if self.compute >= self.memory else "memory"


def operator_time(flop: float, n_bytes: float, peak: float, bandwidth: float) -> OperatorTime:
    """Price one operator: ``max(flop / peak, n_bytes / bandwidth)``.

    ``flop`` in FLOP, ``n_bytes`` in bytes moved to and from memory, ``peak`` in FLOP/s,
    ``bandwidth`` in B/s. Known error: a lower bound on time; real kernels reach 60-95 % of the
    roof that bounds them, and less when there is too little work to fill the machine.
    Raises ``ValueError`` on a roof that is not positive or on negative work.
    """
    if peak <= 0 or bandwidth <= 0:
        raise ValueError(f"peak and bandwidth must be positive, got {peak} and {bandwidth}")
    if flop < 0 or n_bytes < 0:
        raise ValueError(f"work cannot be negative, got {flop} FLOP and {n_bytes} B")
    return OperatorTime(compute=flop / peak, memory=n_bytes / bandwidth)


def attainable(intensity: float, peak: float, bandwidth: float) -> float:
    """Return the FLOP/s under the roof at ``intensity`` FLOP/B: ``min(peak, I * bandwidth)``."""
    return min(peak, intensity * bandwidth)


def ridge(peak: float, bandwidth: float) -> float:
    """Return the intensity in FLOP/B at which a machine turns compute bound."""
    return peak / bandwidth

"""Run ``numba.cuda`` kernels without a GPU and count their memory traffic as hardware does."""

from aiinfra.measure.simt.engine import launch
from aiinfra.measure.simt.errors import (
    KernelError,
    SourceMissingError,
    StepLimitError,
    UnsupportedError,
)
from aiinfra.measure.simt.findings import AbsentLane, Access, DivergentBarrier, OutOfBounds, Race
from aiinfra.measure.simt.report import Report, Site

__all__ = [
    "AbsentLane",
    "Access",
    "DivergentBarrier",
    "KernelError",
    "OutOfBounds",
    "Race",
    "Report",
    "Site",
    "SourceMissingError",
    "StepLimitError",
    "UnsupportedError",
    "launch",
]

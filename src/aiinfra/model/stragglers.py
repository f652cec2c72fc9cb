"""What a synchronous job loses to its slowest rank, and to nodes that are away for repair.

Sources: order statistics (the expected maximum of ``n`` draws); the number of nodes in repair is
that of a queue with room for all, Poisson whatever the repair times (M/G/infinity).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def slowest_of(samples: Sequence[float] | NDArray[np.float64], ranks: int) -> float:
    """Return the expected time of the slowest of ``ranks`` that each draw from ``samples``.

    ``sum_i x_(i) ((i / m)^n - ((i - 1) / m)^n)`` over the sorted samples, in the samples' unit.
    Known error: it knows no time longer than the longest measured, so beyond ``ranks`` of about
    the number of samples it is too low; it takes ranks as independent, but one that is always slow
    sets the pace alone. Raises ``ValueError`` without samples or ranks.

    >>> slowest_of([1.0, 2.0], 2)
    1.75
    """
    values = np.sort(np.asarray(samples, dtype=np.float64))
    if values.ndim != 1 or len(values) == 0 or ranks < 1:
        raise ValueError("give at least one sample and one rank")
    below = (np.arange(len(values) + 1) / len(values)) ** ranks
    return float((values * np.diff(below)).sum())


def normal_maximum(ranks: int) -> float:
    """Return the expected maximum of ``ranks`` standard normal draws.

    ``E = int x d(Phi(x)^n)``, by the midpoint rule to 1e-4. It grows below ``sqrt(2 ln n)``: 0.56
    of 2, 3.25 of 1,024, 3.97 of 16,384 ranks. A step of mean ``m`` and spread ``s`` a rank takes
    ``m + s * E``. Known error: measured times have longer tails than the normal's.
    """
    if ranks < 1:
        raise ValueError(f"there must be at least one rank, got {ranks}")
    x = np.linspace(-9, 9, 4001)
    tail = np.array([0.5 * math.erfc(abs(value) / math.sqrt(2)) for value in x])
    log_below = np.where(x < 0, np.log(tail), np.log1p(-tail))
    below = np.exp(ranks * log_below)
    return float(((x[1:] + x[:-1]) / 2 * np.diff(below)).sum())


def exponential_maximum(ranks: int) -> float:
    """Return the expected maximum of ``ranks`` exponential draws of mean 1: ``1 + 1/2 + ... 1/n``.

    A delay of mean ``d`` beyond a fixed time ``m`` makes a step of ``m + d * H_n``.
    """
    if ranks < 1:
        raise ValueError(f"there must be at least one rank, got {ranks}")
    return math.fsum(1 / i for i in range(1, ranks + 1))


@dataclass(frozen=True)
class Repair:
    """Shares of a job's full speed, averaged over how many nodes are in repair.

    ``rigid`` waits until all its nodes are there, ``elastic`` goes on with whole groups of those
    that are. ``away`` is the expected number of nodes in repair, ``spares`` how many stand by.
    """

    away: float
    spares: int
    rigid: float
    elastic: float


def repair(
    nodes: int, node_mtbf: float, repair_time: float, spares: int = 0, group: int = 1
) -> Repair:
    """Price what nodes in repair cost a job on ``nodes`` nodes with ``spares`` standing by.

    The number away is Poisson with mean ``nodes * repair_time / node_mtbf``; ``k`` of them leave
    ``min(nodes, nodes + spares - k)``. Rigid: ``P(k <= spares)``. Elastic: the mean of
    ``floor(left / group) * group / nodes``, where ``group`` nodes hold one copy of the model (a
    data-parallel replica) and leave together. Times in s.
    Known error: nodes fail at the same rate while the job waits, so a rigid job looks a little
    worse than it is (below 1 % where it runs nine tenths of the time); the restart that follows a
    change is not in it, it is in ``failures.run``. Raises ``ValueError`` where ``group`` does not
    divide ``nodes``.
    """
    if nodes < 1 or group < 1 or nodes % group or spares < 0:
        raise ValueError(f"group {group} must divide nodes {nodes}, and spares not be negative")
    if node_mtbf <= 0 or repair_time < 0:
        raise ValueError("node_mtbf must be positive and repair_time not negative")
    away = nodes * repair_time / node_mtbf
    most = min(nodes + spares, int(away + 12 * math.sqrt(away) + 30))
    count = np.arange(most + 1)
    logs = count * math.log(away) if away else np.where(count > 0, -np.inf, 0.0)
    logs = logs - away - np.array([math.lgamma(k + 1) for k in count])
    chance = np.exp(logs)
    left = np.minimum(nodes, nodes + spares - count)
    return Repair(
        away=away,
        spares=spares,
        rigid=float(chance[count <= spares].sum()),
        elastic=float((chance * (left // group) * group).sum() / nodes),
    )

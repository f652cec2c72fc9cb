"""How often a job breaks, how often it should save itself, and how much of the time is left.

Sources: J. Young, "A first order approximation to the optimum checkpoint interval", CACM 17(9),
1974; J. Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps",
Future Generation Computer Systems 22(3), 2006 (abstract and figure captions read 2026-11-24).

Every model here takes failures as independent and equally likely at any time. Known error: real
ones come in bursts (a switch, a power feed, a bad batch of parts) and more of them early in a job.
A Meta study (A. Kokolis et al., HPCA 2025, arXiv 2410.21680, as quoted elsewhere) measured 7.9 h
between failures of jobs on 1,024 A100, where its 6.5 failures per 1,000 node-days give 28.8 h.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from aiinfra.model.parts import TimeParts

HOUR, DAY = 3600.0, 86400.0


def job_mtbf(parts: Iterable[tuple[float, int]]) -> float:
    """Return the mean time between failures of a job that any part's failure stops, in s.

    ``1 / sum(n_i / mtbf_i)``: rates add. ``parts`` are pairs of the MTBF of one part and how many
    the job uses. Raises ``ValueError`` on a time or count that is not positive.

    >>> round(job_mtbf([(50_000 * HOUR, 100_000)]) / HOUR, 3)
    0.5
    """
    table = list(parts)
    if not table or any(mtbf <= 0 or number < 1 for mtbf, number in table):
        raise ValueError("every part needs a positive MTBF and a count of at least 1")
    return 1 / sum(number / mtbf for mtbf, number in table)


def part_mtbf(failures: float, seconds: float, count: int) -> float:
    """Return the MTBF of one of ``count`` parts that failed ``failures`` times in ``seconds``.

    >>> round(part_mtbf(419, 54 * DAY, 16_384) / HOUR)
    50677
    """
    if min(failures, seconds, count) <= 0:
        raise ValueError(
            "failures, seconds and count must be positive; where no failure was seen, give 3, "
            "the upper bound at 95 % confidence"
        )
    return seconds * count / failures


def expected_failures(seconds: float, mtbf: float) -> float:
    """Return how many failures to expect in ``seconds``: ``seconds / mtbf``, spread ``sqrt``."""
    return seconds / mtbf


def survival(seconds: float, mtbf: float) -> float:
    """Return the probability of no failure for ``seconds``: ``exp(-seconds / mtbf)``."""
    return math.exp(-seconds / mtbf)


def young_interval(checkpoint: float, mtbf: float) -> float:
    """Return Young's interval of computation between checkpoints, ``sqrt(2 c M)``, in s.

    ``checkpoint`` is the seconds ``c`` that training stands still for one, ``mtbf`` the job's
    ``M``. Known error: loses less than 0.5 % of the best efficiency while ``c < M / 10``, 5 % at
    ``M / 2``.
    """
    _check(checkpoint, mtbf)
    return math.sqrt(2 * checkpoint * mtbf)


def daly_interval(checkpoint: float, mtbf: float) -> float:
    """Return Daly's interval of computation between checkpoints, in s.

    ``sqrt(2 c M) (1 + sqrt(c / 2M) / 3 + (c / 2M) / 9) - c`` while ``c < 2 M``, else ``M``.
    Known error: loses less than 0.2 % of the best efficiency at any ``c``.

    >>> round(daly_interval(5 * 60, 24 * HOUR) / 60)
    117
    """
    _check(checkpoint, mtbf)
    half = checkpoint / (2 * mtbf)
    if half >= 1:
        return mtbf
    return math.sqrt(2 * checkpoint * mtbf) * (1 + math.sqrt(half) / 3 + half / 9) - checkpoint


def best_interval(checkpoint: float, mtbf: float) -> float:
    """Return the interval at which ``run`` is most efficient, exactly, in s.

    The root of ``1 - t / M = exp(-(t + c) / M)``, by Newton's method; zero where ``c`` is.
    """
    _check(checkpoint, mtbf)
    c, x = checkpoint / mtbf, min(1.0, math.sqrt(2 * checkpoint / mtbf))
    if c == 0:
        return 0.0
    for _ in range(50):
        decay = math.exp(-(x + c))
        x -= (1 - x - decay) / (decay - 1)
    return x * mtbf


@dataclass(frozen=True)
class Run(TimeParts):
    """Seconds of a job by what they went into; the parts sum to ``seconds``.

    ``work`` is what the job needs on machines that never fail, ``checkpoints`` what saving takes,
    ``lost`` work (and saving) done again, ``restarts`` detecting, replacing, loading.
    """

    BESIDE = ("failures", "interval")
    AIM = "work"

    work: float
    checkpoints: float
    lost: float
    restarts: float
    failures: float
    interval: float

    @property
    def efficiency(self) -> float:
        """Share of the time that was work that counted (goodput, effective training time)."""
        return self.work / self.seconds


def run(
    work: float,
    mtbf: float,
    checkpoint: float,
    restart: float,
    interval: float | None = None,
    drain: float = 0.0,
) -> Run:
    """Price a job of ``work`` seconds that saves itself every ``interval`` seconds of work.

    Daly's expectation, ``T = M exp(R / M) (exp((t + c) / M) - 1) W / t``: a failure throws the job
    back to its last checkpoint, and a restart of ``R`` seconds may itself fail. The interval
    defaults to ``daly_interval``. ``drain`` is how much later than its ``checkpoint`` seconds of
    standing still a checkpoint is safe (an asynchronous write): a failure loses that much more.
    Known error: exact for exponential failures without ``drain``; ``drain`` is first order, good
    while it is below a tenth of ``mtbf`` and the interval above it. Raises ``ValueError`` on times
    that are not positive.
    """
    _check(checkpoint, mtbf)
    t = daly_interval(checkpoint, mtbf) if interval is None else interval
    if work <= 0 or t <= 0 or restart < 0 or drain < 0:
        raise ValueError("work and interval must be positive, restart and drain not negative")
    segments, segment = work / t, t + checkpoint
    redo = restart + drain
    per_segment = mtbf * math.exp(redo / mtbf) * math.expm1(segment / mtbf)
    failures = math.expm1(segment / mtbf) * segments * math.exp(redo / mtbf)
    restarts = segments * math.expm1(segment / mtbf) * mtbf * math.expm1(redo / mtbf)
    restarts *= restart / redo if redo else 0.0
    return Run(
        work=work,
        checkpoints=segments * checkpoint,
        lost=segments * (per_segment - segment) - restarts,
        restarts=restarts,
        failures=failures,
        interval=t,
    )


def _check(checkpoint: float, mtbf: float) -> None:
    """Raise ``ValueError`` on times that cannot be."""
    if checkpoint < 0 or mtbf <= 0:
        raise ValueError(
            f"checkpoint must not be negative and mtbf positive, got {checkpoint} s and {mtbf} s"
        )

"""Requests of an open-loop load: they arrive whether or not the server keeps up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Lengths = int | Sequence[int] | Integers


@dataclass(frozen=True, eq=False)
class Requests:
    """A trace: ``arrival`` in s, ``prompt`` and ``output`` in tokens, one entry a request.

    ``prompt`` and ``output`` may be one number for all. Arrivals must not decrease and lengths be
    at least one token; ``ValueError`` says which request breaks this.
    """

    arrival: Floats
    prompt: Integers
    output: Integers

    def __post_init__(self) -> None:
        arrival = np.ascontiguousarray(self.arrival, dtype=np.float64)
        object.__setattr__(self, "arrival", arrival)
        if arrival.ndim != 1 or len(arrival) == 0:
            raise ValueError("a trace needs at least one request; give a list of arrival times")
        if not np.isfinite(arrival).all() or arrival[0] < 0 or (np.diff(arrival) < 0).any():
            raise ValueError("arrivals must be finite, not negative and in order; sort the trace")
        for name in ("prompt", "output"):
            object.__setattr__(self, name, _lengths(name, getattr(self, name), len(arrival)))

    def __len__(self) -> int:
        return len(self.arrival)

    @classmethod
    def poisson(
        cls,
        rng: np.random.Generator,
        rate: float,
        count: int,
        prompt: Lengths,
        output: Lengths,
    ) -> Requests:
        """Draw ``count`` requests whose gaps are exponential with mean ``1 / rate`` seconds."""
        if rate <= 0 or count < 1:
            raise ValueError(
                f"rate and count must be positive, got {rate} requests/s and {count} requests"
            )
        return cls(np.cumsum(rng.exponential(1 / rate, count)), prompt, output)  # type: ignore[arg-type]

    @property
    def rate(self) -> float:
        """Requests per second over the trace."""
        span = float(self.arrival[-1])
        return len(self) / span if span > 0 else float("inf")

    def at_rate(self, rate: float) -> Requests:
        """Return the same requests, their gaps stretched so that they arrive at ``rate`` a second.

        The draws stay the same, so two rates differ by the load alone.
        """
        if rate <= 0 or not np.isfinite(self.rate):
            raise ValueError(f"a trace with one instant has no rate to change to {rate}")
        return replace(self, arrival=self.arrival * (self.rate / rate))

    def take(self, chosen: NDArray[np.bool_] | Integers) -> Requests:
        """Return some of the requests, in order."""
        return Requests(self.arrival[chosen], self.prompt[chosen], self.output[chosen])


def _lengths(name: str, value: Lengths, count: int) -> Integers:
    """One positive length for each request."""
    lengths = np.asarray(value)
    if lengths.ndim == 0:
        lengths = np.full(count, lengths)
    if lengths.shape != (count,):
        raise ValueError(f"{count} requests but {lengths.size} {name} lengths; give one for each")
    if not np.issubdtype(lengths.dtype, np.integer) or lengths.min() < 1:
        raise ValueError(f"{name} lengths must be whole numbers of at least one token")
    return np.ascontiguousarray(lengths, dtype=np.int64)


def lognormal_lengths(
    rng: np.random.Generator, count: int, mean: float, variation: float, longest: int
) -> Integers:
    """Draw token counts with a long tail: log-normal, ``mean`` tokens, clipped to 1..``longest``.

    ``variation`` is the standard deviation relative to the mean; conversations have about 1. The
    clip lowers the mean where ``longest`` is near it.
    """
    if mean < 1 or variation < 0 or longest < 1:
        raise ValueError("mean and longest must be at least 1 and variation not negative")
    sigma = np.sqrt(np.log1p(variation**2))
    draws = rng.lognormal(np.log(mean) - sigma**2 / 2, sigma, count)
    return np.clip(np.rint(draws), 1, longest).astype(np.int64)

"""Latencies in milliseconds, summed up."""

import math
from collections.abc import Sequence

import msgspec


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles of one kind of waiting, ms."""

    count: int
    p50: float
    p99: float
    most: float


def summarise(seconds: Sequence[float]) -> Latency:
    """Return the percentiles by nearest rank; all zero where there is nothing."""
    if not seconds:
        return Latency(count=0, p50=0, p99=0, most=0)
    ordered = sorted(seconds)

    def rank(share: float) -> float:
        return 1000 * ordered[math.ceil(share * len(ordered)) - 1]

    return Latency(count=len(ordered), p50=rank(0.50), p99=rank(0.99), most=1000 * ordered[-1])

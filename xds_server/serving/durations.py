"""How long something took, counted so that shares and averages can be told."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Durations:
    """Counts by upper bounds, in seconds, and the sum of all."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def note(self, seconds: float) -> None:
        """It took so long."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> Sequence[tuple[str, float]]:
        """Bounds as Prometheus writes them, and how many took at most so long."""
        return [*zip((*map(str, BOUNDS), "+Inf"), accumulate(self._counts), strict=True)]

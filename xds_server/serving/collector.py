"""The garbage collector, kept from stopping a server that holds a large world.

A full collection looks at every object that was ever read, which takes a third of a second for
250,000 endpoints. What is there after the first synchronisation, and what waypoints are given
first, stays for long, so it is put out of the collector's sight; what comes later is looked at
seldom.
"""

import asyncio
import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

# A pause is as long as what is new is many: 10,000 objects at most in the middle generation. The
# oldest one, which holds all that is not spared, is looked at every 100 million objects.
THRESHOLDS = (2_000, 4, 12_500)

_EVERY = 0.05  # seconds


@dataclass(slots=True)
class Collector:
    """Settings of this process's collector, and how long it has stopped everything else."""

    pauses: int = 0
    longest_ms: float = 0.0
    total_ms: float = 0.0
    _began: float = 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Collect seldom, and measure every pause, as long as the context lasts."""
        gc.freeze()  # what was imported: a look at it is long, and finds next to no garbage
        before = gc.get_threshold()
        gc.set_threshold(*THRESHOLDS)
        gc.callbacks.append(self._note)
        try:
            yield
        finally:
            gc.callbacks.remove(self._note)
            gc.set_threshold(*before)

    def settle(self) -> None:
        """Spare all that there is now, once and for all."""
        gc.collect()
        gc.freeze()

    def spare(self) -> None:
        """Spare all that there is now, looking at no more than what is new.

        What is garbage already would stay for ever: gRPC makes some for each stream.
        """
        gc.collect(1)
        gc.freeze()

    async def run(self) -> None:
        """Look at what is new by the clock as well, until cancelled.

        The collector counts what is made less what is freed. While a server replaces as much as it
        makes, what is new becomes more and more, and looking at it would take longer and longer.
        """
        while True:
            await asyncio.sleep(_EVERY)
            gc.collect(1)

    def figures(self) -> Mapping[str, float]:
        """How often and how long it stopped everything, in ms."""
        return {
            "pauses": self.pauses,
            "longest_ms": round(self.longest_ms, 3),
            "total_ms": round(self.total_ms, 3),
        }

    def _note(self, phase: str, _: Mapping[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
            return
        spent = 1000 * (time.perf_counter() - self._began)
        self.pauses += 1
        self.total_ms += spent
        self.longest_ms = max(self.longest_ms, spent)

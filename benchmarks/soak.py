"""Minutes of a mesh that changes while Envoys come and go: what of it stays in memory.

Slices, routes and policies change, each into something that was never there before, as all of them
have once before it begins. The Envoys of a tenth of the waypoints leave and come back all the time.
Memory is looked at once a second; the first tenth of the time, in which caches fill, is left out.
"""

import argparse
import asyncio
import json
import statistics
import sys
from itertools import cycle, product
from typing import Any

import structlog

from benchmarks import worlds
from benchmarks.loadclient import LoadClient
from benchmarks.plane import rss_mib, serving
from benchmarks.scale import KINDS, REPLICAS, Scale

_BETWEEN_CHANGES = 0.01
_STAY = 1.0


class Soak:
    """A server with its mesh, and what happens to it."""

    def __init__(self, namespaces: int, services: int, pods: int) -> None:
        self._scale = Scale(namespaces, services, pods, seed=6)
        self._names = [f"ns-{n}" for n in range(namespaces)]
        self._scale.cold_start()
        self._change_all()
        self._changes = self._reconnects = 0

    async def run(self, seconds: int) -> dict[str, Any]:
        """All at once for so long."""
        plane, few = self._scale.plane, max(1, len(self._names) // 10)
        async with (
            serving(plane),
            LoadClient(plane.address) as steady,
            LoadClient(plane.address) as restless,
        ):
            await steady.do("connect", namespaces=self._names[few:], replicas=REPLICAS)
            await restless.do("connect", namespaces=self._names[:few], replicas=REPLICAS)
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._change()),
                    group.create_task(self._reconnect(restless, REPLICAS * few)),
                    group.create_task(self._forget(steady)),
                ]
                sizes = await _memory(seconds)
                for task in tasks:
                    task.cancel()
        return self._figures(sizes)

    def _change_all(self) -> None:
        """Each object, so that no later change adds a variety that was not there."""
        plane = self._scale.plane
        for kind, n, s in product(KINDS, range(len(self._names)), range(self._scale.services)):
            plane.change(self._scale.changed(kind, n, s))
        for waypoint in plane.compiler.waypoints():
            plane.compiler.edition(waypoint)

    async def _change(self) -> None:
        """One object after the other, for ever."""
        for kind in cycle(KINDS):
            self._scale.plane.change(self._scale.one(kind)[0])
            self._changes += 1
            await asyncio.sleep(_BETWEEN_CHANGES)

    async def _reconnect(self, load: LoadClient, streams: int) -> None:
        """All Envoys of a client leave and come back, for ever."""
        while True:
            await load.do("drop")
            await load.do("resume")
            await load.arrivals()
            self._reconnects += streams
            await asyncio.sleep(_STAY)

    async def _forget(self, load: LoadClient) -> None:
        """Let a client keep nothing of what it has received, and the plane no samples."""
        while True:
            await asyncio.sleep(1)
            await load.arrivals()
            self._scale.plane.pauses.take()

    def _figures(self, sizes: list[float]) -> dict[str, Any]:
        counted = sizes[len(sizes) // 10 :]
        third = len(counted) // 3
        first, last = statistics.mean(counted[:third]), statistics.mean(counted[-third:])
        return {
            "seconds": len(sizes),
            "changes": self._changes,
            "reconnects": self._reconnects,
            "rss_at_first_mib": sizes[0],
            "rss_by_tenth_mib": [
                round(statistics.mean(sizes[number * len(sizes) // 10 :][: len(sizes) // 10]), 1)
                for number in range(10)
            ],
            "rss_of_the_first_third_mib": round(first, 1),
            "rss_of_the_last_third_mib": round(last, 1),
            "growth_percent": round(100 * (last - first) / first, 2),
        }


async def _memory(seconds: int) -> list[float]:
    sizes = []
    for _ in range(seconds):
        await asyncio.sleep(1)
        sizes.append(rss_mib())
    return sizes


def main() -> None:
    """Print the figures as JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    worlds.add_size(options, namespaces=50)
    options.add_argument("--minutes", type=float, default=1)
    given = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    soak = Soak(given.namespaces, given.services, given.pods)
    figures = asyncio.run(soak.run(round(60 * given.minutes)))
    json.dump({"benchmark": "soak", **figures}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()

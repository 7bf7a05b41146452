"""One change for the two Envoys of a waypoint: while nobody else is there, and while all are.

One server, which has translated the whole mesh either way. The others come and go between rounds.
"""

import argparse
import asyncio
import json
import statistics
import sys
from typing import Any

import structlog

from benchmarks import worlds
from benchmarks.loadclient import LoadClient
from benchmarks.plane import Plane, quantile, serving
from benchmarks.scale import REPLICAS, Scale

_PAUSE = 0.02


class Changes:
    """Changes of endpoints in the first namespace, and when its Envoys have them."""

    def __init__(self, plane: Plane, pods: int) -> None:
        self._plane, self._pods = plane, pods
        self._serial = 0

    async def deliver(self, load: LoadClient, times: int) -> list[float]:
        """So many changes, one at a time; how long each took to either Envoy, in ms."""
        latencies: list[float] = []
        for _ in range(times):
            self._serial += 1
            zone = f"zone-{self._serial}"
            at = self._plane.change(worlds.endpoint_slice("ns-0", 0, 0, self._pods, zone=zone))
            arrived = 0
            async with asyncio.timeout(60):
                while arrived < REPLICAS:
                    await asyncio.sleep(_PAUSE)
                    found = await load.arrivals()
                    arrived += len(found)
                    latencies += [1000 * (one.at - at) for one in found]
        return latencies


async def run(scale: Scale, rounds: int, times: int) -> dict[str, Any]:
    """Alone and among all in turns."""
    plane, changes = scale.plane, Changes(scale.plane, scale.pods)
    latencies: dict[str, list[list[float]]] = {"alone": [], "among_all": []}
    others = [f"ns-{n}" for n in range(1, scale.namespaces)]
    to_others = 0
    async with serving(plane), LoadClient(plane.address) as load:
        await load.do("connect", namespaces=["ns-0"], replicas=REPLICAS)
        await load.arrivals()
        for _ in range(rounds):
            latencies["alone"].append(await changes.deliver(load, times))
            async with LoadClient(plane.address) as many:
                await many.do("connect", namespaces=others, replicas=REPLICAS)
                await asyncio.sleep(1)
                await many.arrivals()
                latencies["among_all"].append(await changes.deliver(load, times))
                to_others += len(await many.arrivals())
            while plane.service.counters.streams_open > REPLICAS:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    found = {
        side: {
            f"p{round(100 * share)}_ms": statistics.median(quantile(one, share) for one in each)
            for share in (0.5, 0.99)
        }
        for side, each in latencies.items()
    }
    ratio = {
        key: round(found["among_all"][key] / value, 2) for key, value in found["alone"].items()
    }
    streams = REPLICAS * scale.namespaces
    return {"streams": streams, **found, "ratio": ratio, "responses_to_others": to_others}


def main() -> None:
    """Print the figures as JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    worlds.add_size(options, namespaces=100)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--changes", type=int, default=100, help="in a round, of either kind")
    given = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    scale = Scale(given.namespaces, given.services, given.pods, seed=5)
    scale.cold_start()
    figures = asyncio.run(run(scale, given.rounds, given.changes))
    json.dump({"benchmark": "idle", **figures}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()

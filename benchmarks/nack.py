"""What it costs all others that every tenth Envoy refuses a change, and what that one is sent.

Finished bytes through the store and the ADS service, without anything that translates. Each Envoy
has a waypoint of its own, for what one Envoy of a waypoint refuses is kept from its others.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from typing import Any

import structlog

from benchmarks.envoys import Arrival
from benchmarks.fanout import CLUSTER, Ours, cluster, ours
from benchmarks.loadclient import LoadClient
from benchmarks.plane import quantile
from xds_server.serving.collector import Collector

_EVERY = 10
_SETTLE = 0.3


async def settled(load: LoadClient) -> list[Arrival]:
    """What has arrived once nothing more comes."""
    arrived: list[Arrival] = []
    while True:
        await asyncio.sleep(_SETTLE)
        fresh = await load.arrivals()
        arrived += fresh
        if not fresh:
            return arrived


async def round_of(side: Ours, load: LoadClient, number: int, every: int) -> dict[str, float]:
    """A change that every so-manieth refuses: when the others have it, what it costs, and counts.

    What is published again afterwards is no other version.
    """
    refusing = await load.do("refuse", every=every)
    before, spent = side.service.counters.rejections.total(), -time.process_time()
    at = time.monotonic()
    side.push(cluster(number, CLUSTER))
    arrived = await settled(load)
    side.push(cluster(number, CLUSTER))
    arrived += await settled(load)
    spent += time.process_time()
    others = [1000 * (one.at - at) for one in arrived if one.client % _EVERY]
    return {
        "refusing": refusing,
        "refusals": side.service.counters.rejections.total() - before,
        "sent": len(arrived) - len(others),
        "others_sent": len(others),
        "others_p99_ms": quantile(others, 0.99),
        "cpu_ms": 1000 * spent,
    }


async def run(streams: int, rounds: int) -> dict[str, Any]:
    """With and without refusals in turns."""
    found: dict[int, list[dict[str, float]]] = {0: [], _EVERY: []}
    async with ours(CLUSTER) as side, LoadClient(side.address, "clusters") as load:
        await load.do("connect", namespaces=[f"ns-{n}" for n in range(streams)], replicas=1)
        await settled(load)
        for number in range(2 * rounds):
            every = _EVERY * (number % 2)
            found[every].append(await round_of(side, load, number + 1, every))
    without, refused = found.values()
    others = sum(client % _EVERY > 0 for client in range(streams))
    return {
        "streams": streams,
        "rounds": rounds,
        "refusals": sum(one["refusals"] for one in refused),
        "sent_again": sum(one["sent"] - one["refusing"] for one in refused),
        "others_missing": sum(others - one["others_sent"] for one in (*without, *refused)),
        **{
            key: {
                "without": round(_median(without, key), 1),
                "with": round(_median(refused, key), 1),
                "ratio": round(_median(refused, key) / _median(without, key), 2),
            }
            for key in ("others_p99_ms", "cpu_ms")
        },
    }


def _median(figures: list[dict[str, float]], key: str) -> float:
    return statistics.median(one[key] for one in figures)


def main() -> None:
    """Print the figures as JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--streams", type=int, default=500)
    options.add_argument("--rounds", type=int, default=10)
    given = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    collector = Collector()
    with collector.watching():
        collector.settle()
        figures = asyncio.run(run(given.streams, given.rounds))
    json.dump({"benchmark": "nack", **figures}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()

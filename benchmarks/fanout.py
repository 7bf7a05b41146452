"""One change for everybody, and the streams themselves, beside the least that could do it.

Nothing is translated. The change is of the size of a cluster, then of a listener. Both servers have
the same streams in turns.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import structlog

from benchmarks.least import Broadcast, listening
from benchmarks.loadclient import LoadClient
from benchmarks.plane import NO_BUCKETS, quantile, rss_mib
from translators.wire.resource import Resource, ResourceKey, TypeUrl, content_version
from translators.wire.snapshot import Snapshot
from xds_server.ads import AdsServer, AdsService
from xds_server.identity.peer import LoopbackAuthenticator
from xds_server.serving.collector import Collector
from xds_server.snapshots import Observer, ProxyKey, SnapshotStore

_KEY = ResourceKey(TypeUrl.CLUSTER, "inbound-vip|80|http|svc.ns.svc.cluster.local")
CLUSTER, LISTENER = 700, 36_000  # bytes


def cluster(number: int, size: int) -> Resource:
    """Something of that size, which nobody looks into."""
    body = str(number).encode().ljust(size, b"x")
    return Resource(_KEY, body, content_version(body))


class Side(Protocol):
    """A server that can give everybody another cluster."""

    address: str

    def push(self, resource: Resource) -> None:
        """Begin to."""


class Ours(Observer):
    """The store and the ADS service, without anything that translates."""

    def __init__(self, size: int) -> None:
        self.address = ""
        self._store = SnapshotStore()
        self._store.observe(self)
        self.service = AdsService(self._store, LoopbackAuthenticator(), NO_BUCKETS)
        self._snapshot = Snapshot.of([cluster(0, size)])

    def attached(self, key: ProxyKey) -> None:
        """Somebody came."""
        self._store.publish(key, self._snapshot, None)

    def push(self, resource: Resource) -> None:
        """Publish it to all."""
        self._snapshot = self._snapshot.updated([resource])
        for key in self._store.attached():
            self._store.publish(key, self._snapshot, [resource.key])


class Least(Broadcast):
    """Finished bytes to whoever has called."""

    def __init__(self, size: int) -> None:
        super().__init__(cluster(0, size))
        self.address = ""


@asynccontextmanager
async def ours(size: int) -> AsyncIterator[Ours]:
    """Our server on a free port."""
    side = Ours(size)
    server = AdsServer(side.service)
    side.address = f"127.0.0.1:{server.listen_plaintext('127.0.0.1:0')}"
    await server.start()
    try:
        yield side
    finally:
        await server.stop(grace=0.5)


@asynccontextmanager
async def least(size: int) -> AsyncIterator[Side]:
    """The least one on a free port."""
    side = Least(size)
    async with listening(side.call) as side.address:
        yield side


async def connect(side: Side, load: LoadClient, streams: int) -> dict[str, float]:
    """What it costs that everybody is there."""
    before, spent = rss_mib(), -time.process_time()
    names = [f"ns-{n}" for n in range(streams // 2)]
    answer = await load.do("connect", namespaces=names, replicas=2)
    spent += time.process_time()
    await load.arrivals()
    return {
        "connected_s": answer["seconds"],
        "cpu_ms_a_stream": 1000 * spent / streams,
        "kib_a_stream": 1024 * (rss_mib() - before) / streams,
    }


async def push(side: Side, load: LoadClient, streams: int, resource: Resource) -> dict[str, float]:
    """One change for everybody."""
    spent, arrived, at = -time.process_time(), list[float](), time.monotonic()
    side.push(resource)
    async with asyncio.timeout(60):
        while len(arrived) < streams:
            await asyncio.sleep(0.05)
            arrived += [1000 * (one.at - at) for one in await load.arrivals()]
    spent += time.process_time()
    return {
        "cpu_us_a_push": 1e6 * spent / streams,
        "p50_ms": quantile(arrived, 0.5),
        "p99_ms": quantile(arrived, 0.99),
        "last_ms": max(arrived),
        "more_than_one_each": len(arrived) - streams,
    }


async def churn(streams: int = 100, times: int = 30) -> dict[str, float]:
    """All streams end and come back, again and again: what of it stays in memory."""
    sizes, third = [], times // 3
    async with ours(CLUSTER) as side, LoadClient(side.address, "clusters") as load:
        await connect(side, load, streams)
        for _ in range(times):
            await load.do("drop")
            await load.do("resume")
            sizes.append(rss_mib())
    before, after = statistics.mean(sizes[third:-third]), statistics.mean(sizes[-third:])
    return {
        "reconnects": times * streams,
        "rss_of_the_second_third_mib": round(before, 1),
        "rss_of_the_last_third_mib": round(after, 1),
        "growth_percent": round(100 * (after - before) / before, 2),
    }


async def run(streams: int, rounds: int, size: int = CLUSTER) -> dict[str, Any]:
    """Medians of both sides, and the ratios."""
    found: dict[str, dict[str, float]] = {}
    async with ours(size) as one, least(size) as other:
        sides: dict[str, Side] = {"ours": one, "least": other}
        async with (
            LoadClient(one.address, "clusters") as load,
            LoadClient(other.address, "clusters") as other_load,
        ):
            loads = {"ours": load, "least": other_load}
            for name, side in sides.items():
                found[name] = await connect(side, loads[name], streams)
            pushes: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
            for number in range(1, rounds + 1):
                for name, side in sides.items():
                    pushes[name].append(
                        await push(side, loads[name], streams, cluster(number, size))
                    )
    for name, figures in pushes.items():
        for key in figures[0]:
            found[name][key] = statistics.median(one[key] for one in figures)
    ratios = {key: found["ours"][key] / value for key, value in found["least"].items() if value > 0}
    return {
        name: {key: round(value, 3) for key, value in figures.items()}
        for name, figures in {**found, "ratio": ratios}.items()
    }


def _of_pushes(figures: dict[str, float]) -> dict[str, float]:
    """Without what connecting cost, which says little in a process that has done so before."""
    return {key: figures[key] for key in ("cpu_us_a_push", "p50_ms", "p99_ms", "last_ms")}


def main() -> None:
    """Print the figures as JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--streams", type=int, nargs="*", default=[100, 1000])
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    collector = Collector()
    with collector.watching():
        collector.settle()
        figures = {str(n): asyncio.run(run(n, given.rounds)) for n in given.streams}
        large = asyncio.run(run(max(given.streams), given.rounds, LISTENER))
        figures["listener"] = {side: _of_pushes(found) for side, found in large.items()}
        figures["churn"] = asyncio.run(churn())
    json.dump({"benchmark": "fanout", **figures}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()

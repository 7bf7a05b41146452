"""A whole server under load: cold start, changes, a burst, a resume, clients that do not read.

The server runs here, the simulated Envoys in a process of their own, all over loopback. Figures of
latency contain the client's own time, for the two share the machine.
"""

import argparse
import asyncio
import gc
import json
import random
import sys
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import structlog

from benchmarks import worlds
from benchmarks.loadclient import LoadClient
from benchmarks.plane import Plane, quantile, rss_mib, serving, turn_by_turn
from translators.resources.metadata import KubernetesObject
from translators.wire.resource import TypeUrl
from translators.world import Change
from xds_server.serving.collector import THRESHOLDS, Collector

REPLICAS = 2
KINDS = ("slice", "route", "policy")
_SETTLE = 0.05
_EVERY = 0.05


class Scale:
    """One run, at one size."""

    def __init__(self, namespaces: int, services: int, pods: int, seed: int) -> None:
        self.namespaces, self.services, self.pods = namespaces, services, pods
        self.plane = Plane()
        self._random = random.Random(seed)
        self._serial = 0

    def cold_start(self) -> dict[str, Any]:
        """Index all objects and translate every waypoint."""
        base = rss_mib()
        objects = list(worlds.world(self.namespaces, self.services, self.pods))
        changes = [Change(found.key, found) for found in objects]
        decoded = rss_mib()
        gc.disable()
        began = time.perf_counter()
        self.plane.compiler.apply(changes)
        indexed = time.perf_counter()
        count = size = 0
        for waypoint in self.plane.compiler.waypoints():
            made = self.plane.compiler.resources(waypoint)
            count += len(made)
            size += sum(len(resource.body) for resource in made.values())
        translated = time.perf_counter()
        del changes, objects
        Collector().settle()
        gc.set_threshold(*THRESHOLDS)
        gc.enable()
        return {
            "objects": len(self.plane.compiler._world),
            "resources": count,
            "resource_mb": round(size / 1e6, 1),
            "index_s": round(indexed - began, 2),
            "translate_all_s": round(translated - indexed, 2),
            "cold_start_s": round(translated - began, 2),
            "rss_base_mib": base,
            "rss_decoded_objects_mib": decoded,
            "rss_mib": rss_mib(),
        }

    async def connect(self, load: LoadClient) -> dict[str, Any]:
        """All Envoys at once, each with nothing; changes for the two that were there before."""
        first, *others = (f"ns-{n}" for n in range(self.namespaces))
        await load.do("connect", namespaces=[first], replicas=REPLICAS)
        await load.arrivals()
        self.plane.pauses.take()
        spent, changed = -time.process_time(), list[float]()
        changing = asyncio.create_task(self._keep_changing(changed))
        answer = await load.do("connect", namespaces=others, replicas=REPLICAS)
        changing.cancel()
        spent += time.process_time()
        pauses = self.plane.pauses.take()
        arrived = [one.at for one in await self._settled(load) if one.client < REPLICAS]
        latencies = [1000 * (min(a for a in arrived if a >= at) - at) for at in changed]
        self.plane.change(worlds.endpoint_slice("ns-0", 0, 0, self.pods))
        await self._settled(load)
        return {
            "streams": answer["streams"],
            "configured_s": round(answer["seconds"], 2),
            "server_cpu_ms_a_stream": round(1000 * spent / answer["streams"], 2),
            "change_meanwhile_p50_ms": quantile(latencies, 0.5),
            "change_meanwhile_p99_ms": quantile(latencies, 0.99),
            "mb": round(answer["resource_bytes"] / 1e6, 1),
            "rss_mib": rss_mib(),
            **pauses,
        }

    async def _keep_changing(self, changed: list[float]) -> None:
        """A change of the first namespace's endpoints now and then, for ever."""
        while True:
            self._serial += 1
            zone = f"zone-{self._serial}"
            slice_ = worlds.endpoint_slice("ns-0", 0, 0, self.pods, zone=zone)
            changed.append(self.plane.change(slice_))
            await asyncio.sleep(_EVERY)

    def one(self, kind: str) -> tuple[KubernetesObject, int]:
        """A change of that kind that means something, and the number of its namespace."""
        n, s = self._random.randrange(self.namespaces), self._random.randrange(self.services)
        return self.changed(kind, n, s), n

    def changed(self, kind: str, n: int, s: int) -> KubernetesObject:
        """An object of that service as it never was before."""
        self._serial += 1
        name = f"ns-{n}"
        match kind:
            case "slice":
                zone = f"zone-{self._serial}"
                return worlds.endpoint_slice(name, n, s, self.pods, zone=zone)
            case "route":
                return worlds.route(name, s, 10, prefix=f"p{self._serial}")
            case _:
                return worlds.policy(name, s, caller=f"c{self._serial}")

    async def changes(self, load: LoadClient, kind: str, rounds: int) -> dict[str, Any]:
        """One change at a time: when it is there, and who got what."""
        latencies: list[float] = []
        scopes: Counter[str] = Counter()
        self.plane.pauses.take()
        for _ in range(rounds):
            change, n = self.one(kind)
            at = self.plane.change(change)
            arrived = await self._settled(load)
            latencies += [1000 * (one.at - at) for one in arrived]
            exact = {one.client for one in arrived} == {REPLICAS * n, REPLICAS * n + 1}
            single = len(arrived) == REPLICAS and all(one.resources == 1 for one in arrived)
            scopes["exact" if exact and single else "other"] += 1
        return {
            "delivered_p50_ms": quantile(latencies, 0.5),
            "delivered_p99_ms": quantile(latencies, 0.99),
            "exactly_one_resource_to_its_two_envoys": scopes["exact"],
            "of": rounds,
            **self.plane.pauses.take(),
        }

    async def suppressed(self, load: LoadClient, rounds: int) -> dict[str, Any]:
        """Changes that mean nothing: an object read again, its endpoints in another order."""
        for _ in range(rounds):
            n, s = self._random.randrange(self.namespaces), self._random.randrange(self.services)
            again = worlds.endpoint_slice(f"ns-{n}", n, s, self.pods)
            self.plane.change(again)
            self.plane.change(replace(again, endpoints=again.endpoints[::-1]))
            self.plane.change(again)
        return {"changes": 3 * rounds, "responses": len(await self._settled(load))}

    async def refused(self, load: LoadClient, rounds: int) -> dict[str, Any]:
        """Changes that one of the two Envoys refuses, and what it is sent of them once more."""
        refusals = self.plane.service.counters.rejections.total()
        await load.do("refuse", every=REPLICAS)
        repeats = 0
        for _ in range(rounds):
            self.plane.change(self.one("slice")[0])
            arrived = [one for one in await self._settled(load) if one.client % REPLICAS == 0]
            repeats += len(arrived) - 1
        await load.do("refuse", every=0)
        refusals = self.plane.service.counters.rejections.total() - refusals
        return {"changes": rounds, "refusals": refusals, "repeats": repeats}

    async def burst(self, load: LoadClient, events: int) -> dict[str, Any]:
        """Slices as fast as they come; at the end everybody must hold the last state."""
        prepared = [self.one("slice") for _ in range(events)]
        await asyncio.sleep(_SETTLE)  # what preparing kept waiting is not what is measured
        self.plane.pauses.take()
        began, spent = time.monotonic(), -time.process_time()
        for position, (change, _) in enumerate(prepared):
            self.plane.change(change)
            if position % 8 == 7:
                await asyncio.sleep(0)
        arrived = await self._settled(load)
        spent += time.process_time()
        last, pauses = max(one.at for one in arrived), self.plane.pauses.take()
        return {
            "events": events,
            "seconds": round(last - began, 2),
            "events_per_s": round(events / (last - began)),
            "server_cpu_us_an_event": round(1e6 * spent / events),
            "responses": len(arrived),
            "wrong_at_clients": await self._wrong(load),
            **pauses,
        }

    async def resume(self, load: LoadClient) -> dict[str, Any]:
        """All streams drop and come back with what they hold."""
        await load.do("drop")
        while self.plane.service.counters.streams_open:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        before = self.plane.service.counters.resource_bytes_sent
        self.plane.pauses.take()
        answer = await load.do("resume")
        await self._settled(load)
        return {
            "seconds": round(answer["seconds"], 2),
            "resource_bytes": self.plane.service.counters.resource_bytes_sent - before,
            **self.plane.pauses.take(),
        }

    async def _wrong(self, load: LoadClient) -> int:
        """How many clients hold anything else than what is served to them."""
        wrong = 0
        held = await load.do("held")
        served = {key.waypoint.namespace: key for key in self.plane.store.attached()}
        for client, by_type in enumerate(held):
            snapshot = self.plane.store.served(served[f"ns-{client // REPLICAS}"])
            for type_url in TypeUrl:
                resources = snapshot.of_type(type_url).values() if snapshot else ()
                wanted = {one.key.name: one.version for one in resources}
                wrong += by_type.get(type_url, {}) != wanted
        return wrong

    async def _settled(self, load: LoadClient) -> list[Any]:
        """What arrived once the server has nothing more to do and the clients are quiet."""
        arrived: list[Any] = []
        while True:
            await asyncio.sleep(_SETTLE)
            fresh = await load.arrivals()
            arrived += fresh
            if not fresh and self.plane.publisher.idle:
                return arrived


async def stalled(clients: int, silent: int, pushes: int) -> dict[str, Any]:
    """Half of the clients of one waypoint stop reading; what that costs the others."""
    plane = Plane()
    objects = worlds.world(1, 200, 20)
    plane.compiler.apply([Change(found.key, found) for found in objects])
    figures: dict[str, Any] = {}
    async with serving(plane), LoadClient(plane.address) as load:
        await load.do("connect", namespaces=["ns-0"], replicas=clients)
        await load.arrivals()
        for label, quiet in (("all_read", 0), ("some_stalled", silent), ("all_read_again", 0)):
            await load.do("stall", clients=quiet)
            before, latencies = rss_mib(), []
            for push in range(pushes):
                # A service with another port set changes the listener, which is large.
                at = plane.change(worlds.service("ns-0", 0, 300 + push % 2, port=81 + push))
                await asyncio.sleep(0.25)
                latencies += [
                    1000 * (one.at - at)
                    for one in await load.arrivals()
                    if one.client >= silent and one.type_url == TypeUrl.LISTENER
                ]
            figures[label] = {
                "healthy_p50_ms": quantile(latencies, 0.5),
                "healthy_p99_ms": quantile(latencies, 0.99),
                "healthy_responses": len(latencies),
                "rss_growth_mib": round(rss_mib() - before, 1),
            }
            await load.do("unstall")
            await asyncio.sleep(1)
            await load.arrivals()
    figures["ratio_p99"] = round(
        figures["some_stalled"]["healthy_p99_ms"] / figures["all_read"]["healthy_p99_ms"], 2
    )
    return figures


async def run(namespaces: int, services: int, pods: int, rounds: int, variant: str) -> Any:
    """All figures of one size."""
    scale = Scale(namespaces, services, pods, seed=1)
    figures: dict[str, Any] = {
        "benchmark": "scale",
        "variant": variant,
        "size": [namespaces, services, pods],
        "cold_start": scale.cold_start(),
    }
    async with serving(scale.plane), LoadClient(scale.plane.address, variant) as load:
        figures["connect"] = await scale.connect(load)
        figures["suppressed"] = await scale.suppressed(load, rounds)
        for kind in KINDS:
            figures[f"change_{kind}"] = await scale.changes(load, kind, rounds)
        figures["burst"] = await scale.burst(load, 5_000)
        each_s = figures["change_slice"]["delivered_p50_ms"] / 1000
        ratio = figures["burst"]["events_per_s"] * each_s
        figures["burst"]["to_one_at_a_time"] = round(ratio, 2)
        figures["resume"] = await scale.resume(load)
        storm = figures["connect"]["configured_s"]
        figures["resume"]["seconds_to_storm"] = round(figures["resume"]["seconds"] / storm, 2)
        figures["rss_end_mib"] = rss_mib()
    return figures


def main() -> None:
    """Print the figures as JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    worlds.add_size(options, namespaces=100)
    options.add_argument("--rounds", type=int, default=100)
    options.add_argument("--variant", choices=("delta", "sotw"), default="delta")
    given = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    size = (given.namespaces, given.services, given.pods)
    figures = turn_by_turn(run(*size, given.rounds, given.variant))
    figures["slow_clients"] = turn_by_turn(stalled(100, 50, 20))
    json.dump(figures, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()

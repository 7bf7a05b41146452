"""All Envoys at once, and one policy for all of them, beside a server of finished bytes.

The mesh is translated beforehand, as it is when Envoys come to a server that has lost them: what is
measured is the way from there to the clients. The policy is one of the root namespace that guards
every waypoint. It changes the route table of every service, and no listener, for none of ours holds
a policy. Its translation is measured too; the other server is handed the result.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import structlog

from benchmarks import worlds
from benchmarks.least import Answers, listening
from benchmarks.loadclient import LoadClient
from benchmarks.plane import serving
from benchmarks.scale import REPLICAS, Scale
from translators.resources.authorizationpolicy import AuthorizationPolicy, PolicyRule, TargetRef
from translators.resources.metadata import Metadata
from translators.wire.discovery import delta_response
from translators.wire.resource import TypeUrl
from translators.wire.snapshot import Snapshot
from translators.xds.names import CONNECT_ROUTES


def policy(serial: int) -> AuthorizationPolicy:
    """What no waypoint of the mesh lets through."""
    rule = PolicyRule(operations=({"paths": (f"/admin-{serial}",)},))
    target = TargetRef("gateway.networking.k8s.io", "GatewayClass", "istio-waypoint")
    meta = Metadata("mesh", "istio-system")
    return AuthorizationPolicy(meta, action="DENY", targets=(target,), rules=(rule,))


class Storm:
    """Ours and the other server, with a mesh."""

    def __init__(self, namespaces: int, services: int, pods: int) -> None:
        self._scale = Scale(namespaces, services, pods, seed=4)
        self._plane = self._scale.plane
        self._names = [f"ns-{n}" for n in range(namespaces)]
        self._tables = REPLICAS * namespaces * services
        self._scale.cold_start()

    async def run(self, rounds: int, changes: int) -> dict[str, Any]:
        """Both in turns."""
        async with serving(self._plane):
            answers = Answers(await self._served())
            async with listening(answers.call) as other:
                addresses = {"ours": self._plane.address, "least": other}
                await self._storm(other)  # its responses are made
                storms = await in_turns(addresses, self._storm, rounds)
                return {"storm": storms, "global": await self._changes(addresses, answers, changes)}

    async def _served(self) -> Mapping[str, Snapshot]:
        """What each namespace's Envoys get."""
        async with LoadClient(self._plane.address) as load:
            await load.do("connect", namespaces=self._names, replicas=1)
            return self._snapshots()

    def _snapshots(self) -> Mapping[str, Snapshot]:
        found = ((key, self._plane.store.served(key)) for key in self._plane.store.attached())
        return {key.waypoint.namespace: served for key, served in found if served is not None}

    async def _storm(self, address: str) -> dict[str, float]:
        """All Envoys of the mesh, which know nothing yet, until they have gone again."""
        async with LoadClient(address) as load:
            figures = await self._connect(load)
        while self._plane.service.counters.streams_open:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return figures

    async def _connect(self, load: LoadClient) -> dict[str, float]:
        await load.arrivals()  # the client has started
        spent = -time.process_time()
        answer = await load.do("connect", namespaces=self._names, replicas=REPLICAS)
        spent += time.process_time()
        return {
            "wall_s": answer["seconds"],
            "cpu_ms_a_stream": 1000 * spent / answer["streams"],
            "mb": answer["resource_bytes"] / 1e6,
        }

    async def _changes(
        self, addresses: Mapping[str, str], answers: Answers, rounds: int
    ) -> dict[str, Any]:
        """One policy for all, again and again."""
        async with AsyncExitStack() as stack:
            loads = {
                side: await stack.enter_async_context(LoadClient(address))
                for side, address in addresses.items()
            }
            for load in loads.values():
                await self._connect(load)
                await load.arrivals()
            serial = 0

            async def change(side: str) -> dict[str, float]:
                nonlocal serial
                if side == "least":
                    responses = {name: _tables(one) for name, one in self._snapshots().items()}
                    return await self._last(loads[side], lambda: answers.push(responses))
                serial += 1
                return await self._last(loads[side], lambda: self._plane.change(policy(serial)))

            return await in_turns({side: side for side in loads}, change, rounds)

    async def _last(self, load: LoadClient, begin: Callable[[], object]) -> dict[str, float]:
        """Change something; until all route tables have arrived at all Envoys."""
        spent, at, tables, size, last = -time.process_time(), time.monotonic(), 0, 0, 0.0
        begin()
        async with asyncio.timeout(300):
            while tables < self._tables:
                await asyncio.sleep(0.05)
                for one in await load.arrivals():
                    tables += one.resources
                    size += one.resource_bytes
                    last = max(last, one.at - at)
        spent += time.process_time()
        return {
            "last_ms": 1000 * last,
            "cpu_ms_a_stream": 1000 * spent / (REPLICAS * len(self._names)),
            "mb": size / 1e6,
            "tables_twice": tables - self._tables,
        }


def _tables(snapshot: Snapshot) -> bytes:
    """The route tables of all services as one response."""
    found = snapshot.of_type(TypeUrl.ROUTE)
    services = [one for name, one in found.items() if name != CONNECT_ROUTES]
    return delta_response(TypeUrl.ROUTE, "1", services)


async def in_turns(
    sides: Mapping[str, str], measure: Callable[[str], Awaitable[dict[str, float]]], rounds: int
) -> dict[str, dict[str, float]]:
    """The medians of each side, and the ratio of the first to the second."""
    found: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, given in sides.items():
            found[side].append(await measure(given))
    medians = {
        side: {key: round(statistics.median(one[key] for one in each), 3) for key in each[0]}
        for side, each in found.items()
    }
    ours, other = medians.values()
    ratios = {key: round(ours[key] / value, 2) for key, value in other.items() if value > 0}
    return {**medians, "ratio": ratios}


def main() -> None:
    """Print the figures as JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    worlds.add_size(options, namespaces=100)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    storm = Storm(given.namespaces, given.services, given.pods)
    figures = asyncio.run(storm.run(given.rounds, given.rounds))
    json.dump({"benchmark": "storm", **figures}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()

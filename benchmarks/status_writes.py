"""What it costs an API server, and how long it takes, that 1,000 new HTTPRoutes have a status.

The API server of the tests runs in this process and counts; ``waypost serve`` follows it. All
routes are of one waypoint, ten of each service, and are there at once. Routes of services are not
attached to the waypoint's Gateway itself: its listener says ``attachedRoutes: 0``, as Istio's does,
so that they should not cost the Gateway a single write.

Usage: python -m benchmarks.status_writes [routes]. Prints JSON.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.apiserver import CRDS, waypost
from benchmarks.plane import processor_s
from tests.support.kubeapi import KubeApi
from tests.support.loopback import LoopbackNet
from tests.support.manifests import (
    HTTP,
    Manifest,
    backend,
    gateway,
    namespace,
    path,
    route,
    rule,
    service,
)

HOME = "shop"
_SHARE = 10  # routes of a service
_ROUTES = ("gateway.networking.k8s.io", "httproutes")
_GATEWAYS = ("gateway.networking.k8s.io", "gateways")
_WITHIN_S = 300.0
_CALM_S = 2.0


def objects(routes: int) -> tuple[list[Manifest], list[Manifest]]:
    """What is there before, and the routes."""
    names = [f"web-{number}" for number in range(routes // _SHARE)]
    services = [
        service(name, HOME, f"10.99.{number // 250}.{number % 250 + 1}", {}, [("http", 80, HTTP)])
        for number, name in enumerate(names)
    ]
    made = [
        route(f"r-{number}", HOME, name, rule(path(f"/{number}"), to=[backend(name)]))
        for number in range(routes)
        for name in [names[number % len(names)]]
    ]
    return [namespace(HOME), gateway(HOME), *services], made


def accepted(api: KubeApi) -> int:
    """How many routes have a parent that says that it accepted them."""
    said = (each.get("status", {}).get("parents") for each in api.store.all(_ROUTES))
    return sum(bool(parents) for parents in said)


async def until(api: KubeApi, count: int) -> float:
    """When so many routes are accepted, in monotonic seconds. Raises TimeoutError."""
    async with asyncio.timeout(_WITHIN_S):
        while accepted(api) < count:  # noqa: ASYNC110  the server tells of no such event
            await asyncio.sleep(0.05)
    return time.monotonic()


async def until_calm(api: KubeApi) -> None:
    """Return when something was written, and then nothing for two seconds. Raises TimeoutError."""

    def is_calm() -> bool:
        times = [each.time for each in api.requests if each.verb == "patch"]
        return bool(times) and time.monotonic() - times[-1] > _CALM_S

    async with asyncio.timeout(_WITHIN_S):
        while not is_calm():  # noqa: ASYNC110  the server tells of no such event
            await asyncio.sleep(0.1)


def writes(api: KubeApi, version: int) -> Counter[str]:
    """How often each route was written since then, its creation included."""
    events = api.store.events_after(version) or []
    return Counter(each.object["metadata"]["name"] for each in events if each.key == _ROUTES)


async def measure(routes: int) -> dict[str, Any]:
    """Everything, from the start of the programs to their end."""
    net, (base, added) = LoopbackNet(), objects(routes)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with KubeApi(CRDS, log_size=10 * routes + 1000) as api:
            for each in base:
                api.put(dict(each))
            kubeconfig = api.write_kubeconfig(folder / "kubeconfig")
            async with waypost(folder, kubeconfig, net.ip(11)) as server:
                await until_calm(api)
                before, version = api.counts, api.store.version
                spent = -processor_s(server.pid)
                for each in added:
                    api.put(dict(each))
                there = time.monotonic()
                half = await until(api, routes // 2) - there
                whole = await until(api, routes) - there
                await until_calm(api)
                spent += processor_s(server.pid)
            counts = api.counts - before
            listener = api.store.all(_GATEWAYS)[0]["status"]["listeners"][0]
    net.close()
    return {
        "benchmark": "status_writes",
        "routes": routes,
        "gateway_writes": counts["patch", "gateways/status"],
        "attached_routes": listener["attachedRoutes"],
        "route_writes": counts["patch", "httproutes/status"],
        "most_writes_of_one_route": max(writes(api, version).values()) - 1,
        "reads": counts["get", "httproutes"],
        "half_accepted_s": round(half, 2),
        "all_accepted_s": round(whole, 2),
        "server_cpu_ms_a_route": round(1000 * spent / routes, 2),
    }


def main() -> None:
    """Measure and print the figures."""
    routes = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print(json.dumps(asyncio.run(measure(routes)), indent=2))


if __name__ == "__main__":
    main()

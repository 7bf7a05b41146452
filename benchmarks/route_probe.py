"""How long from the creation of an HTTPRoute in a cluster until a request through Envoy obeys it.

The first and the last hundred are created one by one, each for a path that nothing answered before:
the clock runs from the POST to the API server until the first 200. Those between come in steps of a
hundred, each of which ends when its last route is obeyed, and are left alone until all have their
status. All are of one waypoint. First ten of them share a service, then all are of one service,
whose one table they make longer and longer. ``waypost serve`` follows the API server of the tests
and writes status; it, the API server and Envoy are processes of their own.

Usage: python -m benchmarks.route_probe [--routes 600]. Prints JSON.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.apiserver import GATEWAY_API, api_server, url_of, waypost
from benchmarks.plane import processor_s, quantile
from tests.support.certs import CertFolder
from tests.support.controlplane import ServerProcess
from tests.support.envoyproc import EnvoyProcess
from tests.support.fleet import EchoFleet
from tests.support.http1 import http1_request
from tests.support.kubeapi.client import Client
from tests.support.loopback import LoopbackNet
from tests.support.manifests import (
    HTTP,
    WAYPOINT,
    Manifest,
    backend,
    gateway,
    namespace,
    path,
    pod,
    route,
    rule,
    service,
)
from tests.support.mesh import Clients, waypoint_bootstrap
from xds_server.demo.echo import EchoApp
from xds_server.demo.ztunnel import Address, Waypoint
from xds_server.identity.authority_store import open_authority

HOME = "shop"
_PORTS = (("http", 80, HTTP),)
_SHARE = 10  # routes of a service
_WINDOW = 100  # routes at the start, and at the end
_AGAIN_S = 0.005  # to ask more often would take the processor from who is measured
_WITHIN_S, _SETTLE_S = 30.0, 180.0


@dataclass(frozen=True, slots=True)
class Probe:
    """What it takes to create routes and to ask for them."""

    api: Client
    clients: Clients
    server: ServerProcess
    envoy: EnvoyProcess
    services: int

    async def run(self, routes: range) -> dict[str, float]:
        """Create them one after another; what it took until each was obeyed."""
        before = self._spent()
        times = [await self._obeyed(range(number, number + 1)) for number in routes]
        server, envoy = (now - then for now, then in zip(self._spent(), before, strict=True))
        return {
            "p50_ms": quantile(times, 0.5),
            "p99_ms": quantile(times, 0.99),
            "server_cpu_ms_a_route": round(1000 * server / len(times), 2),
            "envoy_cpu_ms_a_route": round(1000 * envoy / len(times), 2),
        }

    async def fill(self, routes: range) -> None:
        """Create them in steps, and return when all that there are have their status."""
        for first in routes[::_WINDOW]:
            await self._obeyed(range(first, min(first + _WINDOW, routes.stop)))
        async with asyncio.timeout(_SETTLE_S):
            while await self._accepted() < routes.stop:  # noqa: ASYNC110
                await asyncio.sleep(1)

    async def _obeyed(self, routes: range) -> float:
        """Milliseconds from the creation of the first to an answer by the last."""
        caller, last = self.clients.certs.svid(HOME, "client"), routes[-1]
        to = f"{_ip(last % self.services)}:80"
        async with await (await self.clients.connection(caller)).connect(to) as tunnel:
            began = time.monotonic()
            for number in routes:
                await self._create(number)
            async with asyncio.timeout(_WITHIN_S):
                while (await http1_request(tunnel, "GET", f"/{last}")).status != 200:  # noqa: ASYNC110
                    await asyncio.sleep(_AGAIN_S)
            return 1000 * (time.monotonic() - began)

    async def _create(self, number: int) -> None:
        only = rule(path(f"/{number}"), to=[backend("app")])
        made = route(f"r-{number}", HOME, f"web-{number % self.services}", only)
        reply = await self.api.create(f"{GATEWAY_API}/{HOME}/httproutes", made)
        assert reply.code == 201, reply.body

    async def _accepted(self) -> int:
        reply = await self.api.get(f"{GATEWAY_API}/{HOME}/httproutes")
        return sum("status" in each for each in reply.body["items"])

    def _spent(self) -> tuple[float, float]:
        return processor_s(self.server.pid), processor_s(self.envoy.pid)


def objects(services: int, app_ip: str) -> list[Manifest]:
    """A waypoint, the one service that has a pod, and those that only routes make answer."""
    app = service("app", HOME, "10.99.255.1", {"app": "app"}, _PORTS)
    pods = pod("app", HOME, app_ip, {"app": "app"}, captured=False)
    fronts = [
        service(f"web-{at}", HOME, _ip(at), {"app": "none"}, _PORTS) for at in range(services)
    ]
    return [namespace(HOME), gateway(HOME), app, pods, *fronts]


def _ip(service: int) -> str:
    return f"10.99.{service // 250}.{service % 250 + 1}"


@asynccontextmanager
async def probing(folder: Path, net: LoopbackNet, services: int) -> AsyncIterator[Probe]:
    """Everything runs, and Envoy has all that it is to have."""
    app_ip, waypoint_ip, client_ip, server_ip = (net.ip(host) for host in (11, 12, 13, 14))
    certs = CertFolder(folder / "certs", open_authority(folder / "ca", datetime.now(UTC)))
    clients = Clients(
        Waypoint(Address(waypoint_ip, 15008), certs.svid(HOME, WAYPOINT).uri), certs, client_ip
    )
    with EchoFleet() as fleet, api_server(folder, objects(services, app_ip)) as kubeconfig:
        fleet.add(EchoApp("app", "v1", app_ip, (HTTP,)))
        async with waypost(folder, kubeconfig, server_ip) as server:
            bootstrap = waypoint_bootstrap(HOME, waypoint_ip, server.xds)
            async with await EnvoyProcess.start(bootstrap, folder, "waypoint") as envoy:
                api = Client(url_of(kubeconfig))
                try:
                    yield Probe(api, clients, server, envoy, services)
                finally:
                    await clients.close()
                    await api.close()


async def measure(routes: int, services: int) -> dict[str, Any]:
    """So many routes, 200 at least, of so many services: the first hundred beside the last."""
    net = LoopbackNet()
    with tempfile.TemporaryDirectory() as folder:
        async with probing(Path(folder), net, services) as probe:
            first = await probe.run(range(_WINDOW))
            await probe.fill(range(_WINDOW, routes - _WINDOW))
            last = await probe.run(range(routes - _WINDOW, routes))
    net.close()
    ratio = round(last["p99_ms"] / first["p99_ms"], 2)
    return {"services": services, "first_100": first, "last_100": last, "p99_ratio": ratio}


async def both(routes: int) -> dict[str, Any]:
    """Ten routes a service, then all of one."""
    spread = await measure(routes, routes // _SHARE)
    return {"ten_a_service": spread, "all_of_one_service": await measure(routes, 1)}


def main() -> None:
    """Print the figures as JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--routes", type=int, default=600)
    given = options.parse_args()
    found = asyncio.run(both(given.routes))
    print(json.dumps({"benchmark": "route_probe", "routes": given.routes, **found}, indent=2))


if __name__ == "__main__":
    main()

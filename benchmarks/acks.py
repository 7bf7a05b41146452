"""How long from a finished edit until real Envoys have acknowledged it: one Envoy, then many.

The mesh is a namespace of ``waypost bench world``: 25 services of 10 pods, each with a port, a
route of 10 rules and a policy. The server runs in this process, so that the moment of the last ACK
is known. All Envoys are of the one waypoint, each on an address of its own, and share the machine
with the server. Manifests and bootstraps are made before the clock starts.

Usage: python -m benchmarks.acks [--envoys 40] [--edits 20]. Prints JSON.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.plane import processor_s, quantile
from tests.support.controlplane import ControlPlane, control_plane, settings
from tests.support.envoyproc import EnvoyProcess
from tests.support.loopback import LoopbackNet
from tests.support.manifests import ManifestFolder
from tests.support.mesh import waypoint_bootstrap
from translators.wire.resource import Resource, ResourceKey, TypeUrl
from xds_server.cli.bench_manifests import Manifest, manifests
from xds_server.identity.authority import create_authority
from xds_server.serving import log_to_stderr
from xds_server.snapshots import ProxyKey

HOME = "ns-0"
SERVICES, PODS, RULES = 25, 10, 10
_EDITED = "svc-0"
_PORT = f"inbound-vip|80|http|{_EDITED}.{HOME}.svc.cluster.local"
_START_S = 120.0
_EDIT_S = 30.0


class Mesh:
    """The namespace in a folder. A file holds the route of one service, another its endpoints."""

    def __init__(self, root: Path) -> None:
        objects = list(manifests(0, SERVICES, PODS, RULES))
        self._folder = ManifestFolder(root)
        self._route = _named(objects, "HTTPRoute", _EDITED)
        self._slice = _named(objects, "EndpointSlice", f"{_EDITED}-a")
        edited = (self._route, self._slice)
        self._folder.put("base", *(one for one in objects if one not in edited))
        self.edit_route(0)
        self.edit_endpoints(0)

    def edit_route(self, number: int) -> None:
        """Let its first rule be for another path."""
        self._route["spec"]["rules"][0]["matches"][0]["path"]["value"] = f"/edit-{number}"
        self._folder.put("route", self._route)

    def edit_endpoints(self, number: int) -> None:
        """Let another of its pods be missing."""
        endpoints = list(self._slice["endpoints"])
        del endpoints[number % PODS]
        self._folder.put("endpoints", {**self._slice, "endpoints": endpoints})


def _named(objects: Sequence[Manifest], kind: str, name: str) -> Manifest:
    return next(one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name))


async def measure(envoys: int, edits: int) -> dict[str, Any]:
    """Everything with so many Envoys, from the start of the programs to their end."""
    with tempfile.TemporaryDirectory() as name:
        folder, net = Path(name), LoopbackNet()
        mesh = Mesh(folder / "manifests")
        authority = create_authority(datetime.now(UTC))
        async with (
            control_plane(settings(folder), folder / "manifests", authority) as plane,
            AsyncExitStack() as stack,
        ):
            xds = plane.addresses.xds
            configs = [waypoint_bootstrap(HOME, net.ip(10 + n), xds) for n in range(envoys)]
            figures = await _boot(plane, configs, folder, stack)
            for kind, type_url, edit in (
                ("route", TypeUrl.ROUTE, mesh.edit_route),
                ("endpoints", TypeUrl.ENDPOINT, mesh.edit_endpoints),
            ):
                watch = Watch(plane, ResourceKey(type_url, _PORT))
                figures[kind] = await repeat(watch, edit, edits)
        net.close()
    return {"envoys": envoys, **figures}


async def _boot(
    plane: ControlPlane, configs: Sequence[Any], folder: Path, stack: AsyncExitStack
) -> dict[str, Any]:
    """Start an Envoy of each bootstrap, to be stopped by ``stack``; until all are in sync."""
    began, spent, programs = time.monotonic(), -time.process_time(), []
    for number, config in enumerate(configs):
        programs.append(EnvoyProcess(config, folder, f"envoy-{number}"))
        stack.push_async_callback(programs[-1].stop)
    await until_up(plane, len(configs))
    spent += time.process_time()
    return {
        "boot_to_in_sync_s": round(time.monotonic() - began, 2),
        "boot_envoy_cpu_s": round(statistics.mean(processor_s(one.pid) for one in programs), 3),
        "boot_server_cpu_s": round(spent, 3),
    }


async def until_up(plane: ControlPlane, envoys: int) -> None:
    """Return when all are connected and have everything. Looking takes time, so it is seldom."""
    async with asyncio.timeout(_START_S):
        while _streams(plane) < envoys or not plane.in_sync():  # noqa: ASYNC110
            await asyncio.sleep(0.1)


class Watch:
    """Notes when which Envoy acknowledges a resource, at the moment when the server hears it."""

    def __init__(self, plane: ControlPlane, key: ResourceKey) -> None:
        self._key = key
        self._envoys = _streams(plane)
        self._done = asyncio.Event()
        self._times: dict[str, float] = {}
        store = plane.server._store
        self._acknowledge = store.acknowledge
        setattr(store, "acknowledge", self._note)  # noqa: B010

    def _note(self, proxy: ProxyKey, resources: Collection[Resource]) -> None:
        if any(resource.key == self._key for resource in resources):
            self._times.setdefault(proxy.bind, time.perf_counter())
            if len(self._times) == self._envoys:
                self._done.set()
        self._acknowledge(proxy, resources)

    async def after(self, edit: Callable[[], None]) -> tuple[float, float]:
        """Milliseconds from the edit to the first and to the last ACK."""
        self._times.clear()
        self._done.clear()
        began = time.perf_counter()
        edit()
        async with asyncio.timeout(_EDIT_S):
            await self._done.wait()
        times = [1000 * (at - began) for at in self._times.values()]
        return min(times), max(times)


async def repeat(watch: Watch, edit: Callable[[int], None], edits: int) -> dict[str, float]:
    """Edit again and again, each time after everybody has acknowledged."""
    pairs = [await watch.after(partial(edit, number)) for number in range(1, edits + 1)]
    firsts, lasts = zip(*pairs, strict=True)
    return {
        "first_ack_p50_ms": quantile(firsts, 0.5),
        "last_ack_p50_ms": quantile(lasts, 0.5),
        "last_ack_p99_ms": quantile(lasts, 0.99),
    }


def _streams(plane: ControlPlane) -> int:
    return len(plane.server._ads.registry.streams())


async def _both(envoys: int, edits: int) -> list[dict[str, Any]]:
    return [await measure(count, edits) for count in (1, envoys)]


def main() -> None:
    """Measure with one Envoy and with many, and print the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--envoys", type=int, default=40)
    options.add_argument("--edits", type=int, default=20)
    given = options.parse_args()
    log_to_stderr()
    runs = asyncio.run(_both(given.envoys, given.edits))
    found = {"services": SERVICES, "edits": given.edits, "runs": runs}
    print(json.dumps({"benchmark": "acks", **found}))


if __name__ == "__main__":
    main()

"""How long from a finished edit until real Envoys have acknowledged it: one Envoy, then many.

The server runs in this process, so that the moment of the last ACK is known. All Envoys are of one
waypoint, each on an address of its own, and share the machine with the server.

Usage: python benchmarks/acks.py [Envoys] [edits]. Prints JSON.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.plane import quantile
from tests.support.controlplane import ControlPlane, control_plane, settings
from tests.support.envoyproc import EnvoyProcess
from tests.support.loopback import LoopbackNet
from tests.support.manifests import (
    ManifestFolder,
    backend,
    gateway,
    namespace,
    path,
    pod,
    route,
    rule,
    service,
)
from tests.support.mesh import waypoint_bootstrap
from translators.wire.resource import Resource, ResourceKey, TypeUrl
from xds_server.identity.authority import create_authority
from xds_server.serving import log_to_stderr
from xds_server.snapshots import ProxyKey

HOME = "shop"
SERVICES = 20
_PORT = f"inbound-vip|80|http|web-0.{HOME}.svc.cluster.local"
_START_S = 120.0
_EDIT_S = 30.0


async def measure(envoys: int, edits: int) -> dict[str, Any]:
    """Everything with so many Envoys, from the start of the programs to their end."""
    with tempfile.TemporaryDirectory() as name:
        folder, net = Path(name), LoopbackNet()
        manifests = ManifestFolder(folder / "manifests")
        manifests.put("base", namespace(HOME), gateway(HOME), *map(_service, range(SERVICES)))
        _edit_route(manifests, 0)
        _edit_endpoints(manifests, 0)
        authority = create_authority(datetime.now(UTC))
        async with (
            control_plane(settings(folder), manifests.root, authority) as plane,
            AsyncExitStack() as stack,
        ):
            began = time.monotonic()
            for number in range(envoys):
                ip = net.ip(10 + number)
                config = waypoint_bootstrap(HOME, ip, plane.addresses.xds)
                envoy = EnvoyProcess(config, folder, f"envoy-{number}")
                stack.push_async_callback(envoy.stop)
            await until_up(plane, envoys)
            boot = time.monotonic() - began
            figures = {
                kind: await repeat(
                    Watch(plane, ResourceKey(type_url, _PORT)), partial(edit, manifests), edits
                )
                for kind, type_url, edit in (
                    ("route", TypeUrl.ROUTE, _edit_route),
                    ("endpoints", TypeUrl.ENDPOINT, _edit_endpoints),
                )
            }
        net.close()
    return {"envoys": envoys, "boot_to_in_sync_s": round(boot, 2), **figures}


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


def _service(number: int) -> Any:
    return service(f"web-{number}", HOME, f"10.97.1.{number + 1}", {"app": f"web-{number}"})


def _edit_route(manifests: ManifestFolder, number: int) -> None:
    one = rule(path(f"/{number}"), to=[backend("web-0")])
    manifests.put("route", route("web", HOME, "web-0", one))


def _edit_endpoints(manifests: ManifestFolder, number: int) -> None:
    manifests.put("pod", pod("web-0", HOME, f"10.1.0.{number % 250 + 1}", {"app": "web-0"}))


async def _both(envoys: int, edits: int) -> list[dict[str, Any]]:
    return [await measure(count, edits) for count in (1, envoys)]


def main() -> None:
    """Measure with one Envoy and with many, and print the figures."""
    envoys = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    edits = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    log_to_stderr()
    runs = asyncio.run(_both(envoys, edits))
    print(json.dumps({"benchmark": "acks", "services": SERVICES, "edits": edits, "runs": runs}))


if __name__ == "__main__":
    main()

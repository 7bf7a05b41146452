"""Two replicas on a cluster, a real waypoint between them, and the one that serves it is killed."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.certs import CertFolder
from tests.support.controlplane import ControlPlane, eventually
from tests.support.envoyproc import EnvoyProcess
from tests.support.fleet import EchoFleet
from tests.support.kubeapi import KubeApi
from tests.support.load import Load, Opener
from tests.support.loopback import LoopbackNet
from tests.support.manifests import (
    DECLARED,
    WAYPOINT,
    Manifest,
    backend,
    gateway,
    namespace,
    route,
    rule,
    service,
)
from tests.support.mesh import Clients, stand_in, start_pods, waypoint_bootstrap
from tests.support.replica import Replica, replica
from tests.support.service_front import ServiceFront
from tests.support.stream import ByteStream
from translators.wire import TypeUrl
from xds_server.demo.ztunnel import Address, Waypoint

HOME = "shop"
WEB = Address("10.98.0.1", 80)
FIRST_HOST = 151
UPDATES = (
    r"^listener_manager\.(listener_(added|modified|in_place_updated|removed)"
    r"|total_listeners_draining)$|^cluster_manager\.cluster_(added|modified|removed)$"
    r"|\.rds\..*\.config_reload$"
)


def objects() -> list[Manifest]:
    found: list[Manifest] = [namespace(HOME), gateway(HOME)]
    for number, name in enumerate(("web", "web-v1", "web-v2"), start=1):
        selector = {"pod": name.removeprefix("web-") if number > 1 else "v1"}
        found.append(service(name, HOME, f"10.98.0.{number}", selector, DECLARED))
    return [*found, split(0)]


def split(new: int) -> Manifest:
    weights = [backend("web-v1", 100 - new), backend("web-v2", new)]
    return route("web", HOME, "web", rule(to=weights))


def in_sync(one: Replica) -> bool:
    """Whether an Envoy is connected there and has accepted all that it is to have."""
    plane = ControlPlane(one.server, one.addresses)
    return bool(plane.waypoints()) and plane.in_sync()


def patches(api: KubeApi) -> Mapping[str, int]:
    return {
        resource: count
        for (verb, resource), count in api.counts.items()
        if verb == "patch" and resource.endswith("/status")
    }


@dataclass(frozen=True, slots=True)
class Scene:
    """An API server, a Service in front of the control plane, and a service in the mesh."""

    api: KubeApi
    front: ServiceFront
    bootstrap: Mapping[str, Any]
    tunnel: Opener


@asynccontextmanager
async def scene(
    net: LoopbackNet, fleet: EchoFleet, certs: CertFolder, folder: Path
) -> AsyncIterator[Scene]:
    pods = start_pods(fleet, net, FIRST_HOST)
    waypoint_ip, client_ip, front_ip = (net.ip(FIRST_HOST + n) for n in (4, 5, 6))
    waypoint = Waypoint(Address(waypoint_ip, 15008), certs.svid(HOME, WAYPOINT).uri)
    clients = Clients(waypoint, certs, client_ip)

    async def tunnel() -> ByteStream:
        return await (await clients.connection(certs.svid(HOME, "client"))).connect(str(WEB))

    try:
        async with (
            KubeApi(("gateway-api-standard", "istio")) as api,
            ServiceFront(front_ip) as front,
            await EnvoyProcess.start(stand_in(pods, certs, HOME), folder, "ztunnel"),
        ):
            for manifest in (*objects(), *pods.manifests(HOME)):
                api.put(dict(manifest))
            bootstrap = waypoint_bootstrap(HOME, waypoint_ip, front.address)
            yield Scene(api, front, bootstrap, tunnel)
    finally:
        await clients.close()
        for app in pods:
            fleet.remove(app.ip)


async def test_envoy_moves_to_the_other_replica_and_nothing_is_sent_again(
    net: LoopbackNet, fleet: EchoFleet, certs: CertFolder, tmp_path: Path
) -> None:
    async with scene(net, fleet, certs, tmp_path) as at, AsyncExitStack() as running:
        first = await running.enter_async_context(replica(at.api, tmp_path, certs.authority, "a"))
        await first.settled()
        second = await running.enter_async_context(replica(at.api, tmp_path, certs.authority, "b"))
        at.front.backends = [first.addresses.xds, second.addresses.xds]
        envoy = await running.enter_async_context(
            await EnvoyProcess.start(at.bootstrap, tmp_path, "waypoint")
        )
        await eventually(lambda: in_sync(first))
        before, written = await envoy.stats(UPDATES), patches(at.api)
        assert sum(written.values()) == first.writer.writes > 0
        async with Load(at.tunnel, rate=50, tunnels=2, limit_s=60) as load:
            await more(load, 20)
            first.kill()
            await eventually(lambda: in_sync(second), timeout_s=20)
            await more(load, 20)
            counters = second.server._ads.counters
            # A replica has a certificate of its own for the waypoint; all else Envoy has.
            assert {kind for kind, count in counters.resource_bytes.items() if count} <= {
                TypeUrl.SECRET
            }
            assert counters.resources[TypeUrl.SECRET] <= 1
            assert await envoy.stats(UPDATES) == before
            await second.settled()
            assert patches(at.api) == written
            at.api.put(dict(split(100)))
            await eventually(lambda: versions(load) == {"v2"})
        assert load.outcome.failures == []


def versions(load: Load) -> set[str | None]:
    return {sample.version for sample in load.outcome.samples[-8:]}


async def more(load: Load, count: int) -> None:
    wanted = len(load.outcome.samples) + count
    await eventually(lambda: len(load.outcome.samples) >= wanted)

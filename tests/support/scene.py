"""A cluster with one service behind a waypoint, and an address of the control plane in front.

Tests bring the replicas, and Envoy with the bootstrap that leads to that address.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
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
from tests.support.manifests import WAYPOINT
from tests.support.mesh import Clients, stand_in, start_pods, waypoint_bootstrap
from tests.support.replica import Replica
from tests.support.service_front import ServiceFront
from tests.support.shop import HOME, WEB, shop, split
from tests.support.stream import ByteStream
from xds_server.demo.ztunnel import Address, Waypoint

UPDATES = (
    r"^listener_manager\.(listener_(added|modified|in_place_updated|removed)"
    r"|total_listeners_draining)$|^cluster_manager\.cluster_(added|modified|removed)$"
    r"|\.rds\..*\.config_reload$"
)


@dataclass(frozen=True, slots=True)
class Scene:
    """An API server, a Service in front of the control plane, and a service in the mesh."""

    api: KubeApi
    front: ServiceFront
    bootstrap: Mapping[str, Any]
    tunnel: Opener


@asynccontextmanager
async def scene(
    net: LoopbackNet,
    fleet: EchoFleet,
    certs: CertFolder,
    folder: Path,
    first_host: int,
    **options: Any,
) -> AsyncIterator[Scene]:
    """Everything from the host number ``first_host`` on; ``options`` are those of KubeApi."""
    pods = start_pods(fleet, net, first_host)
    waypoint_ip, client_ip, front_ip = (net.ip(first_host + n) for n in (4, 5, 6))
    waypoint = Waypoint(Address(waypoint_ip, 15008), certs.svid(HOME, WAYPOINT).uri)
    clients = Clients(waypoint, certs, client_ip)

    async def tunnel() -> ByteStream:
        return await (await clients.connection(certs.svid(HOME, "client"))).connect(str(WEB))

    try:
        async with (
            KubeApi(("gateway-api-standard", "istio"), **options) as api,
            ServiceFront(front_ip) as front,
            await EnvoyProcess.start(stand_in(pods, certs, HOME), folder, "ztunnel"),
        ):
            for manifest in (*shop(), split(0), *pods.manifests(HOME)):
                api.put(dict(manifest))
            bootstrap = waypoint_bootstrap(HOME, waypoint_ip, front.address)
            yield Scene(api, front, bootstrap, tunnel)
    finally:
        await clients.close()
        for app in pods:
            fleet.remove(app.ip)


def in_sync(one: Replica) -> bool:
    """Whether an Envoy is connected there and has accepted all that it is to have."""
    plane = ControlPlane(one.server, one.addresses)
    return bool(plane.waypoints()) and plane.in_sync()


def versions(load: Load) -> set[str | None]:
    """Who gave the last answers."""
    return {sample.version for sample in load.outcome.samples[-8:]}


async def more(load: Load, count: int) -> None:
    """Wait for that many more answers."""
    wanted = len(load.outcome.samples) + count
    await eventually(lambda: len(load.outcome.samples) >= wanted)

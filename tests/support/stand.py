"""One service behind a waypoint whose control plane is a child process: it can be killed.

Everything is black-box here; what is waited for is seen in traffic or on the admin pages.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.support.certs import CertFolder
from tests.support.controlplane import ServerProcess, eventually
from tests.support.envoyproc import EnvoyProcess
from tests.support.fleet import EchoFleet
from tests.support.load import Load, Sample
from tests.support.loopback import LoopbackNet, free_port
from tests.support.manifests import WAYPOINT, ManifestFolder
from tests.support.mesh import Clients, Pods, stand_in, start_pods, waypoint_bootstrap
from tests.support.shop import HOME, WEB, shop, split
from tests.support.stream import ByteStream
from xds_server.demo.ztunnel import Address, Waypoint
from xds_server.identity.authority_store import open_authority


@dataclass(frozen=True, slots=True)
class Stand:
    """The service ``web``, whose requests go to ``web-v1`` and ``web-v2`` by weight."""

    folder: Path
    manifests: ManifestFolder
    server: ServerProcess
    envoy: EnvoyProcess
    clients: Clients
    pods: Pods

    def split(self, new: int) -> None:
        """Send ``new`` per cent of the requests to v2, the rest to v1; at first that is 0."""
        self.manifests.put("route", split(new))

    async def tunnel(self) -> ByteStream:
        """A tunnel to the service."""
        caller = self.clients.certs.svid(HOME, "client")
        return await (await self.clients.connection(caller)).connect(str(WEB))

    def load(self, rate: float = 100, tunnels: int = 4) -> Load:
        """A steady load on the service."""
        return Load(self.tunnel, rate=rate, tunnels=tunnels, limit_s=300)

    async def until_connected(self) -> None:
        """Return when the waypoint has a stream to the server and wants nothing more.

        Envoy waits longer and longer before it tries again, up to 10 s.
        """
        async with asyncio.timeout(60):
            while not await self._is_synced():  # noqa: ASYNC110  a page tells of no event
                await asyncio.sleep(0.02)

    async def _is_synced(self) -> bool:
        proxies = await self.server.get("/syncz")
        return bool(proxies) and all(proxy["synced"] for proxy in proxies)

    async def received(self) -> int:
        """How many bytes the control plane has sent to the waypoint, of all sorts."""
        return await self.envoy.stat("cluster.xds-grpc.upstream_cx_rx_bytes_total")


@asynccontextmanager
async def stand(
    net: LoopbackNet, fleet: EchoFleet, folder: Path, first_host: int
) -> AsyncIterator[Stand]:
    """Everything from the host number ``first_host`` on, ready to be asked."""
    manifests = ManifestFolder(folder / "manifests")
    pods = start_pods(fleet, net, first_host)
    waypoint_ip, client_ip, server_ip = (net.ip(first_host + n) for n in (4, 5, 6))
    authority = open_authority(folder / "ca", datetime.now(UTC))
    certs = CertFolder(folder / "certs", authority)
    manifests.put("base", *shop(), *pods.manifests(HOME))
    manifests.put("route", split(0))
    xds = f"{server_ip}:{free_port(server_ip)}"
    admin = f"{server_ip}:{free_port(server_ip)}"
    at = Waypoint(Address(waypoint_ip, 15008), certs.svid(HOME, WAYPOINT).uri)
    server = ServerProcess(manifests.root, folder / "ca", xds, admin, folder / "server.log")
    bootstrap = waypoint_bootstrap(HOME, waypoint_ip, xds)
    with server:
        await server.wait_ready()
        async with (
            await EnvoyProcess.start(stand_in(pods, certs, HOME), folder, "stand-ztunnel"),
            await EnvoyProcess.start(bootstrap, folder, "stand-waypoint") as envoy,
        ):
            clients = Clients(at, certs, client_ip)
            one = Stand(folder, manifests, server, envoy, clients, pods)
            try:
                async with one.load(rate=50, tunnels=1) as load:
                    await eventually(lambda: _is_served(load.outcome.samples))
                yield one
            finally:
                await clients.close()
    for app in pods:
        fleet.remove(app.ip)


def _is_served(samples: list[Sample]) -> bool:
    return bool(samples) and samples[-1].status == 200

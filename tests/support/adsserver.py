"""A running ADS server on a free loopback port, and a publisher that a test gives the contents."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from tests.support.adsclient import AdsClient, DeltaClient, SotwClient, claim
from translators.ir.waypoint import WaypointName
from translators.wire.resource import Resource
from translators.wire.snapshot import Snapshot
from xds_server.ads import AdsLimits, AdsServer, AdsService
from xds_server.identity.peer import Authenticator, LoopbackAuthenticator
from xds_server.snapshots import Observer, ProxyKey, SnapshotStore

SHOP = WaypointName("shop", "waypoint")
BANK = WaypointName("bank", "waypoint")
BIND = "0.0.0.0:15008"


@dataclass
class World(Observer):
    """What each waypoint shall have; published as soon as somebody asks for it."""

    store: SnapshotStore = field(default_factory=SnapshotStore)
    wanted: dict[WaypointName, Snapshot] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store.observe(self)

    def attached(self, key: ProxyKey) -> None:
        if key.waypoint in self.wanted:
            self.store.publish(key, self.wanted[key.waypoint], None)

    def set(self, waypoint: WaypointName, *resources: Resource) -> None:
        """From now on the waypoint shall have exactly these."""
        before = self.wanted.get(waypoint, Snapshot.of(()))
        after = Snapshot.of(resources)
        self.wanted[waypoint] = after
        keys = {
            each.key
            for snapshot in (before, after)
            for names in snapshot.resources.values()
            for each in names.values()
        }
        changed = {key for key in keys if before.get(key) != after.get(key)}
        for key in self.store.attached():
            if key.waypoint == waypoint:
                self.store.publish(key, after, changed)


@dataclass
class Running:
    """A server under test."""

    world: World
    service: AdsService
    server: AdsServer
    address: str

    def delta(
        self, waypoint: WaypointName = SHOP, node_id: str = "envoy-1", **more: Any
    ) -> DeltaClient:
        return DeltaClient(self.address, claim(waypoint, node_id), **more)

    def sotw(
        self, waypoint: WaypointName = SHOP, node_id: str = "envoy-1", **more: Any
    ) -> SotwClient:
        return SotwClient(self.address, claim(waypoint, node_id), **more)

    def client(
        self, variant: str, waypoint: WaypointName = SHOP, node_id: str = "envoy-1", **more: Any
    ) -> AdsClient:
        return {"delta": self.delta, "sotw": self.sotw}[variant](waypoint, node_id, **more)


@asynccontextmanager
async def running(
    limits: AdsLimits | None = None,
    shop: Sequence[Resource] = (),
    world: World | None = None,
    authenticator: Authenticator | None = None,
    address: str = "127.0.0.1:0",
    credentials: grpc.ServerCredentials | None = None,
) -> AsyncIterator[Running]:
    """Serve on a free port, plaintext without credentials; ``shop`` is what that waypoint has.

    Afterwards no task may be left behind.
    """
    before = asyncio.all_tasks()
    world = world or World()
    if shop:
        world.set(SHOP, *shop)
    service = AdsService(world.store, authenticator or LoopbackAuthenticator(), limits)
    server = AdsServer(service)
    if credentials is None:
        port = server.listen_plaintext(address)
    else:
        port = server.listen(address, credentials)
    await server.start()
    try:
        yield Running(
            world,
            service,
            server,
            address.removesuffix(":0") + f":{port}" if address.endswith(":0") else address,
        )
    finally:
        await server.stop(grace=0.5)
        await eventually(lambda: not _left_behind(before))
        assert service.counters.streams_open == 0
        assert service.registry.streams() == ()
        assert world.store.attached() == ()


def _left_behind(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Tasks that should have ended; a client call of grpc.aio that failed to write keeps one."""
    new = asyncio.all_tasks() - before - {asyncio.current_task()}
    return {task for task in new if "_AioCall" not in task.get_coro().__qualname__}


async def eventually(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; raises TimeoutError after ten seconds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  gRPC's own tasks set no event
            await asyncio.sleep(0.005)

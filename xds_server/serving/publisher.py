"""From changes of the world to published snapshots, in slices that never hold up the loop."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping

from translators.compiler import Compiler
from translators.ir.listener import ConnectTerminate
from translators.ir.secret import Certificate, TrustBundle
from translators.ir.waypoint import WaypointName
from translators.wire import Resource, ResourceKey, Snapshot
from translators.world import Change
from translators.xds import resource
from xds_server.snapshots import Observer, ProxyKey, SnapshotStore

Secrets = Callable[[WaypointName, str], tuple[Certificate, TrustBundle]]
"""The secrets of a waypoint that runs as the given service account."""

_SLICE = 0.005  # seconds that one turn of the loop may be kept busy


class Publisher(Observer):
    """Publishes, for every ProxyKey that an Envoy follows, what the world means for it.

    There is no debounce: what changes while it is busy is taken together, what changes while it
    is idle goes out at once. Waypoints nobody asks for cost nothing but their indexes.
    """

    def __init__(self, compiler: Compiler, store: SnapshotStore, secrets: Secrets) -> None:
        self._compiler = compiler
        self._store = store
        self._secrets = secrets
        self._published: dict[ProxyKey, Mapping[ResourceKey, Resource]] = {}
        self._new: dict[ProxyKey, None] = {}
        self._stale: dict[ProxyKey, None] = {}
        self._wake = asyncio.Event()
        store.observe(self)

    def attached(self, key: ProxyKey) -> None:
        """An Envoy asks for a configuration that is not published yet."""
        self._new[key] = None
        self._wake.set()

    def detached(self, key: ProxyKey) -> None:
        """Nobody asks for it any more."""
        self._published.pop(key, None)
        self._new.pop(key, None)
        self._stale.pop(key, None)

    def apply(self, changes: Iterable[Change]) -> None:
        """The world has changed."""
        self.refresh(self._compiler.apply(changes))

    def refresh(self, waypoints: Iterable[WaypointName]) -> None:
        """Something that these waypoints are made from has changed."""
        touched = set(waypoints)
        for key in self._store.attached():
            if key.waypoint in touched and key not in self._new:
                self._stale[key] = None
        if self._stale:
            self._wake.set()

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be published."""
        return not (self._new or self._stale)

    async def run(self) -> None:
        """Publish for ever; ends by cancellation. First configurations go first."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while queue := self._new or self._stale:
                await self._publish(next(iter(queue)))

    async def _publish(self, key: ProxyKey) -> None:
        await self._prepare(key.waypoint)
        asked_for = key in self._new or key in self._stale
        self._new.pop(key, None)
        self._stale.pop(key, None)
        if not asked_for or not self._compiler.serves(key.waypoint):
            return
        resources = self._resources(key)
        before = self._published.get(key)
        changed = None if before is None else _differences(before, resources)
        if changed is None or changed:
            self._published[key] = resources
            self._store.publish(key, Snapshot.of(resources.values()), changed)

    async def _prepare(self, waypoint: WaypointName) -> None:
        """Do the costly part in slices; what the world changes meanwhile is done again."""
        until = time.perf_counter() + _SLICE
        for _ in self._compiler.steps(waypoint):
            if time.perf_counter() > until:
                await asyncio.sleep(0)
                until = time.perf_counter() + _SLICE

    def _resources(self, key: ProxyKey) -> Mapping[ResourceKey, Resource]:
        """All that one Envoy gets: the waypoint's resources, its own listener, its secrets."""
        account = self._compiler.service_account(key.waypoint)
        own = (
            ConnectTerminate(key.bind, self._compiler.mesh.trust_domains),
            *self._secrets(key.waypoint, account),
        )
        resources = dict(self._compiler.resources(key.waypoint))
        before = self._published.get(key, {})
        for node in own:
            fresh = resource(node)
            known = before.get(fresh.key)
            resources[fresh.key] = known if known == fresh else fresh
        return resources


def _differences(
    before: Mapping[ResourceKey, Resource], after: Mapping[ResourceKey, Resource]
) -> frozenset[ResourceKey]:
    """The keys whose resource came, went, or is another. Unchanged ones are the same object."""
    keys = before.keys() | after.keys()
    return frozenset(key for key in keys if before.get(key) is not after.get(key))
